"""Parameter importances, without the seconds that importing scikit-learn takes.

Optuna's default (PED-ANOVA) does not need it; `optuna.importance` imports it all the same, for
two evaluators that are not used here and that this process can then not use.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import optuna
from optuna.trial import FrozenTrial


def param_importances(
    study: optuna.Study, target: Callable[[FrozenTrial], float] | None
) -> dict[str, float]:
    """Return how much each parameter matters for `target` (None: the value), most first.

    Raises ValueError or RuntimeError where too little is known to say.
    """
    with _absent("sklearn"):
        from optuna.importance import (  # noqa: PLC0415 - dear, and only needed at the end
            PedAnovaImportanceEvaluator,
            get_param_importances,
        )
    evaluator = PedAnovaImportanceEvaluator()
    return get_param_importances(study, evaluator=evaluator, target=target)


@contextmanager
def _absent(name: str) -> Iterator[None]:
    """Let imports inside fail to find `name`, where it is not imported yet."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # the import system knows None
    try:
        yield
    finally:
        del sys.modules[name]
