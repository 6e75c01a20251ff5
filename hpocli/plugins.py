"""Finding plugins, keeping a broken one from breaking anything else, and refusing clashes.

Plugins are entry points of the group `hpocli`; the built-in executors come through the same door.
`HPO_NO_PLUGINS=1` loads only what ships with hpocli.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy
import typer

from hpocli import hookspecs
from hpocli.catalog import Catalog
from hpocli.spi import ExecutorSpec, TrainerSpec

if TYPE_CHECKING:  # `hpo --help` needs neither
    from hpocli.events import Record
    from hpocli.state import RunState

GROUP = "hpocli"
_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class PluginInfo:
    """One plugin as `hpo plugins` shows it; `error` says why it, or a part of it, did not load."""

    name: str
    distribution: str
    version: str
    executors: list[str] = field(default_factory=list)
    trainers: list[str] = field(default_factory=list)
    error: str = ""


class Plugins:
    """The loaded plugins. A plugin that fails anywhere is one line in `infos`, no more."""

    def __init__(self, entries: Iterable[EntryPoint], *, reserved: frozenset[str]) -> None:
        """Load `entries`; `reserved` are the sweep keys that options of executors may not take."""
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._reserved = reserved
        self.infos: list[PluginInfo] = []
        self._executors: dict[str, ExecutorSpec] = {}
        self._trainers: dict[str, TrainerSpec] = {}
        self._owner: dict[str, str] = {}
        for entry in entries:
            self._load(entry)
        self._watchers = [
            (name, plugin)
            for name, plugin in self._manager.list_name_plugin()
            if hasattr(plugin, "hpo_on_event")
        ]

    @property
    def catalog(self) -> Catalog:
        """The executors and trainers on offer."""
        return Catalog(executors=dict(self._executors), trainers=dict(self._trainers))

    def _load(self, entry: EntryPoint) -> None:
        dist = entry.dist
        info = PluginInfo(entry.name, dist.name if dist else "?", dist.version if dist else "?")
        self.infos.append(info)
        try:
            module = entry.load()
            self._manager.register(module, name=f"{info.distribution}:{entry.name}")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            info.error = f"did not import: {_one_line(error)}"
            return
        for spec in self._collect(info, module, "hpo_register_executors", ExecutorSpec):
            self._add_executor(info, spec)
        for trainer in self._collect(info, module, "hpo_register_trainers", TrainerSpec):
            if self._claim(info, f"trainer {trainer.name!r}"):
                self._trainers[trainer.name] = trainer
                info.trainers.append(trainer.name)

    def _collect(self, info: PluginInfo, module: Any, hook: str, kind: type[T]) -> Sequence[T]:
        """Call one hook of this one plugin."""
        others = [p for p in self._manager.get_plugins() if p is not module]
        caller: Callable[[], list[Any]] = self._manager.subset_hook_caller(hook, others)
        try:
            found = [spec for answer in caller() for spec in answer]
        except Exception as error:  # noqa: BLE001 - the plugin's bug is its own line
            info.error = f"{hook} failed: {_one_line(error)}"
            return []
        wrong = [spec for spec in found if not isinstance(spec, kind)]
        if wrong:
            info.error = f"{hook} returned a {type(wrong[0]).__name__}, not a {kind.__name__}"
        return [spec for spec in found if isinstance(spec, kind)]

    def _add_executor(self, info: PluginInfo, spec: ExecutorSpec) -> None:
        problem = self._options_problem(spec)
        if problem:
            info.error = f"executor {spec.name!r}: {problem}"
        elif self._claim(info, f"executor {spec.name!r}"):
            self._executors[spec.name] = spec
            info.executors.append(spec.name)

    def _options_problem(self, spec: ExecutorSpec) -> str:
        if not spec.name or not spec.name.replace("-", "").isalnum():
            return "the name must be letters, digits and hyphens"
        if not dataclasses.is_dataclass(spec.options):
            return "options must be a dataclass"
        for option in dataclasses.fields(spec.options):
            if option.name in self._reserved:
                return f"option {option.name!r} is a key of hpo's own; rename it"
            required = (option.default, option.default_factory) == (dataclasses.MISSING,) * 2
            if required:
                return f"option {option.name!r} needs a default"
        return ""

    def _claim(self, info: PluginInfo, what: str) -> bool:
        owner = self._owner.setdefault(what, info.distribution)
        if owner is not info.distribution:
            info.error = f"{what} is already offered by {owner}; uninstall one of them"
            return False
        return True

    def register_commands(self, app: typer.Typer) -> None:
        """Let plugins add commands; one that takes a taken name, or fails, is left out."""
        for name, plugin in self._manager.list_name_plugin():
            if not hasattr(plugin, "hpo_register_commands"):
                continue
            draft = typer.Typer()
            try:
                plugin.hpo_register_commands(app=draft)
            except Exception as error:  # noqa: BLE001 - the plugin's bug is its own line
                self._blame(name, f"hpo_register_commands failed: {_one_line(error)}")
                continue
            self._adopt(name, draft, app)

    def _adopt(self, plugin: str, draft: typer.Typer, app: typer.Typer) -> None:
        taken = {command_name(c) for c in app.registered_commands}
        taken |= {g.name for g in app.registered_groups}
        for command in draft.registered_commands:
            if command_name(command) in taken:
                self._blame(plugin, f"command {command_name(command)!r} is already taken")
            else:
                app.registered_commands.append(command)
        for group in draft.registered_groups:
            if group.name in taken:
                self._blame(plugin, f"command {group.name!r} is already taken")
            else:
                app.registered_groups.append(group)

    def _blame(self, name: str, error: str) -> None:
        for info in self.infos:
            if f"{info.distribution}:{info.name}" == name:
                info.error = error

    def on_event(self, record: Record, state: RunState) -> None:
        """Show a record to every plugin; one that raises is not called again."""
        del state
        for name, plugin in tuple(self._watchers):
            try:
                plugin.hpo_on_event(event=record)
            except Exception as error:  # noqa: BLE001 - never reaches the sweep
                self._watchers.remove((name, plugin))
                self._blame(name, f"hpo_on_event failed: {_one_line(error)}")
                _log.warning("plugin %s: hpo_on_event failed and is not called again", name)


def command_name(command: Any) -> str | None:
    """Return the name under which Typer will show a registered command."""
    if command.name:
        return str(command.name)
    return command.callback.__name__.replace("_", "-") if command.callback else None


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


def discover(environ: dict[str, str], *, reserved: frozenset[str]) -> Plugins:
    """Load the installed plugins, hpocli's own first."""
    found = sorted(entry_points(group=GROUP), key=lambda e: (not _ours(e), e.name))
    if environ.get("HPO_NO_PLUGINS", "") not in ("", "0"):
        found = [entry for entry in found if _ours(entry)]
    return Plugins(found, reserved=reserved)


def _ours(entry: EntryPoint) -> bool:
    return entry.dist is not None and entry.dist.name == "hpocli"
