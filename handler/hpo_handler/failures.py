"""Why a trial failed: exceptions sorted into the contract's failure classes."""

from __future__ import annotations

import hashlib
import os
import sysconfig
import traceback
from types import TracebackType

from hpo_handler.context import TrialDiverged
from hpo_handler.contract import JobError

MAX_MESSAGE = 500
MAX_DETAIL = 4000
_OOM_NAMES = frozenset({"MemoryError", "ResourceExhaustedError", "OutOfMemoryError"})
_PRUNED_NAME = "TrialPruned"
_OWN = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - compared as text
_NOT_USERS = tuple(
    path + os.sep
    for path in {*(sysconfig.get_paths().get(key, "") for key in ("stdlib", "purelib")), _OWN}
    if path
)


class TrialError(Exception):
    """A failure that we recognised: a whole sentence that says what to do, and its class."""

    def __init__(self, message: str, *, failure: str = "user", fingerprint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.failure = failure
        self.fingerprint = fingerprint or message


def is_pruned(error: BaseException) -> bool:
    """Say whether this is Optuna's TrialPruned, by name, so that Optuna need not be here."""
    return any(kind.__name__ == _PRUNED_NAME for kind in type(error).__mro__)


def describe(error: BaseException) -> JobError:
    """Return the class, one line, the traceback's tail (no locals) and a fingerprint of the cause.

    The fingerprint of an exception is its type and the innermost line of the user's own code, so
    that the same bug with another text counts as the same.
    """
    if isinstance(error, TrialError):
        return JobError(
            failure=error.failure,
            message=plain(error.message, MAX_MESSAGE),
            fingerprint=_digest(error.failure, error.fingerprint),
        )
    if isinstance(error, TrialDiverged):
        message = plain(str(error), MAX_MESSAGE)
        return JobError(failure="diverged", message=message, fingerprint=_digest("diverged"))
    return JobError(
        failure="oom" if _is_oom(error) else "user",
        message=one_line(error),
        detail=_traceback_tail(error),
        fingerprint=_digest(type(error).__qualname__, _innermost_user_line(error)),
    )


def one_line(error: BaseException) -> str:
    """Return `ValueError: text`, bounded and on one line, whatever `__str__` does."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the user's __str__ may do anything
        text = "(its text cannot be shown)"
    name = type(error).__name__
    return plain(f"{name}: {text}" if text else name, MAX_MESSAGE)


def plain(text: str, limit: int) -> str:
    """Return at most `limit` characters of text on one line, valid UTF-8 throughout."""
    line = " ".join(text[: 4 * limit].encode("utf-8", "replace").decode().split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _is_oom(error: BaseException) -> bool:
    return any(kind.__name__ in _OOM_NAMES for kind in type(error).__mro__)


def _digest(*parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "replace")
    return hashlib.sha256(text).hexdigest()[:16]


def _traceback_tail(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(type(error), error, _without_own(error.__traceback__))
    except Exception:  # noqa: BLE001 - formatting runs the user's __str__ and __repr__
        return ""
    text = "".join(lines)[-MAX_DETAIL:]
    return text.encode("utf-8", "replace").decode()


def _without_own(trace: TracebackType | None) -> TracebackType | None:
    """Drop our leading frames: the user's code starts below them."""
    while trace and trace.tb_next and trace.tb_frame.f_code.co_filename.startswith(_OWN):
        trace = trace.tb_next
    return trace


def _innermost_user_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    places = [
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    users = [place for place in places if not place[0].startswith(("<frozen", *_NOT_USERS))]
    return "{}:{}".format(*(users or places)[-1]) if places else ""
