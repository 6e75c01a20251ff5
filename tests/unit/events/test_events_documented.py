"""docs/events.md, docs/events.schema.json and the event classes say the same."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from hpocli import events as ev

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = json.loads((DOCS / "events.schema.json").read_text())
TEXT = (DOCS / "events.md").read_text()
NAMES = sorted(ev.EVENT_TYPES)
ENVELOPE = {"v", "seq", "ts", "t", "event"}

SAMPLES = {
    "str": "text",
    "int": 3,
    "float": 0.5,
    "float | None": None,
    "int | None": 4,
    "tuple[str, ...]": ("a", "b"),
    "tuple[float, ...]": (0.5, 2.0),
    "Mapping[str, float]": {"loss": 0.25},
    "Mapping[str, JsonScalar]": {"lr": 0.1, "opt": "adam", "bn": True, "x": None},
}


def section(name: str) -> str:
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"docs/events.md has no section {name}"
    return found[1]


def sample(name: str, *, full: bool) -> ev.Record:
    cls = ev.EVENT_TYPES[name]
    wanted = [f for f in dataclasses.fields(cls) if full or _required(f)]
    event = cls(**{f.name: SAMPLES[str(f.type)] for f in wanted})
    return ev.Record(seq=1, ts=1_800_000_000.25, event=event)


def _required(field: dataclasses.Field) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


@pytest.mark.parametrize("name", NAMES)
def test_every_field_is_documented_and_nothing_else_is(name):
    documented = re.findall(r"^\| `(\w+)` \|", section(name), re.MULTILINE)
    assert documented == [f.name for f in dataclasses.fields(ev.EVENT_TYPES[name])]


@pytest.mark.parametrize("name", NAMES)
def test_the_documented_sentence_is_the_one_in_the_code(name):
    assert " ".join(ev.EVENT_TYPES[name].__doc__.split()) in section(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_names_the_same_fields_and_requires_those_without_a_default(name):
    fields = dataclasses.fields(ev.EVENT_TYPES[name])
    definition = SCHEMA["$defs"][name]
    assert set(definition["properties"]) == ENVELOPE | {f.name for f in fields}
    assert set(definition["required"]) == ENVELOPE | {f.name for f in fields if _required(f)}


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_written_record_satisfies_the_schema(name, full):
    line = json.loads(sample(name, full=full).to_json())
    Draft202012Validator(SCHEMA).validate(line)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_type_in_any_field_breaks_the_schema(name):
    validator = Draft202012Validator(SCHEMA)
    good = json.loads(sample(name, full=True).to_json())
    for field in dataclasses.fields(ev.EVENT_TYPES[name]):
        assert not validator.is_valid(good | {field.name: [{"not": "this"}]}), field.name


def test_the_schema_knows_exactly_the_events_of_the_code():
    assert sorted(SCHEMA["$defs"]) == NAMES
    assert not Draft202012Validator(SCHEMA).is_valid({"event": "made_up"})
    assert f"version {ev.SCHEMA_VERSION}" in TEXT


def test_a_reader_may_meet_fields_it_does_not_know():
    line = json.loads(sample("warned", full=True).to_json()) | {"added_later": 1}
    Draft202012Validator(SCHEMA).validate(line)
    assert ev.parse_record(json.dumps(line)).event.message == "text"
