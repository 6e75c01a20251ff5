"""Words for messages: what a value is, and which known word was probably meant."""

from __future__ import annotations

import difflib
from typing import Any


def describe(value: object) -> str:
    """Say what a value is, in a few harmless words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {short(repr(value))}"
    if isinstance(value, str):
        return short(repr(value))
    return "a list" if isinstance(value, list | tuple) else "a mapping"


def short(text: str) -> str:
    """Cut a text to 60 characters."""
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(word: str, known: Any) -> str:
    """Return `did you mean 'x'?` for the closest known word, or nothing."""
    close = difflib.get_close_matches(word, [str(k) for k in known], n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""
