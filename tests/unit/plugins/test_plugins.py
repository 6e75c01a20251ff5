"""Discovery, isolation and clashes, with real distributions written to a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from importlib.metadata import distributions
from pathlib import Path

import pytest

from hpocli.plugins import GROUP, Plugins
from hpocli.sweepkeys import SWEEP_KEYS

AUTHOR = Path(__file__).parents[2] / "typing" / "plugin_author.py"


def install(site: Path, name: str, source: str, version: str = "1.0") -> None:
    """Write a distribution as an installer would: a module and its metadata."""
    module = name.replace("-", "_")
    (site / f"{module}.py").write_text(textwrap.dedent(source))
    info = site / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{module} = {module}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def load(site: Path) -> Plugins:
    entries = [e for d in distributions(path=[str(site)]) for e in d.entry_points]
    for entry in entries:
        sys.modules.pop(entry.module, None)  # of an earlier test, from another folder
    return Plugins(sorted(entries, key=lambda e: e.name), reserved=SWEEP_KEYS)


def executor_source(name: str, option: str = "speed", default: str = " = 1") -> str:
    return f"""
        from dataclasses import dataclass
        from hpocli.spi import ExecutorSpec, hookimpl

        @dataclass(frozen=True)
        class Options:
            {option}: int{default}

        @hookimpl
        def hpo_register_executors():
            return [ExecutorSpec(name={name!r}, help="x", options=Options, build=lambda o, c: None)]
        """


def errors(plugins: Plugins) -> dict[str, str]:
    return {info.distribution: info.error for info in plugins.infos if info.error}


def test_a_strangers_executor_is_found(site):
    install(site, "good-one", executor_source("good"))
    plugins = load(site)
    assert list(plugins.catalog.executors) == ["good"]
    assert [(i.distribution, i.version, i.executors) for i in plugins.infos] == [
        ("good-one", "1.0", ["good"])
    ]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("import not_there_at_all", "ModuleNotFoundError"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("def broken(:", "SyntaxError"),
        (
            "from hpocli.spi import hookimpl\n@hookimpl\ndef hpo_register_executors():\n    1/0",
            "ZeroDivisionError",
        ),
        (
            "from hpocli.spi import *\n@hookimpl\ndef hpo_register_executors():\n    return ['x']",
            "not a ExecutorSpec",
        ),
        (
            "from hpocli.spi import hookimpl\n@hookimpl\ndef hpo_on_event(wrong_name):\n    pass",
            "PluginValidationError",
        ),
    ],
)
def test_a_broken_plugin_is_one_line_and_the_rest_work(site, source, text):
    install(site, "a-broken", source)
    install(site, "b-good", executor_source("good"))
    plugins = load(site)
    assert text in errors(plugins)["a-broken"]
    assert "\n" not in errors(plugins)["a-broken"]
    assert list(plugins.catalog.executors) == ["good"]


def test_a_name_clash_is_an_error_that_names_both(site):
    install(site, "a-first", executor_source("same"))
    install(site, "b-second", executor_source("same"))
    plugins = load(site)
    assert list(plugins.catalog.executors) == ["same"]
    assert "a-first" in errors(plugins)["b-second"]


def test_an_option_that_is_hpos_own_key_is_refused(site):
    install(site, "greedy", executor_source("greedy", option="trials"))
    plugins = load(site)
    assert "'trials' is a key of hpo's own" in errors(plugins)["greedy"]
    assert not plugins.catalog.executors


def test_an_option_without_a_default_is_refused(site):
    install(site, "strict", executor_source("strict", default=""))
    assert "needs a default" in errors(load(site))["strict"]


COMMAND = """
    import typer
    from hpocli.spi import hookimpl

    @hookimpl
    def hpo_register_commands(app):
        @app.command("{name}")
        def hello():
            "Say hello."
            typer.echo("hello from a stranger")
    """

WATCHER = """
    import os
    from hpocli.spi import hookimpl

    @hookimpl
    def hpo_on_event(event):
        with open(os.environ["WATCH"], "a") as file:
            file.write(event.event.name + "\\n")
        if event.event.name == "trial_started":
            raise RuntimeError("a plugin's bug")
    """


def hpo(site: Path, *arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hpocli", *arguments], check=False,
        capture_output=True, text=True, timeout=120, cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(site), **env},
    )  # fmt: skip


def test_a_strangers_command_works_and_cannot_take_a_name(site, tmp_path):
    install(site, "a-cmd", COMMAND.format(name="hello"))
    install(site, "b-cmd", COMMAND.format(name="resume"))
    done = hpo(site, "hello", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "hello from a stranger\n")
    listed = hpo(site, "plugins", cwd=tmp_path).stdout
    assert "command 'resume' is already taken" in listed
    assert "Go on with a run" in hpo(site, "resume", "--help", cwd=tmp_path).stdout


def test_a_strangers_executor_runs_a_sweep_and_a_watcher_sees_it(site, tmp_path):
    install(site, "mine", AUTHOR.read_text())
    install(site, "watcher", WATCHER)
    (tmp_path / "job.py").write_text("def f(ctx):\n    return 0.0\n")
    sweep = "trainer: job:f\ntrials: 3\nspace:\n  x: {type: float, low: 0, high: 1}\n"
    (tmp_path / "s.yaml").write_text(sweep)
    watch = tmp_path / "seen"
    done = hpo(
        site, "run", "mine", "s.yaml", "--bonus", "10", cwd=tmp_path, WATCH=str(watch)
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen = watch.read_text().split()
    assert seen[0] == "run_started"
    assert seen.count("trial_started") == 1, "a watcher that raises is not called again"
    best = hpo(site, "trials", "latest", "--format", "json", cwd=tmp_path).stdout
    assert '"value": 10.' in best
    assert hpo(site, "run", "--help", cwd=tmp_path).stdout.count("mine") >= 1


def test_no_plugins_at_all_can_be_asked_for(site, tmp_path):
    install(site, "mine", AUTHOR.read_text())
    assert "mine" in hpo(site, "plugins", cwd=tmp_path).stdout
    assert "mine" not in hpo(site, "plugins", cwd=tmp_path, HPO_NO_PLUGINS="1").stdout
    shutil.rmtree(site)
