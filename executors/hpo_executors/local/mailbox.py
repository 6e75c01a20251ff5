"""Commands from any thread to the one that owns the workers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from threading import Lock

Command = Callable[[], None]


class Mailbox:
    """Commands in the order they were posted; a pipe wakes the selector of whoever takes them."""

    def __init__(self) -> None:
        self.wake, self._bell = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(self._bell, False)
        self._lock = Lock()
        self._commands: list[Command] = []
        self._open = True

    def post(self, command: Command) -> bool:
        """Leave a command; False where nobody will take it any more. Never blocks."""
        with self._lock:
            if not self._open:
                return False
            self._commands.append(command)
            with contextlib.suppress(BlockingIOError):  # a full pipe wakes just as well
                os.write(self._bell, b".")
            return True

    def take(self) -> list[Command]:
        """Return the commands posted since the last call, oldest first."""
        with self._lock:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wake, 65536)
            commands, self._commands = self._commands, []
        return commands

    def close(self) -> None:
        """Refuse commands from now on and drop those never taken. Idempotent."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self.wake)
                os.close(self._bell)
            self._commands = []
