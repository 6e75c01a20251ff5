"""Optuna's journal in one file with one owner: no lock files, no re-reading, few fsyncs.

    append ─► one os.write (the kernel has it: kill -9 loses nothing)
                 └─► at most GROUP_S later, or at `barrier()`: one fdatasync for all of them

The lines are those of Optuna's own file backend, so its readers and optuna-dashboard open the
file while it grows. Lines that such a program adds (a note, a tag) are taken in.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from hpocli.errors import StateError

GROUP_S = 0.05
_KEPT = 1024
_ENCODER = json.JSONEncoder(separators=(",", ":"))

Log = dict[str, Any]


class GroupCommitJournal(BaseJournalBackend):
    """The journal's owner; held by one process, by a lock that any kind of death releases.

    torn_bytes: length of an unfinished last line found at open; the first write moves it to
    `<file>.torn`. Opening raises StateError where another process owns the file, OSError where
    the file cannot be opened. A pickled copy can read and not write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = _open_locked(path)
        self._end, self._first_kept, self.torn_bytes = _survey(self._fd)
        self._kept: list[Log] = []  # logs from number `_first_kept` on
        self._owed = b""  # lines that are in `_kept` and not yet in the file
        self._holding = False
        self._torn_here = self.torn_bytes > 0
        self._half_line = False
        self._committer = _Committer(self._fd)

    def __reduce__(self) -> tuple[type[JournalReader], tuple[Path]]:
        return JournalReader, (self._path,)

    def read_logs(self, log_number_from: int) -> Iterable[Log]:
        """Return the logs from that number on; a line that is no log raises StateError."""
        skip = log_number_from - self._first_kept
        if skip < 0:
            return self._replay(log_number_from)
        if skip > _KEPT and not self._owed:
            del self._kept[:skip]
            self._first_kept, skip = log_number_from, 0
        return self._kept[skip:]

    def append_logs(self, logs: list[Log]) -> None:
        """Hand the logs to the kernel in one write.

        Raises OSError where they could not be written; the file is then as it was before, and
        later calls work as soon as the cause is gone.
        """
        data = b"".join(_encode(log) for log in logs)
        if self._holding:
            self._owed += data
        else:
            self._pay()
            self._write(data)
        self._kept += [json.loads(line) for line in data.splitlines()]

    @contextmanager
    def one_write(self) -> Iterator[None]:
        """Collect everything appended inside and write it at once, so that it is all or nothing.

        Raises OSError where it could not be written; it is then owed, and the next write, or
        `barrier` or `close`, puts it first.
        """
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
            self._pay()

    def barrier(self) -> None:
        """Return once everything appended is on disk. Raises OSError where that cannot be."""
        self._pay()
        self._committer.commit()

    def close(self) -> None:
        """Write what is owed, make it durable, give up the lock; idempotent."""
        if self._fd < 0:
            return
        try:
            self._pay()
            self._committer.commit()
        finally:
            self._committer.stop()
            os.close(self._fd)
            self._fd = -1

    def _replay(self, start: int) -> Iterator[Log]:
        with self._path.open("rb") as file:
            for number in range(self._first_kept):
                line = file.readline()
                if number >= start:
                    yield _decode(line, self._path, number)
        yield from self._kept[max(0, start - self._first_kept) :]

    def _pay(self) -> None:
        if self._owed:
            self._write(self._owed)
            self._owed = b""

    def _write(self, data: bytes) -> None:
        self._make_room_at_end()
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            self._half_line = True
            self._cut()
            raise
        self._end += len(data)
        if os.lseek(self._fd, 0, os.SEEK_CUR) != self._end:
            raise StateError(
                f"another program wrote into {self._path.name} in the same instant",
                hint="close it and resume the run",
            )
        self._committer.wake()

    def _make_room_at_end(self) -> None:
        if self._torn_here:
            self._keep_torn_line()
        if self._half_line:
            self._cut()
        surplus = os.fstat(self._fd).st_size - self._end
        if surplus:
            self._take_in(os.pread(self._fd, surplus, self._end))

    def _cut(self) -> None:
        os.ftruncate(self._fd, self._end)
        self._half_line = False

    def _keep_torn_line(self) -> None:
        torn = os.pread(self._fd, self.torn_bytes, self._end)
        with self._path.with_name(self._path.name + ".torn").open("ab") as aside:
            aside.write(torn + b"\n")
        self._cut()
        self._torn_here = False

    def _take_in(self, foreign: bytes) -> None:
        if not foreign.endswith(b"\n"):
            raise StateError(
                f"another program left half a line in {self._path.name}",
                hint="close it and resume the run",
            )
        first = self._first_kept + len(self._kept)
        lines = foreign.splitlines()
        self._kept += [_decode(line, self._path, first + i) for i, line in enumerate(lines)]
        self._end += len(foreign)


