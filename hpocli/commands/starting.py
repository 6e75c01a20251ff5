"""Registers the commands that help to start: init, schema, plugins."""

from __future__ import annotations

import typer

from hpocli.commands.init import init
from hpocli.commands.plugins import plugins_command
from hpocli.commands.schema import schema
from hpocli.plugins import Plugins


def register(app: typer.Typer, plugins: Plugins) -> None:
    """Add init, schema and plugins."""
    app.command("init")(init)
    app.command("schema")(schema)
    app.command("plugins")(plugins_command(plugins))
