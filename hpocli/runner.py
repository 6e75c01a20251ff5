"""Starting a run and going on with one: configuration and folder first, then a session."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpocli.config import SweepConfig
from hpocli.errors import ConfigError, StateError
from hpocli.eventlog import LogReader
from hpocli.plugins import Plugins
from hpocli.resolve import dump_config, load_config, load_resolved
from hpocli.runs import RunFolder, find_run
from hpocli.session import Session, View
from hpocli.state import fold

_FIXED = (
    "trainer", "objectives", "directions", "seed", "reproducible", "mode", "storage",
    "run_name", "runs_dir",
)  # fmt: skip


def start_run(
    *,
    executor: str,
    sweep_file: Path | None,
    assignments: Sequence[str],
    options: Mapping[str, Any],
    plugins: Plugins,
    command: str,
    view: View,
) -> int:
    """Start a new run; return its exit code. Raises HpoError for what the user can mend."""
    config = load_config(
        executor=executor,
        sweep_file=sweep_file,
        assignments=assignments,
        environ=view.environ,
        options=options,
        catalog=plugins.catalog,
        cwd=_working_folder(),
    )
    folder = make_folder(config)
    session = Session(folder, config, plugins, command=command, is_new=True)
    try:
        return session.run(view, sweep_text=dump_config(config))
    except BaseException:  # an early Ctrl-C, too, leaves nothing behind
        if not session.began:
            shutil.rmtree(folder.root, ignore_errors=True)
        raise


def resume_run(
    *,
    name: str,
    overrides: Sequence[str],
    runs_dir: Path,
    plugins: Plugins,
    command: str,
    view: View,
) -> int:
    """Go on with a run; return its exit code. Raises HpoError for what the user can mend."""
    folder = find_run(runs_dir, name)
    config = load_resolved(folder.sweep_file, plugins.catalog, overrides)
    old = load_resolved(folder.sweep_file, plugins.catalog, look=False) if overrides else config
    _refuse_other_sweep(old, config)
    if config.trials < old.trials:
        _refuse_fewer_trials(folder, config)
    session = Session(folder, config, plugins, command=command, is_new=False)
    return session.run(view, sweep_text=dump_config(config) if overrides else "")


def _refuse_other_sweep(old: SweepConfig, new: SweepConfig) -> None:
    for key in _FIXED:
        if getattr(old, key) != getattr(new, key):
            raise ConfigError(
                f"{key} cannot change when a run is resumed",
                hint="start a new run with warm_start from this one",
            )


def _refuse_fewer_trials(folder: RunFolder, config: SweepConfig) -> None:
    try:
        there = len(fold(LogReader(folder.events).records()).trials)
    except OSError as error:
        raise StateError(f"cannot read {folder.events}: {error.strerror}") from None
    if config.trials < there:
        raise ConfigError(
            f"trials={config.trials} is fewer than the {there} that the run has",
            hint=f"a total, not an addition: trials={there + config.trials} adds {config.trials}",
        )


def make_folder(config: SweepConfig) -> RunFolder:
    """Create the run's folder: `run_name`, or `run_name-2`, ... where that is taken."""
    runs_dir = Path(config.runs_dir)
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            name = config.run_name if number == 1 else f"{config.run_name}-{number}"
            try:
                (runs_dir / name).mkdir(mode=0o700)
            except FileExistsError:
                continue
            return RunFolder(runs_dir / name)
    except OSError as error:
        raise StateError(
            f"cannot create a run folder in {runs_dir}: {error.strerror}",
            hint="choose another place with runs_dir=PATH",
        ) from None
    raise StateError(f"{runs_dir} holds 10,000 runs called {config.run_name!r}")


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigError("the working folder was deleted", hint="cd somewhere else") from None
