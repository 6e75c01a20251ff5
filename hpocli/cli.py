"""The `hpo` command: builds the Typer app and is the one place that maps errors to exit codes."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hpocli._version import __version__
from hpocli.commands import reading, running, starting
from hpocli.errors import ExitCode, HpoError
from hpocli.plugins import Plugins, discover
from hpocli.sweepkeys import SWEEP_KEYS

_HELP = """Drive hyperparameter sweeps whose trials run somewhere else.

`hpo run local sweep.yaml` starts one; `hpo resume RUN` goes on after any kind of end."""


class _InOrderOfUse(TyperGroup):
    """Lists the commands in the order in which a newcomer meets them, strangers' last."""

    _ORDER = ("init", "run", "resume", "ls", "show", "trials", "best", "plugins", "schema")

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        names = super().list_commands(ctx)
        known = [name for name in self._ORDER if name in names]
        return known + [name for name in names if name not in known]


def _show_version(value: bool) -> None:  # noqa: FBT001 - the signature of an option callback
    if value:
        typer.echo(f"hpo {__version__}")
        raise typer.Exit


def build_app(plugins: Plugins) -> typer.Typer:
    """Return the whole command tree, with one `run` sub-command for each executor."""
    app = typer.Typer(
        name="hpo",
        cls=_InOrderOfUse,
        help=_HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root(
        version: Annotated[
            bool,
            typer.Option("--version", callback=_show_version, is_eager=True, help="Show version."),
        ] = False,
    ) -> None:
        del version

    running.register(app, plugins)
    reading.register(app)
    starting.register(app, plugins)
    plugins.register_commands(app)
    return app


def main() -> None:
    """Run the command line and exit with a documented status (docs/exit-codes.md)."""
    _open_standard_streams()
    code = run(sys.argv[1:])
    gc.freeze()  # spares the interpreter its last search for cycles: a fifth of `hpo --help`
    sys.exit(code)


def _open_standard_streams() -> None:
    """Give /dev/null to streams that were closed, lest a run's file becomes standard output."""
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                null = os.open(os.devnull, os.O_RDWR)
                if null != fd:
                    os.dup2(null, fd)
                    os.close(null)
                setattr(sys, name, os.fdopen(fd, "w" if fd else "r", closefd=False))


def run(arguments: list[str]) -> int:
    """Run one command; return its exit status. Whatever happens, no traceback reaches the user."""
    try:
        plugins = discover(dict(os.environ), reserved=SWEEP_KEYS)
        result = build_app(plugins)(arguments, prog_name="hpo", standalone_mode=False)
        return int(result) if isinstance(result, int) else ExitCode.OK
    except HpoError as error:
        return _say(error.message, error.hint, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", "", ExitCode.INTERRUPTED)
    except typer.Exit as error:
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:  # noqa: BLE001 - the edge: every error becomes a sentence
        return _unexpected(error)


def _unexpected(error: Exception) -> int:
    show = getattr(error, "format_message", None)
    if show is not None:  # a usage error of the command-line parser
        text = str(show())  # empty where the help was shown for want of a command
        return _say(text, _usage_hint(error), ExitCode.USAGE) if text else ExitCode.USAGE
    if os.environ.get("HPO_DEBUG"):
        traceback.print_exception(error)
    return _say(
        f"a bug in hpo: {type(error).__name__}: {error}",
        "run it again with HPO_DEBUG=1 and report what it shows",
        ExitCode.FAILED,
    )


def _usage_hint(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return f"see: {context.command_path} --help" if context is not None else "see: hpo --help"


def _say(message: str, hint: str, code: int) -> int:
    from hpocli.logs import redact  # noqa: PLC0415 - only where there is something to say

    typer.echo(f"error: {redact(message)}", err=True)
    if hint:
        typer.echo(f"hint: {redact(hint)}", err=True)
    return code
