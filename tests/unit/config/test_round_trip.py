"""What a run writes down reads back equal, from another folder, and runs again."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hpocli.catalog import Catalog
from hpocli.config import PrunerConfig, RetryConfig, SamplerConfig, SweepConfig
from hpocli.errors import ConfigError
from hpocli.resolve import dump_config, load_config, load_resolved
from hpocli.spacefile import build_space
from hpocli.spi import ExecutorSpec, TrainerRef


@dataclass(frozen=True)
class FarOptions:
    endpoint: str = ""


FAR = Catalog(
    executors={"far": ExecutorSpec(name="far", help="", options=FarOptions, build=FarOptions)},
    trainers={},
)
text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20
)
numbers = st.floats(-1e12, 1e12, allow_nan=False)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), numbers, text)
json_values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(text, v, max_size=3), max_leaves=8
)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)
ranges = st.builds(
    lambda low, width: {"type": "float", "low": low, "high": low + width},
    st.floats(1e-6, 1e6),
    st.floats(0, 1e6),
)
logs = ranges.map(lambda form: {**form, "log": True})
steps = st.builds(
    lambda low, n, step: {"type": "int", "low": low, "high": low + n * step, "step": step},
    st.integers(-1000, 1000),
    st.integers(1, 100),
    st.integers(1, 50),
)
choices = st.lists(scalars, min_size=1, max_size=4, unique_by=lambda v: (v == 1, v == 0, v))
params = st.one_of(ranges, logs, steps, choices, scalars)


@st.composite
def spaces(draw):
    declared = draw(st.dictionaries(names, params, min_size=1, max_size=5))
    declared["parent"] = ["a", "b", "c"]
    declared["child"] = {
        "type": "float",
        "low": 0,
        "high": 1,
        "when": {"parent": draw(st.sampled_from(["a", ["a", "b"]]))},
    }
    return build_space(declared, {})


@st.composite
def configs(draw):
    trainer = TrainerRef(
        kind="command",
        name="command",
        command=("prog", draw(text).replace("{", "").replace("}", "")),
        pythonpath=(tempfile.gettempdir(),),
    )
    return SweepConfig(
        trainer=trainer,
        settings=draw(st.dictionaries(text, json_values, max_size=3)),
        objectives=("a", "b"),
        directions=("minimize", "maximize"),
        space=draw(spaces()),
        sampler=SamplerConfig(name="random"),
        pruner=PrunerConfig(name="none"),
        enqueue=({"parent": "b"}, {}),
        warm_start=tuple(draw(st.lists(text, max_size=2))),
        trust=tuple(draw(st.lists(text, max_size=2))),
        seed=draw(st.integers(0, 2**32 - 1)),
        trials=draw(st.integers(1, 1_000_000)),
        health_weight=draw(st.floats(0, 1)),
        timeout_s=draw(st.none() | st.floats(1e-3, 1e6)),
        retries=RetryConfig(lost=draw(st.integers(0, 20))),
        run_name=draw(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)),
        runs_dir=draw(text),
        max_failures=draw(st.none() | st.integers(0, 9)),
        executor="far",
        executor_options={"endpoint": draw(text)},
    )


@settings(max_examples=60, deadline=None)
@given(config=configs())
def test_any_resolved_configuration_reads_back_equal(config: SweepConfig) -> None:
    assume(config.run_name != "latest")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sweep.yaml"
        path.write_text(dump_config(config), encoding="utf-8")
        assert load_resolved(path, FAR) == config


@pytest.mark.parametrize(
    "text",
    [
        "dataset: digits\nspace: {optimizer: sgd, learning_rate: {log: false}, dropout: 0.1}\n",
        "dataset: data.npz\nspace: {momentum: {when: {}}}\ncache: /x\n",
        "dataset: digits\nmode: health\noptimize_for: [overall_health, val_loss]\n",
        "trainer: train:objective\nspace: {x: [1, 2]}\ndirection: minimize\n",
        "command: [echo, '{x}', '{settings.deep.er}']\nsettings: {deep: {er: 1}}\nspace: {x: [1, 2]}\n",
    ],
)
def test_a_run_reads_its_own_file_from_another_folder(sweep, catalog, tmp_path, text) -> None:
    (tmp_path / "train.py").write_text("def objective(ctx): ...\n")
    (tmp_path / "data.npz").touch()
    config = sweep.load(text)
    path = tmp_path / "runs" / "one" / "sweep.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(dump_config(config))
    assert load_resolved(path, catalog) == config
    again = load_config(
        executor="local",
        sweep_file=path,
        assignments=[],
        environ={},
        options={},
        catalog=catalog,
        cwd=tmp_path,
    )
    assert again == config


def test_a_resumed_run_may_be_changed_by_key_value(sweep, catalog, tmp_path) -> None:
    path = tmp_path / "resolved.yaml"
    path.write_text(dump_config(sweep.load("dataset: digits\n")))
    assert load_resolved(path, catalog, ["trials=50"]).trials == 50
    with pytest.raises(ConfigError, match=r"argument trials=x"):
        load_resolved(path, catalog, ["trials=x"])


def test_a_users_file_is_not_taken_for_a_runs(tmp_path, catalog) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("dataset: digits\n")
    with pytest.raises(ConfigError, match="names no executor"):
        load_resolved(path, catalog)
