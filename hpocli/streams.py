"""A text stream that can be written to without care."""

from __future__ import annotations

import io
import os
from typing import TextIO


class SafeStream(io.TextIOBase):
    """A text stream whose writes never raise: after the first failure it swallows everything.

    A closed pipe is replaced by /dev/null, so that the interpreter's last flush is silent too.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._terminal = _isatty(stream)
        self._charset = getattr(stream, "encoding", None) or "utf-8"

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only here
        """The encoding of the stream beneath."""
        return self._charset

    def isatty(self) -> bool:
        """Say whether a terminal is beneath."""
        return self._terminal

    def write(self, text: str) -> int:
        """Write `text`, with `?` for characters the stream cannot spell."""
        if self._stream is not None:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                self.write(text.encode(self._charset, "replace").decode(self._charset))
            except (OSError, ValueError):
                self._drop()
        return len(text)

    def flush(self) -> None:
        """Flush what is beneath."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._drop()

    def line(self, text: str) -> None:
        """Write one line and flush."""
        self.write(text + "\n")
        self.flush()

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno()) if stream else None
            os.close(null)
        except (OSError, ValueError):
            return


def _isatty(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (OSError, ValueError):
        return False
