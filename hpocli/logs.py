"""The controller's own log: structlog set-up, redaction, one JSON object a line.

Nothing secret is written: `redact` runs last before the line is rendered. structlog is imported
only when the log is configured.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from hpocli.clock import isoformat

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_PATTERNS = (
    (re.compile(r"rpa_[A-Za-z0-9]{8,}"), "[redacted]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 [redacted]"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)[^\s/@]{1,500}@"), r"\1[redacted]@"),
)
_SHORTEST_SECRET = 6
_LONGEST_TEXT = 8192
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _Secrets:
    """The exact values to hide; learnt from the environment once, added to by `hide`."""

    def __init__(self) -> None:
        self._values: tuple[str, ...] | None = None

    def learn(self, environ: Mapping[str, str]) -> None:
        found = {v for k, v in environ.items() if _SECRET_NAME.search(k)}
        self.add(found)

    def add(self, values: set[str]) -> None:
        fresh = {v for v in values if len(v) >= _SHORTEST_SECRET} | set(self._values or ())
        self._values = tuple(sorted(fresh, key=len, reverse=True))

    def values(self) -> tuple[str, ...]:
        if self._values is None:
            self.learn(os.environ)
        return self._values or ()


_secrets = _Secrets()


def hide(secret: str) -> None:
    """Redact `secret` from now on wherever it appears (a key that came from a file, say)."""
    _secrets.learn(os.environ)
    _secrets.add({secret})


def redact(text: str) -> str:
    """Return `text` without secrets: known values, RunPod keys, bearer tokens, URL passwords."""
    for secret in _secrets.values():
        text = text.replace(secret, "[redacted]")
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def plain(value: Any) -> Any:
    """Return `value` as strict JSON data: secrets hidden, text bounded, NaN and inf as text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {redact(str(k)): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    text = redact(value if isinstance(value, str) else repr(value))
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


class _LogFile:
    """Appends whole lines with one system call each, so threads never mix; a full disk is quiet."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)

    def msg(self, line: str) -> None:
        try:
            os.write(self._fd, line.encode("utf-8", "replace") + b"\n")
        except OSError:
            return

    debug = info = warning = warn = error = critical = fatal = exception = failure = log = msg

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _Bridge(logging.Handler):
    """Brings the standard library's warnings into the same file."""

    def __init__(self, file: _LogFile) -> None:
        super().__init__(logging.WARNING)
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a record that cannot be formatted is dropped."""
        body = {"timestamp": isoformat(record.created), "level": record.levelname.lower()}
        try:
            body |= {"logger": record.name, "event": record.getMessage()}
        except (TypeError, ValueError):
            return
        self._file.msg(json.dumps(plain(body)))


class _Open:
    file: _LogFile | None = None
    bridge: _Bridge | None = None


def configure(log_path: Path, level: str = "info") -> None:
    """Send structlog, and warnings of the standard library's logging, to `log_path`.

    level: debug, info, warning or error. May be called again; the earlier file is closed.
    """
    import structlog  # noqa: PLC0415 - costs 100 ms; `hpo --help` must not pay

    close()
    _secrets.learn(os.environ)
    file = _LogFile(log_path)
    _Open.file, _Open.bridge = file, _Bridge(file)
    logging.getLogger().addHandler(_Open.bridge)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.lower()]),
        logger_factory=lambda *_: file,
        cache_logger_on_first_use=False,
    )


def _render(logger: object, method: str, event: MutableMapping[str, Any]) -> str:
    """Redact and render: the last processor, so that nothing can add to the line after it."""
    del logger, method
    return json.dumps(plain(dict(event)), allow_nan=False)


def close() -> None:
    """Close the log and undo `configure`; idempotent. Later messages go nowhere."""
    if _Open.bridge is not None:
        logging.getLogger().removeHandler(_Open.bridge)
    if _Open.file is not None:
        _Open.file.close()
    _Open.file = _Open.bridge = None
