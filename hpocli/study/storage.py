"""Where the study lives: our journal file, or any storage that Optuna opens by URL."""

from __future__ import annotations

import importlib
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import optuna
import structlog
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage

from hpocli.errors import ConfigError, StateError
from hpocli.storageurl import sqlite_file
from hpocli.study.journal import GroupCommitJournal

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")
_BUSY_S = 30


@dataclass(frozen=True, slots=True)
class StudyStorage:
    """An open storage. `label` names it for people and never holds a credential."""

    optuna: BaseStorage
    journal: GroupCommitJournal | None
    label: str

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn what a failing storage raises into StateError."""
        try:
            yield
        except (OSError, StorageInternalError) as error:
            cause = error.__cause__ or error
            raise StateError(
                f"{self.label} cannot be used: {_first_line(cause)}",
                hint="free space or repair the storage, then resume the run",
            ) from error

    def one_write(self) -> AbstractContextManager[None]:
        """Collect writes into one where the storage can."""
        return self.journal.one_write() if self.journal else nullcontext()

    def barrier(self) -> None:
        """Return once everything is durable; a database is so after each call."""
        if self.journal:
            with self.guard():
                self.journal.barrier()

    def close(self) -> None:
        """Give up files, locks and connections; idempotent."""
        if self.journal:
            with self.guard():
                self.journal.close()
        elif isinstance(self.optuna, RDBStorage):
            self.optuna.remove_session()
            self.optuna.engine.dispose()


def open_storage(url: str | None, journal: Path, *, create: bool = True) -> StudyStorage:
    """Open the database at `url`, or without one the journal file.

    create: whether a file that is missing is begun; a missing one is a StateError otherwise.
    Raises ConfigError for a URL that no installed driver serves, StateError for a storage that
    is damaged, locked or out of reach. Credentials in the URL appear in no message.
    """
    if not create:
        _check_there(sqlite_file(url) if url else journal)
    return _open_url(url) if url else _open_journal(journal)


def _check_there(file: Path | None) -> None:
    if file is not None and not file.exists():
        raise StateError(
            f"the study's file {file} is missing",
            hint="put the file back at that path, then resume the run",
        )


def hide_credentials(text: str) -> str:
    """Return the text with user and password cut out of every URL in it."""
    return _CREDENTIALS.sub("***@", text)


def _open_journal(path: Path) -> StudyStorage:
    try:
        backend = GroupCommitJournal(path)
    except OSError as error:
        raise StateError(f"{path} cannot be opened: {error.strerror}") from None
    try:
        return StudyStorage(JournalStorage(backend), backend, str(path))
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        backend.close()
        raise StateError(f"{path} is no journal that can be replayed: {error!r}") from None
    except BaseException:
        backend.close()
        raise


def _open_url(url: str) -> StudyStorage:
    label = hide_credentials(url)
    if "://" not in url:
        raise ConfigError(
            f"storage={label!r} is no URL", hint="for example storage=sqlite:///study.db"
        )
    waits = {"connect_args": {"timeout": _BUSY_S}} if url.startswith("sqlite") else {}
    errors = importlib.import_module("sqlalchemy.exc")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return StudyStorage(RDBStorage(url, engine_kwargs=waits), None, label)
    except ImportError as error:
        hint = "pip install 'hpocli[postgresql]'" if url.startswith("postgresql") else ""
        raise ConfigError(
            f"storage {label} needs a driver: {_first_line(error)}", hint=hint
        ) from None
    except errors.ArgumentError:
        raise ConfigError(f"storage {label} is no URL that SQLAlchemy knows") from None
    except (errors.SQLAlchemyError, StorageInternalError, RuntimeError, OSError) as error:
        raise StateError(
            f"storage {label} cannot be opened: {_first_line(error, url)}",
            hint="check that it is there, reachable and writable",
        ) from None


def _first_line(error: BaseException, url: str = "") -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    secret = re.search(r"://[^/@\s]*:([^/@\s]+)@", url)
    if secret:
        text = text.replace(secret[1], "***")
    return hide_credentials(text)


class _ToStructlog(logging.Handler):
    """Hands Optuna's log records on, so that nothing of them reaches the terminal by itself."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger("optuna").log(record.levelno, record.getMessage())


_HANDLER = _ToStructlog(logging.WARNING)


def quiet_optuna() -> None:
    """Send Optuna's warnings to our log instead of the terminal; idempotent."""
    optuna.logging.disable_default_handler()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("optuna").addHandler(_HANDLER)
    warnings.filterwarnings("ignore", category=ExperimentalWarning)
