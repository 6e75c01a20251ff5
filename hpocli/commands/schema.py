"""`hpo schema`: print the JSON Schema of the sweep file."""

from __future__ import annotations

import json
import os

import typer

from hpocli.sweepkeys import SWEEP_KEYS


def schema() -> None:
    """Print the JSON Schema of the sweep file, for editors and other checks."""
    from hpocli.plugins import discover  # noqa: PLC0415 - as late as the rest
    from hpocli.sweepschema import schema_document  # noqa: PLC0415 - brings pydantic

    catalog = discover(dict(os.environ), reserved=SWEEP_KEYS).catalog
    typer.echo(json.dumps(schema_document(catalog), indent=2))
