"""What a trial process is given, and what the plugin tells the host."""

import dataclasses
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from hpo_executors import plugin
from hpo_executors.local import environment
from hpo_executors.local.executor import LocalExecutor
from hpo_executors.local.options import LocalOptions
from hpocli.spi import ExecutorContext

SECRETS = [
    "RUNPOD_API_KEY",
    "HF_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "KAGGLE_KEY",
    "PGPASSWORD",
    "my_secret",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "SSH_AUTH_SOCK",
]


@pytest.mark.parametrize("name", SECRETS)
def test_credentials_are_scrubbed_by_name(name):
    assert environment.scrubbed({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize("name", ["TOKENIZERS_PARALLELISM", "KEYBOARD", "PATH", "PYTHONPATH"])
def test_harmless_names_stay(name):
    assert name in environment.scrubbed({name: "x"})


def test_cores_are_divided_and_never_below_one(monkeypatch):
    monkeypatch.setattr(environment, "usable_cores", lambda: 8)
    assert [environment.threads_per_worker(0, n) for n in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert environment.threads_per_worker(5, 2) == 5


def test_without_a_device_the_trial_sees_none():
    given = environment.trial_environment({"CUDA_VISIBLE_DEVICES": "3"}, threads=1, device=None)
    assert given["CUDA_VISIBLE_DEVICES"] == "-1"


@pytest.mark.parametrize(
    ("visible", "found"), [("0,2", ["0", "2"]), ("", []), ("-1", []), ("GPU-a1", ["GPU-a1"])]
)
def test_only_visible_gpus_are_given_out(visible, found):
    assert environment.visible_gpus({"CUDA_VISIBLE_DEVICES": visible}) == found


def test_workers_share_the_gpus_that_are_there(executor, request_for, monkeypatch, tools):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    local = executor(3, gpu=True)
    requests = [request_for("polite") for _ in range(3)]
    for request in requests:
        local.submit_trial(request, lambda _report: None)
    pids = [tools.pids_in(request.workdir)[0] for request in requests]
    assert sorted(map(_device, pids)) == ["4", "4", "6"]


def test_a_gpu_that_is_asked_for_and_missing_is_a_warning(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    context = ExecutorContext(concurrent_workers=1, run_dir=tmp_path)
    LocalExecutor(LocalOptions(gpu=True), context).close()
    assert "no GPU was found" in caplog.text


def test_the_plugin_describes_the_executor_and_its_options(tmp_path):
    [spec] = [s for s in plugin.hpo_register_executors() if s.name == "local"]
    hints = typing.get_type_hints(spec.options, include_extras=True)
    for field in dataclasses.fields(spec.options):
        assert field.default is not dataclasses.MISSING
        assert hints[field.name].__metadata__[0].help
    context = ExecutorContext(concurrent_workers=2, run_dir=tmp_path)
    executor = spec.build(spec.options(), context)
    assert executor.health().capacity == 2
    executor.close()


def test_the_plugin_describes_the_trainers():
    specs = {spec.name: spec for spec in plugin.hpo_register_trainers()}
    assert "val_accuracy" in {o.name for o in specs["keras-image"].objectives}
    assert "digits" in specs["keras-image"].datasets


def test_the_plugin_is_cheap_to_import():
    heavy = "{'tensorflow', 'keras', 'optuna', 'numpy', 'requests', 'pydantic'}"
    code = (
        "import sys; before = set(sys.modules); import hpo_executors.plugin as p;"
        "p.hpo_register_executors(); p.hpo_register_trainers();"
        f"print(sorted({heavy} & (set(sys.modules) - before)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]", out.stdout


def _device(pid):
    lines = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(line.split("=", 1) for line in lines if "=" in line)["CUDA_VISIBLE_DEVICES"]
