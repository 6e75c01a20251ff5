"""Reading YAML 1.2 with positions, and refusing what a sweep file has no use for.

PyYAML reads YAML 1.1, where `1e-3` is text, `no` is false and `12:30` is 750. Here plain values
follow the core schema of YAML 1.2; aliases, tags, repeated keys and further documents are errors
that carry their line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hpocli.errors import ConfigError
from hpocli.wording import describe, short

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 20
MAX_DIGITS = 400
KeyPath = tuple[str | int, ...]

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_INF = re.compile(r"([-+]?)\.(inf|Inf|INF)\Z")
_NAN = frozenset((".nan", ".NaN", ".NAN"))


@dataclass(frozen=True, slots=True)
class Document:
    """A mapping read from YAML. `lines` holds the 1-based line of every key and list item."""

    data: Mapping[str, Any]
    lines: Mapping[KeyPath, int]


def read_sweep_file(path: Path) -> Document:
    """Read a sweep file. Raises ConfigError, with the line where there is one."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"there is no sweep file {str(path)!r}", hint=f"write one: hpo init {path.name}"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror}") from None
    return parse_document(_decode(raw, path.name), path.name)


def _decode(raw: bytes, name: str) -> str:
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{name}: larger than 1 MiB; a sweep file is a few kilobytes")
    if raw.startswith(b"\xef\xbb\xbf"):
        raise ConfigError(
            f"{name} line 1: starts with a byte order mark", hint="save it as UTF-8 without BOM"
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name} line {line}: not UTF-8 text", hint="save it as UTF-8") from None


def parse_document(text: str, name: str) -> Document:
    """Read `text` as one mapping; `name` goes into the messages."""
    reader = _Reader(text, name)
    value = reader.read()
    if value is None:
        raise ConfigError(f"{name} line 1: the file is empty", hint="write a starter: hpo init")
    if not isinstance(value, dict):
        raise ConfigError(
            f"{name} line {reader.first_line}: must hold `key: value` lines, not {describe(value)}"
        )
    return Document(data=value, lines=reader.lines)


def parse_value(text: str, where: str) -> Any:
    """Read the right-hand side of key=value, e.g. `1e-3`, `[adam, sgd]` or `{low: 1}`."""
    return _Reader(text, where, numbered=False).read()


def parse_scalar(text: str) -> Any:
    """Return the YAML 1.2 core meaning of a plain value: None, bool, int, float or the text."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    number = _number(text)
    return text if number is None else number


def _number(text: str) -> int | float | None:
    if _INT.match(text) and len(text) <= MAX_DIGITS:
        return int(text)
    if _BASED.match(text) and len(text) <= MAX_DIGITS:
        return int(text, 0)
    if _FLOAT.match(text):
        return float(text)
    if match := _INF.match(text):
        return -math.inf if match[1] == "-" else math.inf
    return math.nan if text in _NAN else None


def unstorable(text: str) -> bool:
    """Say whether a text cannot go into a file or a database: NUL, or half a surrogate pair."""
    return "\0" in text or any("\ud800" <= c <= "\udfff" for c in text)


class _Reader:
    """Builds plain data from YAML events; `lines` fills up on the way."""

    def __init__(self, text: str, name: str, *, numbered: bool = True) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.first_line = 1
        self._name = name
        self._numbered = numbered
        self._text = text

    def read(self) -> Any:
        """Return the one document, or None where there is none."""
        try:
            self._events = yaml.parse(self._text, Loader=yaml.SafeLoader)
            return self._document()
        except yaml.reader.ReaderError as error:
            line = self._text.count("\n", 0, int(error.position)) + 1
            raise self._error("holds a character that text files do not hold", line) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self._error(_plain_problem(error), mark.line + 1 if mark else 1) from None

    def _document(self) -> Any:
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self._error("a second document starts here", _line(event))
            elif isinstance(event, yaml.NodeEvent):
                self.first_line = _line(event)
                value = self._node(event, ())
        return value

    def _node(self, event: Any, path: KeyPath) -> Any:
        self._refuse(event, path)
        if isinstance(event, yaml.ScalarEvent):
            if unstorable(event.value):
                raise self._error("holds a NUL or half a surrogate pair", _line(event))
            return parse_scalar(event.value) if event.implicit[0] else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _refuse(self, event: Any, path: KeyPath) -> None:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            mark = "*" if isinstance(event, yaml.AliasEvent) else "&"
            raise self._error(f"{mark}{event.anchor}: aliases and anchors are not read", line)
        if event.tag is not None:
            raise self._error(f"the tag {short(repr(event.tag))} is not read", line)
        if len(path) > MAX_DEPTH:
            raise self._error(f"nested more than {MAX_DEPTH} deep", line)

    def _sequence(self, path: KeyPath) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            here = (*path, len(found))
            self.lines[here] = _line(event)
            found.append(self._node(event, here))
        return found

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            if key in found:
                first = self.lines[(*path, key)]
                also = f" (first on line {first})" if self._numbered else ""
                raise self._error(f"the key {key!r} is given twice{also}", _line(event))
            here = (*path, key)
            self.lines[here] = _line(event)
            found[key] = self._node(next(self._events), here)
        return found

    def _key(self, event: Any, path: KeyPath) -> str:
        self._refuse(event, path)
        key = event.value if isinstance(event, yaml.ScalarEvent) else None
        if (
            not key
            or unstorable(key)
            or (event.implicit[0] and not isinstance(parse_scalar(key), str))
        ):
            shown = describe(parse_scalar(key)) if key is not None else "a list or mapping"
            raise self._error(f"a key must be text, not {shown}", _line(event))
        return str(key)

    def _error(self, problem: str, line: int) -> ConfigError:
        where = f"{self._name} line {line}" if self._numbered else self._name
        return ConfigError(f"{where}: {problem}")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _plain_problem(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or error.context or "not YAML")
    if "'\\t'" in problem:
        return "a tab is used where YAML wants spaces"
    return f"not YAML: {short(problem)}"
