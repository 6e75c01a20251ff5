"""Telling results in the order of the trials' numbers, for sweeps that must repeat exactly.

With a look-ahead of L, trial i is proposed knowing exactly the trials up to i-L, in that order,
whatever the order in which they ended; so with one seed the proposals are the same for any number
of workers up to L. The price is idle slots while an early trial is awaited.
"""

from __future__ import annotations

from collections.abc import Iterator

from hpocli.verdict import Verdict


class TellOrder:
    """Holds verdicts until every trial before them has one."""

    def __init__(self) -> None:
        self._next = 0
        self._held: dict[int, Verdict] = {}

    def begin(self, first: int) -> None:
        """Start with trial `first`: all before it were told."""
        self._next = first

    def hold(self, number: int, verdict: Verdict) -> None:
        """Keep the verdict for its turn."""
        self._held[number] = verdict

    def settled(self, upto: int) -> bool:
        """Say whether every trial below `upto` was told or has a verdict."""
        return all(number in self._held for number in range(self._next, upto))

    def release(self, upto: float) -> Iterator[tuple[int, Verdict]]:
        """Yield the held verdicts below `upto` in order, as far as they are complete."""
        while self._next < upto and self._next in self._held:
            number = self._next
            self._next += 1
            yield number, self._held.pop(number)
