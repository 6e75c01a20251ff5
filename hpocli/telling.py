"""Telling the study how trials ended: at once, or in order of their numbers; never twice."""

from __future__ import annotations

import math

from hpocli import events as ev
from hpocli.config import SweepConfig
from hpocli.ending import Policy
from hpocli.ledger import Ledger
from hpocli.order import TellOrder
from hpocli.state import ENDED
from hpocli.study import SweepStudy
from hpocli.verdict import Verdict


class Teller:
    """Writes each trial's one end to study and ledger, and asks the policy what follows."""

    def __init__(
        self, config: SweepConfig, study: SweepStudy, ledger: Ledger, policy: Policy
    ) -> None:
        self._ordered = config.reproducible
        self._look_ahead = config.look_ahead
        self._study = study
        self._ledger = ledger
        self._policy = policy
        self._order = TellOrder()

    def begin(self) -> None:
        """Start where the ledger stands: in an ordered sweep the told trials are the first ones."""
        self._order.begin(self._study.first_number + self._ledger.state.count(*ENDED))

    def tell(self, number: int, verdict: Verdict) -> str:
        """Tell a trial's end, or hold it for its turn; return why the sweep must stop, or ""."""
        if self._ordered:
            self._order.hold(number, verdict)
            return ""
        return self._tell(number, verdict)

    def visible(self) -> int | None:
        """Return below which number the next proposal knows all trials and no others.

        None where proposals know whatever has ended.
        """
        if not self._ordered:
            return None
        upcoming = self._study.first_number + len(self._ledger.state.trials)
        return max(self._study.first_number, upcoming - self._look_ahead + 1)

    def settled(self, visible: int | None) -> bool:
        """Say whether all that the next proposal must know has ended."""
        return visible is None or self._order.settled(visible)

    def release(self, upto: float = math.inf) -> str:
        """Tell the held trials below `upto` in order; return why the sweep must stop, or ""."""
        reasons = [self._tell(number, verdict) for number, verdict in self._order.release(upto)]
        return next((reason for reason in reasons if reason), "")

    def _tell(self, number: int, verdict: Verdict) -> str:
        self._study.tell(number, verdict.state, verdict.values)
        self._ledger.emit(
            ev.TrialFinished(
                trial=number,
                state=verdict.state,
                values=verdict.values,
                failure=verdict.failure,
                message=verdict.message,
            )
        )
        best = self._policy.improvement(number, verdict)
        if best is not None:
            self._ledger.emit(best)
        return self._policy.failure(verdict)
