"""`hpo plugins`: what is installed, what it offers, or why it did not load."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer

from hpocli.plugins import PluginInfo, Plugins


def plugins_command(plugins: Plugins) -> Callable[..., None]:
    """Return the command over the plugins that this process loaded."""

    def show_plugins(
        as_json: Annotated[bool, typer.Option("--json", help="A JSON list on stdout.")] = False,
    ) -> None:
        """List plugins: name, distribution, version, executors, or why one did not load."""
        if as_json:
            typer.echo(json.dumps([asdict(info) for info in plugins.infos], indent=2))
            return
        for info in plugins.infos:
            typer.echo(_line(info))
            if info.error:
                typer.echo(f"  did not load fully: {info.error}")
        typer.echo("next: hpo run EXECUTOR --help", err=True)

    return show_plugins


def _line(info: PluginInfo) -> str:
    offers = [f"executors: {', '.join(info.executors)}"] if info.executors else []
    offers += [f"trainers: {', '.join(info.trainers)}"] if info.trainers else []
    return f"{info.name}  {info.distribution} {info.version}  {'; '.join(offers) or '-'}"
