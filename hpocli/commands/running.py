"""`hpo run <executor>` (generated from each executor's options) and `hpo resume`."""

from __future__ import annotations

import dataclasses
import inspect
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Optional, get_args, get_origin, get_type_hints

import typer

from hpocli.errors import ConfigError
from hpocli.plugins import Plugins
from hpocli.spi import ExecutorSpec

_ARGUMENTS_HELP = "[SWEEP.yaml] [KEY=VALUE ...]: a sweep file, and keys that override it."
Json = Annotated[bool, typer.Option("--json", help="Events as JSON lines on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the final lines.")]


def register(app: typer.Typer, plugins: Plugins) -> None:
    """Add `run` with one sub-command for each executor, and `resume`."""
    group = typer.Typer(help="Start a sweep on an executor.", no_args_is_help=True)
    for spec in plugins.catalog.executors.values():
        group.command(spec.name, help=_command_help(spec))(_run_command(spec, plugins))
    app.add_typer(group, name="run")
    app.command("resume")(_resume_command(plugins))


def _command_line() -> str:
    return shlex.join(["hpo", *sys.argv[1:]])


def _command_help(spec: ExecutorSpec) -> str:
    return (
        f"{spec.help}\n\nExample: `hpo run {spec.name} sweep.yaml trials=50`. Keys: `hpo schema`"
        " and docs/sweep-file.md. Later wins: file, environment (HPO_TRIALS=50), key=value, option."
    )


def _run_command(spec: ExecutorSpec, plugins: Plugins) -> Callable[..., int]:
    """Return the function whose signature Typer turns into this executor's command line."""

    def command(**values: Any) -> int:
        arguments: list[str] = values.pop("arguments") or []
        as_json, quiet = values.pop("json"), values.pop("quiet")
        sweep_file, assignments = split_arguments(arguments)
        from hpocli.runner import start_run  # noqa: PLC0415 - heavy, and only needed here
        from hpocli.session import View  # noqa: PLC0415 - same reason

        return start_run(
            executor=spec.name,
            sweep_file=sweep_file,
            assignments=assignments,
            options={name: value for name, value in values.items() if value is not None},
            plugins=plugins,
            command=_command_line(),
            view=View(environ=dict(os.environ), as_json=as_json, quiet=quiet),
        )

    command.__signature__ = _signature(spec)  # type: ignore[attr-defined]  # Typer reads it
    return command


def _signature(spec: ExecutorSpec) -> inspect.Signature:
    keyword = inspect.Parameter.KEYWORD_ONLY
    fixed = [
        inspect.Parameter(
            "arguments",
            keyword,
            default=None,
            annotation=Annotated[Optional[list[str]], typer.Argument(help=_ARGUMENTS_HELP)],  # noqa: UP045 - Typer reads it
        ),
        inspect.Parameter("json", keyword, default=False, annotation=Json),
        inspect.Parameter("quiet", keyword, default=False, annotation=Quiet),
        inspect.Parameter(
            "runs_dir",
            keyword,
            default=None,
            annotation=Annotated[
                Optional[str],  # noqa: UP045 - Typer reads it
                typer.Option(help="Where run folders are kept. [env: HPO_RUNS_DIR, default: runs]"),
            ],
        ),
    ]
    hints = get_type_hints(spec.options, include_extras=True)
    own = [_parameter(f, hints[f.name]) for f in dataclasses.fields(spec.options)]
    return inspect.Signature([*fixed, *own], return_annotation=int)


def _parameter(option: dataclasses.Field[Any], hint: Any) -> inspect.Parameter:
    """Make an option whose absence can be told apart, so that a sweep file's value stands."""
    kind, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    default = option.default
    if default is dataclasses.MISSING and option.default_factory is not dataclasses.MISSING:
        default = option.default_factory()
    infos = [extra for extra in extras if hasattr(extra, "param_decls")] or [typer.Option()]
    infos[0].help = f"{infos[0].help or ''} [default: {default}]".strip()
    infos[0].show_default = False
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[Optional[kind], infos[0]],  # noqa: UP045 - Typer reads it
    )


def split_arguments(arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """Tell the sweep file from the key=value pairs. Raises ConfigError for a second file."""
    files = [a for a in arguments if "=" not in a]
    if len(files) > 1:
        raise ConfigError(
            f"{files[1]!r} is neither the sweep file ({files[0]!r} is) nor KEY=VALUE",
            hint="write overrides as key=value, e.g. trials=50",
        )
    return (Path(files[0]) if files else None), [a for a in arguments if "=" in a]


def _resume_command(plugins: Plugins) -> Callable[..., int]:
    def resume(
        run: Annotated[str, typer.Argument(help="A run's name, a unique prefix, or `latest`.")],
        overrides: Annotated[
            Optional[list[str]],  # noqa: UP045 - Typer reads it
            typer.Argument(help="KEY=VALUE pairs, e.g. trials=50."),
        ] = None,
        json: Json = False,
        quiet: Quiet = False,
        runs_dir: Annotated[
            str, typer.Option(envvar="HPO_RUNS_DIR", help="Where run folders are kept.")
        ] = "runs",
    ) -> int:
        """Go on with a run after any kind of end: nothing finished is repeated, nothing is lost."""
        from hpocli.runner import resume_run  # noqa: PLC0415 - heavy, and only needed here
        from hpocli.session import View  # noqa: PLC0415 - same reason

        bad = [text for text in overrides or [] if "=" not in text]
        if bad:
            raise ConfigError(f"{bad[0]!r} is not KEY=VALUE", hint="e.g. trials=50")
        return resume_run(
            name=run,
            overrides=overrides or [],
            runs_dir=Path(runs_dir),
            plugins=plugins,
            command=_command_line(),
            view=View(environ=dict(os.environ), as_json=json, quiet=quiet),
        )

    return resume
