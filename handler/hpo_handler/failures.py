"""Why a trial failed: exceptions sorted into the contract's failure classes."""

from __future__ import annotations

import hashlib
import os
import sysconfig
import traceback
from types import FrameType, TracebackType

from hpo_handler.context import TrialDiverged
from hpo_handler.contract import JobError

MAX_MESSAGE = 500
MAX_DETAIL = 4000
_OOM_NAMES = frozenset({"MemoryError", "ResourceExhaustedError", "OutOfMemoryError"})
_PRUNED_NAME = "TrialPruned"
_OWN = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - compared as text
_NOT_USERS = tuple(
    path + os.sep
    for path in {
        *(sysconfig.get_paths().get(key, "") for key in ("stdlib", "purelib", "platlib")),
        _OWN,
    }
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

    The line of an exception ends with its place in the user's own code: `(job.py:12 in train)`.
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
        message=_with_place(error),
        detail=traceback_text(error)[-MAX_DETAIL:],
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


def traceback_text(error: BaseException) -> str:
    """Return the traceback from the user's first frame on, without locals; valid UTF-8.

    A failure that we recognised says all there is to say: its text is empty.
    """
    if isinstance(error, TrialError | TrialDiverged):
        return ""
    try:
        lines = traceback.format_exception(type(error), error, _from_users_code(error))
    except Exception:  # noqa: BLE001 - formatting runs the user's __str__ and __repr__
        return ""
    return "".join(lines).encode("utf-8", "replace").decode()


def plain(text: str, limit: int) -> str:
    """Return at most `limit` characters of text on one line, valid UTF-8 throughout."""
    line = " ".join(text[: 4 * limit].encode("utf-8", "replace").decode().split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _is_oom(error: BaseException) -> bool:
    return any(kind.__name__ in _OOM_NAMES for kind in type(error).__mro__)


def _digest(*parts: str) -> str:
    text = "\0".join(parts).encode("utf-8", "replace")
    return hashlib.sha256(text).hexdigest()[:16]


def _with_place(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        place = f"{os.path.basename(error.filename)}:{error.lineno}"  # noqa: PTH119 - may be <string>
        return plain(f"syntax error at {place}: {error.msg}", MAX_MESSAGE)
    place = plain(_place(error), MAX_MESSAGE // 2)
    line = plain(one_line(error), MAX_MESSAGE - len(place) - 3)
    return f"{line} ({place})" if place else line


def _place(error: BaseException) -> str:
    """Return `job.py:12 in train`, the innermost line of the user's files, or nothing."""
    users = [place for place in traceback.walk_tb(error.__traceback__) if _is_users(place[0])]
    if not users:
        return ""
    code, line = users[-1][0].f_code, users[-1][1]
    where = "" if code.co_name == "<module>" else f" in {code.co_name}"
    return f"{os.path.basename(code.co_filename)}:{line}{where}"  # noqa: PTH119 - may be <string>


def _from_users_code(error: BaseException) -> TracebackType | None:
    """Drop the frames that lead to the user's code; drop none where there is no such code."""
    trace = error.__traceback__
    while trace and not _is_users(trace.tb_frame):
        trace = trace.tb_next
    unread = isinstance(error, SyntaxError)  # a file that could not be parsed has no frame
    return trace if trace or unread else error.__traceback__


def _is_users(frame: FrameType) -> bool:
    return not frame.f_code.co_filename.startswith(("<frozen", *_NOT_USERS))


def _innermost_user_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    places = list(traceback.walk_tb(error.__traceback__))
    frames = [place for place in places if _is_users(place[0])] or places
    return f"{frames[-1][0].f_code.co_filename}:{frames[-1][1]}" if frames else ""
