"""The words for where a trial stands: not yet told (`OPEN`) and told for good (`ENDED`)."""

from __future__ import annotations

OPEN = ("waiting", "submitting", "queued", "running")
ENDED = ("completed", "pruned", "failed")
