"""How numbers, times and foreign text are shown to a person. Pure functions on text.

Whatever a worker, a log or a file says passes `clean` before it reaches a terminal or a table.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from hpocli.logs import redact
from hpocli.runs import RunFolder
from hpocli.spi import JsonScalar

_INVISIBLE = re.compile("[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_SPACE = re.compile(r"[ \t\r\n]+")


def clean(text: object, limit: int = 200) -> str:
    """Return `text` as one harmless line of at most `limit` characters, without secrets.

    Control characters become `^X`, direction and zero-width marks vanish, runs of white space
    become one blank.
    """
    line = _SPACE.sub(" ", redact(str(text)[: 20 * limit])).strip()
    line = _CONTROL.sub(lambda m: "^" + chr(ord(m[0]) % 64 + 64), _INVISIBLE.sub("", line))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def number(value: float) -> str:
    """Return a number in about four significant digits, e.g. `0.9833`, `12400`, `1.3e-05`."""
    if value == int(value) and abs(value) < 1e7:
        return str(int(value)) if isinstance(value, int) else f"{value:.1f}"
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.4g}"


def scalar(value: JsonScalar) -> str:
    """Return one parameter value, cleaned."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return number(value) if isinstance(value, int | float) else clean(value, 60)


def counted(count: int, noun: str) -> str:
    """Return `1 trial` or `3 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def step_word(trainer: str) -> str:
    """Return what a step of `trainer` is called: only the built-in ones train in epochs."""
    return "step" if trainer == "command" or ":" in trainer else "epoch"


def params_line(params: Mapping[str, JsonScalar]) -> str:
    """Return `name=value` pairs, two blanks apart."""
    return "  ".join(f"{clean(name, 60)}={scalar(value)}" for name, value in params.items())


def duration(seconds: float | None) -> str:
    """Return a duration in its two largest units: `3.2 s`, `1 min 31 s`, `2 h 05 min`."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def run_argument(folder: RunFolder, environ: Mapping[str, str] | None = None) -> str:
    """Return what to type for RUN: the name, or the path where that alone would not be found."""
    env = os.environ if environ is None else environ
    home = Path(env.get("HPO_RUNS_DIR") or "runs")
    known = folder.root.parent.resolve() == home.resolve()
    path = folder.root if len(folder.root.parts) > 1 else folder.root.resolve()
    return shlex.quote(folder.name if known else str(path))
