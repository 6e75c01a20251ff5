"""Time as a collaborator: the only module of the controller that imports `time`.

The scheduler never sleeps; it waits on its inbox through `Clock.receive`, so a clock in virtual
time can advance to the next event instead of waiting for it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """What the controller needs to know of time."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards, for durations and deadlines."""

    def time(self) -> float:
        """Return seconds since the epoch (UTC), for records that outlive the process."""

    def receive(self, inbox: SimpleQueue[T], timeout_s: float | None) -> T | None:
        """Take the next message, or return None once `timeout_s` seconds have passed."""


class SystemClock:
    """Real time."""

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()

    def time(self) -> float:
        """Return `time.time()`."""
        return time.time()

    def receive(self, inbox: SimpleQueue[T], timeout_s: float | None) -> T | None:
        """Block on the queue for at most `timeout_s` seconds."""
        try:
            return inbox.get(timeout=None if timeout_s is None else max(0.0, timeout_s))
        except Empty:
            return None


def isoformat(seconds: float) -> str:
    """Format seconds since the epoch as UTC, e.g. `2026-01-31T12:00:00.000Z`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
