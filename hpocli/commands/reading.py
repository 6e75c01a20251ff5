"""Registers the commands that only read run folders."""

from __future__ import annotations

import typer

from hpocli.commands.best import best
from hpocli.commands.ls import ls
from hpocli.commands.show import show
from hpocli.commands.trials import trials


def register(app: typer.Typer) -> None:
    """Add ls, show, trials and best."""
    for command in (ls, show, trials, best):
        app.command(command.__name__)(command)
