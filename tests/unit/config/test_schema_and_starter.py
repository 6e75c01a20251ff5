"""The JSON Schema says what the reader takes, the starter is taken, the docs name every key."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

from hpo_executors.local.options import LOCAL
from hpo_handler.catalog import TRAINERS
from hpocli.catalog import Catalog
from hpocli.commands.init import init
from hpocli.config import SweepConfig
from hpocli.errors import ConfigError
from hpocli.resolve import load_config
from hpocli.spi import ObjectiveSpec, TrainerSpec
from hpocli.starter import starter_text
from hpocli.sweepfile import parse_document, read_sweep_file
from hpocli.sweepform import PRUNERS, SAMPLERS, SweepForm
from hpocli.sweepkeys import SWEEP_KEYS
from hpocli.sweepschema import schema_document

ROOT = Path(__file__).parents[3]


@pytest.fixture
def validator(catalog) -> jsonschema.Draft202012Validator:
    document = schema_document(catalog)
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


@pytest.mark.parametrize(
    "text",
    [
        "dataset: digits",
        "sampler: {name: tpe, n_startup_trials: 3}\npruner: none",
        "optimize_for: [a, b]\ndirections: [minimize, maximize]",
        "timeout: 1h30m\ntrial_timeout: 90",
        "space: {a: 3, b: [x, y], c: {high: 1}, d: {choices: [1, 2], when: {b: [x]}}}",
        "threads: 3\nendpoint: x",
        "enqueue: [{a: 3}]\nwarm_start: one",
    ],
)
def test_the_schema_takes_what_the_reader_takes(validator, text: str) -> None:
    assert list(validator.iter_errors(parse_document(text, "x").data)) == []


@pytest.mark.parametrize(
    "text",
    [
        "triasl: 3",
        "trials: x",
        "trials: 0",
        "mode: healty",
        "sampler: tpee",
        "sampler: {name: tpee}",
        "space: {x: {hihg: 3}}",
        "space: {x: []}",
        "space: {x: {type: float, low: a}}",
        "timeout: 1x",
        "threads: -1",
        "retries: {lsot: 1}",
        "command: x",
        "run_name: ../x",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(validator, sweep, text: str) -> None:
    assert list(validator.iter_errors(parse_document(text, "x").data))
    with pytest.raises(ConfigError):
        sweep.load(("" if "dataset" in text else "dataset: digits\n") + text)


def real_catalog() -> Catalog:
    trainers = {
        name: TrainerSpec(
            **{**spec, "objectives": [ObjectiveSpec(**each) for each in spec["objectives"]]}
        )
        for name, spec in TRAINERS.items()
    }
    return Catalog(executors={"local": LOCAL}, trainers=trainers)


def resolve(path: Path) -> SweepConfig:
    return load_config(
        executor="local",
        sweep_file=path,
        assignments=[],
        environ={},
        options={},
        catalog=real_catalog(),
        cwd=path.parent,
    )


def test_every_example_fits_the_schema_and_resolves() -> None:
    examples = sorted((ROOT / "examples").rglob("*.yaml"))
    validator = jsonschema.Draft202012Validator(schema_document(real_catalog()))
    assert examples
    for example in examples:
        errors = validator.iter_errors(dict(read_sweep_file(example).data))
        assert [error.message for error in errors] == [], example.name
        assert resolve(example).executor == "local"


def test_the_keys_known_without_pydantic_are_the_forms() -> None:
    assert set(SweepForm.model_fields) == SWEEP_KEYS


def test_the_reference_names_every_key_with_its_default() -> None:
    reference = (ROOT / "docs" / "sweep-file.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|", reference, re.MULTILINE))
    assert set(rows) == SWEEP_KEYS
    for name, field in SweepForm.model_fields.items():
        if isinstance(field.default, bool):
            assert rows[name] == f"`{str(field.default).lower()}`", name
        elif isinstance(field.default, int | float | str):
            assert rows[name] == f"`{field.default}`", name
    for name in (*SAMPLERS, *PRUNERS):
        assert f"`{name}`" in reference


def test_the_starter_for_images_resolves(tmp_path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(starter_text("sweep.yaml", "keras-image"))
    config = resolve(path)
    assert (config.dataset, config.trainer.name) == ("digits", "keras-image")
    assert dict(config.space.fixed)["kernel_size"] == 3


def test_the_starters_for_own_code_resolve(sweep, tmp_path) -> None:
    (tmp_path / "train.py").write_text("def objective(ctx): ...\n")
    config = sweep.load(starter_text("s.yaml", "train:objective"))
    assert config.trainer.name == "train:objective"
    config = sweep.load(starter_text("s.yaml", "command"))
    assert config.trainer.command[0] == "python3"


def test_init_writes_a_file_and_says_what_is_next(tmp_path, capsys) -> None:
    path = tmp_path / "my sweep.yaml"
    init(path)
    said = capsys.readouterr().out
    assert f"hpo run local '{path}'" in said
    assert "dataset: digits" in path.read_text()


def test_init_replaces_a_file_only_when_forced(tmp_path, capsys) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text("mine")
    with pytest.raises(ConfigError) as caught:
        init(path)
    assert "--force" in caught.value.hint
    assert path.read_text() == "mine"
    init(path, force=True)
    assert path.read_text() != "mine"
    with pytest.raises(ConfigError, match="cannot write"):
        init(tmp_path / "none" / "sweep.yaml")
    with pytest.raises(ConfigError, match="no starter"):
        init(path, force=True, trainer="keras-text")