class JournalReader(BaseJournalBackend):
    """Reads a journal that someone else may be writing; an unfinished last line is left out."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read_logs(self, log_number_from: int) -> Iterator[Log]:
        """Return the logs from that number on; a line that is no log raises StateError."""
        with self._path.open("rb") as file:
            for number, line in enumerate(file):
                if number >= log_number_from and line.endswith(b"\n"):
                    yield _decode(line, self._path, number)

    def append_logs(self, logs: list[Log]) -> None:
        """Refuse: raises StateError."""
        raise StateError(f"{self._path.name} was opened for reading; {len(logs)} lines not written")


class _Committer:
    """Makes a file durable, many writes at a time; its thread lives from first wake to stop."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self._dirty = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: OSError | None = None
        self.commits = 0

    def wake(self) -> None:
        """Note that something was written. Raises OSError where an earlier commit failed."""
        if self._failure:
            raise self._failure
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
            self._thread.start()
        self._dirty.set()

    def commit(self) -> None:
        """Make what was written durable, now. Raises OSError where this or an earlier one failed.

        A failed fdatasync is final: the kernel may have dropped the pages, so trying again
        would claim what is not true.
        """
        with self._lock:
            if self._dirty.is_set() and not self._failure:
                self._dirty.clear()
                self._sync()
        if self._failure:
            raise self._failure

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread:
            self._dirty.set()
            self._thread.join()

    def _sync(self) -> None:
        try:
            getattr(os, "fdatasync", os.fsync)(self._fd)
            self.commits += 1
        except OSError as error:
            self._failure = error

    def _run(self) -> None:
        # `stop` sets `_stopping` before `_dirty`, so a `clear` here can never swallow its call.
        while not self._stopping.is_set() and self._dirty.wait():
            if self._stopping.wait(GROUP_S) or self._failure:
                return
            with self._lock:
                if self._dirty.is_set():
                    self._dirty.clear()
                    self._sync()


def _open_locked(path: Path) -> int:
    fresh = not path.exists()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if not isinstance(error, BlockingIOError):
            raise
        raise StateError(
            f"{path} is in use by another process",
            hint="wait for that process or stop it",
        ) from None
    if fresh:
        _sync_folder(path.parent)
    return fd


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _survey(fd: int) -> tuple[int, int, int]:
    """Return where the last whole line ends, how many whole lines there are, and what follows."""
    size = lines = end = 0
    while chunk := os.pread(fd, 1 << 20, size):
        lines += chunk.count(b"\n")
        if b"\n" in chunk:
            end = size + chunk.rindex(b"\n") + 1
        size += len(chunk)
    return end, lines, size - end


def _encode(log: Log) -> bytes:
    return _ENCODER.encode(log).encode() + b"\n"


def _decode(line: bytes, path: Path, number: int) -> Log:
    try:
        log = json.loads(line)
    except (ValueError, RecursionError):
        log = None
    if not isinstance(log, dict) or not {"op_code", "worker_id"} <= log.keys():
        raise StateError(
            f"line {number + 1} of {path} is damaged; nothing was changed",
            hint="restore the file from a backup, or delete that line to go on without it",
        )
    return log
