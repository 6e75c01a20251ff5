"""`hpo init`: write a starter sweep file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from hpocli.errors import ConfigError

_TRAINER_HELP = "keras-image, command, or your own function as package.module:function."


def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("sweep.yaml"),
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    trainer: Annotated[str, typer.Option(help=_TRAINER_HELP)] = "keras-image",
) -> None:
    """Write a commented sweep file to start from."""
    from hpocli.starter import starter_text  # noqa: PLC0415 - only this command needs it

    if trainer not in ("keras-image", "command") and ":" not in trainer:
        raise ConfigError(
            f"--trainer {trainer!r}: there is no starter for it",
            hint="keras-image, command, or package.module:function",
        )
    _write(path, starter_text(path.name, trainer), force=force)
    typer.echo(f"Wrote {path}.")
    typer.echo(f"Next: hpo run local {shlex.quote(str(path))}")


def _write(path: Path, text: str, *, force: bool) -> None:
    """Write the file whole; an existing one only with `force`. Raises ConfigError."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{path} exists already", hint=f"replace it: hpo init {path} --force"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from None
