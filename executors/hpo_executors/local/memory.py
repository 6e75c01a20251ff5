"""How much memory a trial process and its children use (Linux; elsewhere unknown)."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
MIB = 1024 * 1024
_SMALL_BYTES = 16 * MIB


def process_tree_bytes(pid: int) -> int | None:
    """Return the resident bytes of `pid` and its descendants, or None where that is unknown.

    Descendants of some size count with their proportional shares, as does `pid` then, so that
    pages shared after a fork are counted once.
    """
    try:
        own = _resident(pid)
    except (OSError, ValueError):
        return None
    below = _descendants(pid)
    others = sum(map(_resident_or_gone, below))
    if others < _SMALL_BYTES:  # shares are dear to ask for: spare them where they change nothing
        return own + others
    return sum(map(_share, [pid, *below]))


def _descendants(pid: int) -> list[int]:
    found = []
    for listing in (_PROC / str(pid) / "task").glob("*/children"):
        for child in map(int, _text(listing).split()):
            found += [child, *_descendants(child)]
    return found


def _resident(pid: int) -> int:
    pages = (_PROC / str(pid) / "statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _resident_or_gone(pid: int) -> int:
    try:
        return _resident(pid)
    except (OSError, ValueError, IndexError):
        return 0


def _share(pid: int) -> int:
    for line in _text(_PROC / str(pid) / "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it ended between the listing and the look
        return ""
