"""What trains and what is optimised: chosen from the sweep and the catalog."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hpocli.callables import CallableError, check_callable
from hpocli.catalog import Catalog
from hpocli.errors import ConfigError
from hpocli.layers import Merged
from hpocli.spi import TrainerRef, TrainerSpec
from hpocli.sweepfile import unstorable
from hpocli.sweepform import DEFAULT_TRAINER, SweepForm
from hpocli.wording import describe, nearest

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True, slots=True)
class Objectives:
    """Names and directions of what is optimised, in order."""

    names: tuple[str, ...]
    directions: tuple[Direction, ...]


def choose_trainer(
    merged: Merged, form: SweepForm, catalog: Catalog, *, folder: Path, cwd: Path
) -> tuple[TrainerRef, TrainerSpec | None]:
    """Return what trains, and its description where it is a registered trainer.

    folder: the sweep file's. Raises ConfigError.
    """
    if form.command is not None and form.trainer is not None:
        raise merged.error(("command",), "cannot go with trainer; drop one of them")
    folders = _folders(merged, form, folder, cwd)
    pythonpath = tuple(str(each) for each in folders)
    if form.command is not None:
        if not form.command[0].strip() or any("\0" in part for part in form.command):
            raise merged.error(("command",), "must begin with a program, and hold no NUL")
        command = tuple(form.command)
        return TrainerRef(
            kind="command", name="command", command=command, pythonpath=pythonpath
        ), None
    name = form.trainer or DEFAULT_TRAINER
    if name in catalog.trainers:
        return TrainerRef(kind="builtin", name=name), catalog.trainers[name]
    if ":" not in name:
        known = sorted(catalog.trainers)
        raise merged.error(
            ("trainer",),
            f"names {name!r}, which is no trainer; there is {', '.join(known) or 'none'}",
            hint=nearest(name, known) or "your own function: package.module:function",
        )
    try:
        check_callable(name, folders, form.trust)
    except CallableError as error:
        raise merged.error(("trainer",), str(error), hint=error.hint) from None
    return TrainerRef(kind="function", name=name, pythonpath=pythonpath), None


def _folders(merged: Merged, form: SweepForm, folder: Path, cwd: Path) -> list[Path]:
    if form.pythonpath is None:
        return [folder.resolve()]
    owner = merged.owner(("pythonpath",))
    base = folder if owner is None or owner.is_file else cwd
    found = [(base / each).resolve() for each in form.pythonpath]
    for index, each in enumerate(found):
        if unstorable(str(each)) or not _is_dir(each):
            raise merged.error(("pythonpath", index), f"names {str(each)!r}, which is no folder")
    return found


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name too long for the file system
        return False


def check_param_names(merged: Merged, form: SweepForm, builtin: TrainerSpec | None) -> None:
    """Refuse a parameter that the built-in trainer would not read.

    `filters_5` is fine beside `filters_1`: such families go on. Raises ConfigError.
    """
    if builtin is None:
        return
    families = {_family(name) for name in builtin.space}
    for name in form.space:
        if _family(name) not in families:
            raise merged.error(
                ("space", name),
                f"is not a parameter of {builtin.name}",
                hint=nearest(name, builtin.space) or f"it has {', '.join(builtin.space)}",
            )


def _family(name: str) -> str:
    return re.sub(r"_\d+\Z", "_#", name)


def choose_objectives(merged: Merged, form: SweepForm, builtin: TrainerSpec | None) -> Objectives:
    """Return the objectives with their directions. Raises ConfigError."""
    names = _names(merged, form, builtin)
    given = _given_directions(merged, form, names)
    specs = {spec.name: spec for spec in builtin.objectives} if builtin is not None else {}
    directions: list[Direction] = []
    for index, name in enumerate(names):
        if not specs:
            directions.append(given[index] if given else "maximize")
            continue
        own = _known_objective(merged, name, index, specs, form)
        if given and given[index] != own:
            key = "directions" if form.directions is not None else "direction"
            raise merged.error((key,), f"says {given[index]} for {name}, which is {own}d")
        directions.append(own)
    return Objectives(names, tuple(directions))


def _names(merged: Merged, form: SweepForm, builtin: TrainerSpec | None) -> tuple[str, ...]:
    if form.optimize_for is None:
        first = builtin.objectives[0].name if builtin and builtin.objectives else "value"
        return (first,)
    names = tuple(form.optimize_for)
    if not names or len(set(names)) != len(names) or len(names) > 10:
        raise merged.error(("optimize_for",), "must name one to ten different objectives")
    for name in names:
        if not re.fullmatch(r"[A-Za-z_][\w./-]{0,99}", name):
            raise merged.error(("optimize_for",), f"names {name!r}, which is no objective's name")
    return names


def _given_directions(
    merged: Merged, form: SweepForm, names: tuple[str, ...]
) -> list[Direction] | None:
    if form.direction is not None and form.directions is not None:
        raise merged.error(("direction",), "cannot go with directions; drop one of them")
    if form.direction is not None:
        if len(names) > 1:
            raise merged.error(
                ("direction",), f"is one for {len(names)} objectives; give a list: directions"
            )
        return [form.direction]
    if form.directions is not None and len(form.directions) != len(names):
        raise merged.error(
            ("directions",), f"lists {len(form.directions)} for {len(names)} objectives"
        )
    return form.directions


def _known_objective(
    merged: Merged, name: str, index: int, specs: Any, form: SweepForm
) -> Direction:
    path = ("optimize_for", index)
    if name not in specs:
        raise merged.error(
            path,
            f"names {name!r}, which this trainer does not measure",
            hint=nearest(name, specs) or f"it measures {', '.join(specs)}",
        )
    spec = specs[name]
    if spec.kind == "health" and form.mode != "health":
        raise merged.error(
            path, f"names {name!r}, which is measured only with mode=health", hint="mode: health"
        )
    direction: Direction = spec.direction
    return direction


def choose_settings(merged: Merged, form: SweepForm, builtin: TrainerSpec | None) -> dict[str, Any]:
    """Return the trainer's settings, its defaults filled in. Raises ConfigError."""
    if builtin is None:
        return dict(form.settings)
    for name, value in form.settings.items():
        if name not in builtin.settings:
            raise merged.error(
                ("settings", name),
                f"is not a setting of {builtin.name}",
                hint=nearest(name, builtin.settings) or f"it has {', '.join(builtin.settings)}",
            )
        _check_setting(merged, name, value, builtin.settings[name])
    return {**builtin.settings, **form.settings}


def _check_setting(merged: Merged, name: str, value: Any, default: Any) -> None:
    if default is None or type(value) is type(default):
        return
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return
    raise _wrong_setting(merged, name, value, default)


def _wrong_setting(merged: Merged, name: str, value: Any, default: Any) -> ConfigError:
    kinds = {bool: "true or false", int: "an integer", float: "a number", str: "text"}
    wanted = kinds.get(type(default), f"a {type(default).__name__}")
    return merged.error(("settings", name), f"must be {wanted}, not {describe(value)}")
