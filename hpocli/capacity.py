"""How many trials may be in flight: additive increase, multiplicative decrease, pause below one.

Success adds 1/limit, so a full round of successes adds one; trouble halves, at most once for all
the attempts that were in flight when it struck. A platform that says "not now" is believed at
once; a lost attempt counts only when another follows with no success between them. Below one the
sweep pauses, longer each time (1 s doubling to 60 s), and after `MAX_STRIKES` pauses in a row the
backend is given up.
"""

from __future__ import annotations

import math

MAX_STRIKES = 6
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class Capacity:
    """The adaptive limit. Every method is called by the scheduler's thread, with its time `now`."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.epoch = 0
        self.strikes = 0
        self.paused_until = -math.inf
        self._limit = float(maximum)
        self._losses = 0

    @property
    def limit(self) -> int:
        """How many trials may be in flight, at least 1."""
        return max(1, int(self._limit))

    @property
    def exhausted(self) -> bool:
        """Whether the backend failed through every pause it was given."""
        return self.strikes >= MAX_STRIKES

    def bound(self, maximum: int) -> None:
        """Never let the limit grow above `maximum` from now on."""
        self.maximum = maximum
        self._limit = min(self._limit, float(maximum))

    def allows(self, in_flight: int, now: float) -> bool:
        """Say whether one more attempt may start."""
        return now >= self.paused_until and in_flight < self.limit

    def succeeded(self, in_flight: int) -> bool:
        """Count a good end; return whether `limit` changed. No growth while slots stand empty."""
        before, self.strikes, self._losses = self.limit, 0, 0
        if in_flight * 2 >= self._limit:
            self._limit = min(float(self.maximum), self._limit + 1.0 / self._limit)
        return self.limit != before

    def lost(self, epoch: int, now: float) -> bool:
        """Count a lost attempt that began in `epoch`; return whether anything changed."""
        self._losses += 1
        return self._losses > 1 and self._shrink(epoch, now, None)

    def unavailable(self, epoch: int, now: float, retry_after_s: float | None) -> bool:
        """Count a refusal of the platform; return whether anything changed."""
        return self._shrink(epoch, now, retry_after_s)

    def _shrink(self, epoch: int, now: float, retry_after_s: float | None) -> bool:
        if epoch < self.epoch:
            return False
        self.epoch += 1
        if self._limit >= 2 and retry_after_s is None:
            self._limit = max(1.0, math.floor(self._limit / 2))
            return True
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**self.strikes)
        self.strikes += 1
        self.paused_until = now + min(LONGEST_PAUSE_S, max(pause, retry_after_s or 0.0))
        return True
