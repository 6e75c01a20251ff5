"""No process outlives the trial process: one shepherd kills the groups that it leaves behind.

`kill -9` gives a process no chance to end its children, and an objective's own children (data
loaders, a script's programs) have nobody else. So a tiny shell, outside the group, holds a pipe
whose other end only the trial process has. When that closes, for whatever reason, the shell sends
SIGKILL to the process groups named last.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import IO, NoReturn

_SHEPHERD = (
    "kept=; while read -r groups; do kept=$groups; done; "
    'for group in $kept; do kill -s KILL -- "-$group"; done'
)


class Guard:
    """Kills this process's group, where it leads one, and every covered group, at its death."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own = {os.getpid()} if os.getpgrp() == os.getpid() else set()
        self._groups: set[int] = set()
        self._shepherd: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):  # no /bin/sh: the other ways to die remain
            self._shepherd = subprocess.Popen(
                ["/bin/sh", "-c", _SHEPHERD],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={},
            )
        os.register_at_fork(after_in_child=self._forget)
        self._tell()

    def cover(self, group: int) -> None:
        """Have this process group killed too, from now on."""
        with self._lock:
            self._groups.add(group)
            self._tell()

    def release(self, group: int) -> None:
        """Let this process group be: it has ended."""
        with self._lock:
            self._groups.discard(group)
            self._tell()

    def die(self, status: int = 1) -> NoReturn:
        """End this process and everything it started, now. May be called from any thread."""
        for group in list(self._groups):
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)
        self._dismiss()
        if self._own:
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(status)

    def _dismiss(self) -> None:
        """Let the shepherd end and reap it, so that it stays behind nowhere as a zombie."""
        if self._shepherd is None:
            return
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._write(b"\n")
            self._pipe().close()
            self._shepherd.wait(timeout=0.5)

    def _tell(self) -> None:
        groups = " ".join(str(group) for group in sorted(self._own | self._groups))
        with contextlib.suppress(OSError):
            self._write(groups.encode() + b"\n")

    def _write(self, line: bytes) -> None:
        if self._shepherd is not None:
            os.write(self._pipe().fileno(), line)

    def _pipe(self) -> IO[bytes]:
        assert self._shepherd is not None
        assert self._shepherd.stdin is not None
        return self._shepherd.stdin

    def _forget(self) -> None:
        """In a forked child: drop the pipe, or it would keep the shepherd from acting."""
        if self._shepherd is not None:
            with contextlib.suppress(OSError):
                self._pipe().close()
            self._shepherd = None
