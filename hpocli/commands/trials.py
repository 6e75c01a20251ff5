"""`hpo trials`: the trials of a run as a table or as data."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hpocli.commands.arguments import Format
from hpocli.commands.loading import open_run, write_next, write_out
from hpocli.errors import ConfigError
from hpocli.lines import labelled
from hpocli.ranking import directions, objectives
from hpocli.results import trial_rows, trials_csv
from hpocli.runs import RunFolder
from hpocli.show import clean, duration, number, params_line, run_argument, scalar
from hpocli.state import RunState
from hpocli.statuses import ENDED, OPEN

Row = Mapping[str, Any]
_WHERE = re.compile(r"\s*([\w.\-]+)\s*(<=|>=|!=|==|<|>|=)\s*(.*?)\s*")
_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def print_trials(
    run: str,
    runs_dir: Path,
    *,
    sort: str,
    reverse: bool,
    states: list[str],
    where: list[str],
    limit: int | None,
    output: Format,
) -> None:
    """Print the trials of a run that are asked for; sorting by value puts the best on top."""
    folder, found = open_run(runs_dir, run)
    everything = trial_rows(found)
    rows = _filtered(everything, states, where)
    rows = _sorted(rows, everything, sort, best_first=directions(found)[0])
    rows = (rows[::-1] if reverse else rows)[:limit]
    if output is Format.JSON:
        write_out(json.dumps(rows, indent=2, allow_nan=False) + "\n")
    elif output is Format.CSV:
        write_out(trials_csv(rows))
    else:
        _print(found, rows)
    write_next(_next(folder, rows, len(everything)), data=output is not Format.TABLE)


def _filtered(rows: list[dict[str, Any]], states: list[str], where: list[str]) -> list[Row]:
    known = (*ENDED, *OPEN)
    for name in states:
        if name not in known:
            raise ConfigError(f"--state {name!r}: the states are {', '.join(known)}")
    tests = [_test(text, rows) for text in where]
    return [
        row
        for row in rows
        if (not states or row["state"] in states) and all(test(row) for test in tests)
    ]


def _test(text: str, rows: list[dict[str, Any]]) -> Callable[[Row], bool]:
    """Return what decides whether a row satisfies `name OP value`."""
    match = _WHERE.fullmatch(text)
    if match is None:
        raise ConfigError(f"--where {text!r}: write it like 'learning_rate<0.01'")
    name, sign, wanted = match[1], match[2], match[3].strip("'\"")
    _check_name(name, rows, "--where")
    if sign in _TESTS:
        try:
            bound = float(wanted)
        except ValueError:
            raise ConfigError(f"--where {text!r}: {sign} needs a number, not {wanted!r}") from None
        return lambda row: _is_number(_value(row, name)) and _TESTS[sign](_value(row, name), bound)
    return lambda row: _equal(_value(row, name), wanted) == (sign != "!=")


def _equal(value: Any, wanted: str) -> bool:
    if _is_number(value):
        try:
            return float(value) == float(wanted)
        except ValueError:
            return False
    return str(value).lower() == wanted.lower()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(row: Row, name: str) -> Any:
    """Return a column: `learning_rate`, `params.learning_rate`, `health.overall`, `duration_s`."""
    group, _, rest = name.partition(".")
    if rest and isinstance(row.get(group), Mapping):
        return row[group].get(rest)
    if name in row and not isinstance(row[name], Mapping):
        return row[name]
    inside = (row[part] for part in ("params", "values", "metrics", "health"))
    return next((part[name] for part in inside if name in part), None)


def _check_name(name: str, rows: list[dict[str, Any]], option: str) -> None:
    plain = [key for key in rows[0] if not isinstance(rows[0][key], Mapping)] if rows else []
    inner = {n for row in rows for p in ("params", "values", "metrics", "health") for n in row[p]}
    if rows and name not in plain and name.partition(".")[2] not in inner and name not in inner:
        raise ConfigError(
            f"{option}: there is no {clean(name, 60)!r} in this run",
            hint=f"there are: {', '.join([*plain, *sorted(inner)])}",
        )


def _sorted(
    rows: list[Row], everything: list[dict[str, Any]], by: str, *, best_first: str
) -> list[Row]:
    """Return the rows by a column; those without it come last. Numbers come before texts."""
    _check_name(by, everything, "--sort")
    down = by == "value" and best_first == "maximize"
    have = [row for row in rows if _value(row, by) not in (None, "")]
    numbers = [row for row in have if _is_number(_value(row, by))]
    texts = [row for row in have if not _is_number(_value(row, by))]
    ordered = sorted(numbers, key=lambda row: _value(row, by), reverse=down)
    ordered += sorted(texts, key=lambda row: str(_value(row, by)))
    return ordered + [row for row in rows if _value(row, by) in (None, "")]


def _print(state: RunState, rows: list[Row]) -> None:
    from hpocli.commands.tables import print_table  # noqa: PLC0415 - rich takes a while to import

    names = [clean(name, 30) for name in objectives(state)]
    tries = ["tries"] if any(row["attempts"] > 1 for row in rows) else []
    lines = [
        (
            str(row["number"]),
            row["state"],
            *(_shown(row["values"].get(name)) for name in objectives(state)),
            duration(row["duration_s"]),
            *([str(row["attempts"])] if tries else []),
            _words(row),
        )
        for row in rows
    ]
    columns = ("trial", "state", *names, "time", *tries, "parameters")
    print_table(columns, lines, right=" ".join(("trial", *names, "time", "tries")))


def _shown(value: Any) -> str:
    return "-" if value is None else number(value) if _is_number(value) else scalar(value)


def _words(row: Row) -> str:
    if row["state"] == "failed":
        return f"{row['failure']}: {row['message']}"
    return params_line(row["params"])


def _next(folder: RunFolder, rows: list[Row], total: int) -> list[str]:
    run = run_argument(folder)
    shown = [] if len(rows) == total else [f"{len(rows)} of {total} trials"]
    return [*shown, labelled("next:", f"hpo show {run}"), labelled("", f"hpo best {run}")]
