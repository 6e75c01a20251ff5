"""The errors a user can meet, one short tree; each knows its exit code and a hint.

`cli.main` is the one place that turns them into a line of text and an exit status.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit statuses (documented in docs/exit-codes.md)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CAPPED = 3
    CREDENTIALS = 4
    NO_BACKEND = 5
    STATE = 6
    BELOW_THRESHOLD = 7
    DETACHED = 8
    INTERRUPTED = 130
    TERMINATED = 143


class HpoError(Exception):
    """Something the user can act on: one sentence, and optionally what to do about it.

    `message` says what is wrong and where; `hint` says what to do next.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(HpoError):
    """A sweep file, key=value, option or environment value that cannot be used."""

    exit_code = ExitCode.USAGE


class StateError(HpoError):
    """A run folder that is locked, corrupt, unwritable or from a newer version."""

    exit_code = ExitCode.STATE


class CredentialsError(HpoError):
    """A missing or unusable credential; the message never contains the credential."""

    exit_code = ExitCode.CREDENTIALS


class BackendError(HpoError):
    """No executor can take trials: a broken plugin, a rejected endpoint, no fallback."""

    exit_code = ExitCode.NO_BACKEND


class SweepFailedError(HpoError):
    """The sweep ran, but its failure policy ended it."""
