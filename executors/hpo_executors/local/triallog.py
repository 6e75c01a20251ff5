"""What a trial printed, kept within a bound: its first and its last bytes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import BinaryIO

KEPT_BYTES = 512 * 1024

_log = logging.getLogger(__name__)


class TrialLog:
    """Writes a trial's output to a file: the first and the last 512 KiB, a marker between.

    The first part is on disk as it comes, the last when the log is closed. A later attempt at the
    same trial is appended. A disk that refuses costs the log, never the trial.
    """

    def __init__(self, path: Path | None, *, attempt: int = 0) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._room = KEPT_BYTES
        self._tail = bytearray()
        self._dropped = 0
        if path is not None:
            self._open(path, attempt)

    def write(self, data: bytes) -> None:
        """Take the next bytes; they need not end at a character or a line."""
        if self._file is None:
            return
        head, rest = data[: self._room], data[self._room :]
        if head:
            self._room -= len(head)
            self._put(head)
        self._tail += rest
        if len(self._tail) > 2 * KEPT_BYTES:  # trimmed rarely: a flood costs one copy a byte
            self._trim()

    def close(self) -> None:
        """Write the last part and close the file. Idempotent."""
        self._trim()
        if self._dropped:
            self._put(b"\n[... %d bytes left out ...]\n" % self._dropped)
        self._put(bytes(self._tail))
        self._tail.clear()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(self, path: Path, attempt: int) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            if self._file.tell():
                self._put(b"\n[attempt %d]\n" % attempt)
        except OSError as error:
            _log.warning("no log at %s: %s", path, error.strerror)

    def _trim(self) -> None:
        excess = len(self._tail) - KEPT_BYTES
        if excess > 0:
            self._dropped += excess
            del self._tail[:excess]

    def _put(self, data: bytes) -> None:
        if self._file is None or not data:
            return
        try:
            self._file.write(data)
        except OSError as error:
            _log.warning("the log %s ends early: %s", self._path, error.strerror)
            self._file.close()
            self._file = None
