"""Reading YAML 1.2: numbers as people mean them, and nothing a sweep file has no use for."""

from __future__ import annotations

import pytest

from hpocli.errors import ConfigError
from hpocli.sweepfile import MAX_BYTES, parse_document, parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        (".5", 0.5),
        ("6.", 6.0),
        ("true", True),
        ("null", None),
        ("~", None),
        ("no", "no"),
        ("on", "on"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("'1'", "1"),
        ('"1e-3"', "1e-3"),
    ],
)
def test_plain_values_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    read = parse_value(text, "here")
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: 1\nb: 2\na: 3", 3, "given twice (first on line 1)"),
        ("s:\n  x: 1\n  x: 2", 3, "given twice"),
        ("a: 1\nb: &x 2", 2, "aliases"),
        ("a: 1\nb: *x", 2, "aliases"),
        ("a: !!python/object:os.system x", 1, "tag"),
        ("a: !!str x", 1, "tag"),
        ("a:\n\tb: 1", 2, "tab"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("a: [1", 1, "not YAML"),
        ("- 1", 1, "a list"),
        ("words", 1, "'words'"),
        ("", 1, "empty"),
        ("# only\n", 1, "empty"),
        ("a: 1\n2: 3", 2, "a key must be text"),
        ("a: 1\n? [x]\n: 3", 2, "a key must be text"),
        ("a: 1\nb: \x07", 2, "character"),
        ('a: 1\nb: "\\ud800"', 2, "surrogate"),
        ('a: 1\nb: "\\0"', 2, "NUL"),
        ("a: " + "[" * 40 + "]" * 40, 1, "nested more than"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(text: str, line: int, word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "s.yaml")
    assert caught.value.message.startswith(f"s.yaml line {line}: ")
    assert word in caught.value.message


def test_an_alias_bomb_ends_at_its_first_anchor() -> None:
    bomb = "a: &a [x,x]\n" + "".join(f"b{i}: &b{i} [*a,*a]\n" for i in range(50))
    with pytest.raises(ConfigError, match="line 1"):
        parse_document(bomb, "s.yaml")


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"\xef\xbb\xbftrials: 3", "line 1: starts with a byte order mark"),
        (b"a: 1\nb: \xff\xfe", "line 2: not UTF-8"),
        (b"#" * (MAX_BYTES + 1), "larger than 1 MiB"),
    ],
)
def test_bytes_that_are_no_sweep_file_are_refused(sweep, raw: bytes, word: str) -> None:
    assert word in sweep.problem(raw)


def test_a_missing_file_says_how_to_write_one(tmp_path, sweep) -> None:
    from hpocli.sweepfile import read_sweep_file

    with pytest.raises(ConfigError) as caught:
        read_sweep_file(tmp_path / "none.yaml")
    assert "hpo init" in caught.value.hint
    with pytest.raises(ConfigError, match="directory"):
        read_sweep_file(tmp_path)


def test_every_key_and_item_has_its_line() -> None:
    document = parse_document("a: 1\nspace:\n  x:\n    low: 3\nl:\n- p\n- q\n", "s.yaml")
    assert document.lines["space", "x", "low"] == 4
    assert document.lines["l", 1] == 7
