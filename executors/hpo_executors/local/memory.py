"""How much memory a trial process and its children use (Linux; elsewhere unknown)."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
MIB = 1024 * 1024


def process_tree_bytes(pid: int) -> int | None:
    """Return the resident bytes of `pid` and its descendants, or None where that is unknown.

    One process counts with its resident set; several with their proportional shares, so that pages
    shared after a fork are counted once.
    """
    try:
        pids = [pid, *_descendants(pid)]
        if len(pids) == 1:
            return _resident(pid)
    except (OSError, ValueError):
        return None
    return sum(_share(member) for member in pids)


def _descendants(pid: int) -> list[int]:
    found = []
    for listing in (_PROC / str(pid) / "task").glob("*/children"):
        for child in map(int, _text(listing).split()):
            found += [child, *_descendants(child)]
    return found


def _resident(pid: int) -> int:
    pages = (_PROC / str(pid) / "statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


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
