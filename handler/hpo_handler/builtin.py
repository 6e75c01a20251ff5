"""The trainers that come with hpo, imported at their first use.

A trainer's module has the function named here, `(TrialContext) -> Outcome`, and may have
`preload()`, which imports what is slow. Where HPO_PRELOAD names trainers (comma-separated), a
trial process preloads them before it says `ready`, so that a ready process is a warm one.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from hpo_handler.context import Outcome, TrialContext
from hpo_handler.failures import TrialError, one_line

BUILTIN = {"keras-image": "hpo_handler.training:train"}


def run_builtin(name: str, context: TrialContext) -> Outcome:
    """Run a built-in trainer. Raises TrialError, class rejected, where it cannot be had here."""
    context.stage("importing")
    try:
        train = getattr(_module(name), BUILTIN[name].partition(":")[2])
        outcome: Outcome = train(context)
    except ModuleNotFoundError as error:
        raise TrialError(
            f"the trainer {name!r} needs {error.name}, which is not installed; "
            "install hpocli[tensorflow]",
            failure="rejected",
        ) from None
    return outcome


def preload(names: str) -> None:
    """Import what the named trainers need; a failure is a line in the log, the job tells it too."""
    for name in filter(None, (part.strip() for part in names.split(","))):
        try:
            slow = getattr(_module(name), "preload", None)
            if slow is not None:
                slow()
        except Exception as error:  # noqa: BLE001 - the trial says it properly
            sys.stderr.write(f"cannot preload {name}: {one_line(error)}\n")


def _module(name: str) -> ModuleType:
    if name not in BUILTIN:
        raise TrialError(
            f"there is no trainer {name[:60]!r} here; there is {', '.join(sorted(BUILTIN))}",
            failure="rejected",
        )
    return importlib.import_module(BUILTIN[name].partition(":")[0])
