"""What a command trainer's script is started with: its arguments, program and environment."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo_handler.context import TrialContext
from hpo_handler.failures import TrialError

_FIELD = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


def fill_in(command: tuple[str, ...], context: TrialContext) -> list[str]:
    """Return the arguments with every `{name}` replaced. Raises TrialError for unknown names."""
    if not command:
        raise TrialError("the command is empty; give a program and its arguments")
    known = _known(context)
    return [_FIELD.sub(lambda match: _replace(match, known), argument) for argument in command]


def program(name: str, folder: Path) -> str:
    """Return the program's absolute path. Raises TrialError where there is none to run."""
    if "/" in name:
        path = folder / name
        if not path.is_file():
            raise TrialError(f"the command's program {name} does not exist in {folder}")
        if not os.access(path, os.X_OK):
            raise TrialError(f"the command's program {name} is not executable; chmod +x {name}")
        return str(path.absolute())
    found = shutil.which(name)
    if found is None:
        raise TrialError(f"the command's program {name!r} is not on the PATH")
    return found


def environment(context: TrialContext, report_fd: int) -> dict[str, str]:
    """Return this process's environment and the HPO_* variables."""
    own = {
        "HPO_PARAMS": json.dumps(dict(context.params)),
        "HPO_SETTINGS": json.dumps(dict(context.settings)),
        "HPO_SEED": str(context.seed),
        "HPO_TRIAL": str(context.number),
        "HPO_REPORT_FD": str(report_fd),
    }
    if context.workdir is not None:
        own["HPO_WORKDIR"] = str(context.workdir)
    params = {_variable(name): _text(value) for name, value in context.params.items()}
    return {**os.environ, **params, **own}


def _known(context: TrialContext) -> dict[str, Any]:
    """Return what a template may name; a trial's own words come before parameters."""
    known: dict[str, Any] = dict(context.params)
    known |= {f"params.{name}": value for name, value in context.params.items()}
    known |= _dotted("settings", context.settings)
    known |= {"seed": context.seed, "number": context.number}
    if context.workdir is not None:
        known["workdir"] = str(context.workdir)
    return known


def _dotted(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found[f"{prefix}.{name}"] = value
        if isinstance(value, Mapping):
            found |= _dotted(f"{prefix}.{name}", value)
    return found


def _replace(match: re.Match[str], known: Mapping[str, Any]) -> str:
    name = match.group(1)
    if name is None:
        return match.group(0)[0]
    if name not in known:
        raise TrialError(
            f"the command names {{{name}}}, which this trial does not have; "
            f"it has {', '.join(sorted(known)[:20])} (write {{{{ for a plain brace)"
        )
    return _text(known[name])


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _variable(name: str) -> str:
    return "HPO_PARAM_" + re.sub(r"\W", "_", name, flags=re.ASCII).upper()
