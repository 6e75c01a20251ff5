"""Which environment variables hold credentials; trial processes run without them."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SECRET = re.compile(
    r"(^|_)(API_?KEY|ACCESS_KEY|PRIVATE_KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(_|S?$)"
    r"|^AWS_|^RUNPOD_API|_DSN$|^DATABASE_URL$",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Say whether a variable of this name is taken to hold a credential."""
    return _SECRET.search(name) is not None


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a trial process may see."""
    return {name: value for name, value in environment.items() if not is_secret(name)}
