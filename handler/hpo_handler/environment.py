"""Which environment variables hold credentials; a trial process removes them from its own."""

from __future__ import annotations

import re

_SECRET = re.compile(
    r"(^|_)(API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|PASSWORD|PASSWD|CREDENTIALS?)(_|S?$)"
    r"|(^|_)TOKENS?(_|$)|SECRET|^AWS_",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Say whether a variable of this name is taken to hold a credential."""
    return _SECRET.search(name) is not None
