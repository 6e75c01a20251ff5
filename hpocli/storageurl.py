"""The file behind a SQLite storage URL, read from the URL alone."""

from __future__ import annotations

import re
from pathlib import Path

_SQLITE = re.compile(r"(sqlite(?:\+\w+)?:///)([^?]+)(.*)\Z", re.DOTALL)


def sqlite_file(url: str) -> Path | None:
    """Return the file that `url` opens, or None for another database or one in memory."""
    match = _SQLITE.match(url)
    if match is None or match[2] == ":memory:" or match[2].startswith("file:"):
        return None
    return Path(match[2])


def anchored(url: str, base: Path) -> str:
    """Return `url` with a relative SQLite path made absolute from `base`, any other as it is."""
    path, match = sqlite_file(url), _SQLITE.match(url)
    if path is None or match is None or path.is_absolute():
        return url
    return f"{match[1]}{base.resolve() / path}{match[3]}"
