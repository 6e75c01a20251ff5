"""The append-only event log on disk: `events.jsonl`, the run's ledger.

Every append reaches the kernel before it returns, so the death of the process loses nothing;
`barrier` reaches the disk, so the death of the machine loses nothing before it. A torn last line
(a write cut short by a power loss or a full disk) is cut away when the log is opened to append.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from hpocli.clock import Clock
from hpocli.errors import StateError
from hpocli.events import Event, Record, parse_record

Listener = Callable[[Record], None]


class EventLog:
    """Writes events with gapless sequence numbers; one process, one thread."""

    def __init__(self, path: Path, clock: Clock, *, last_seq: int = 0, size: int = 0) -> None:
        """Open `path` to append after `size` good bytes; what follows them is cut away."""
        self._clock = clock
        self._path = path
        self._seq = last_seq
        self._size = size
        self._dirty = False
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._fd, size)
        os.lseek(self._fd, size, os.SEEK_SET)

    def append(self, event: Event) -> Record:
        """Write one event. Raises StateError where the disk takes no more; nothing is half kept."""
        record = Record(seq=self._seq + 1, ts=self._clock.time(), event=event)
        line = record.to_json().encode() + b"\n"
        self._write(line)
        self._seq, self._size, self._dirty = record.seq, self._size + len(line), True
        return record

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._fd, line)
            if written != len(line):
                written += os.write(self._fd, line[written:])
            if written == len(line):
                return
            cause = "the disk took only part of a line"
        except OSError as error:
            cause = error.strerror or str(error)
        os.ftruncate(self._fd, self._size)
        os.lseek(self._fd, self._size, os.SEEK_SET)
        raise StateError(
            f"cannot write {self._path.name} of run {self._path.parent.name!r}: {cause}",
            hint=f"make room, then: hpo resume {self._path.parent.name}",
        )

    def barrier(self) -> None:
        """Return once everything appended is on the disk."""
        if self._dirty:
            os.fdatasync(self._fd) if hasattr(os, "fdatasync") else os.fsync(self._fd)
            self._dirty = False

    def close(self) -> None:
        """Make everything durable and close; idempotent."""
        if self._fd >= 0:
            self.barrier()
            os.close(self._fd)
            self._fd = -1


class LogReader:
    """Reads a log that another process may still be writing.

    `records` yields what is complete; afterwards `good_bytes` says where a writer may go on and
    `torn_bytes` how much of an unfinished last line follows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.good_bytes = 0
        self.torn_bytes = 0
        self.last_seq = 0

    def records(self) -> Iterator[Record]:
        """Yield records from where the last call stopped.

        Raises StateError naming the line where a complete line is no record.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self.good_bytes)
                yield from self._complete(file)
        except FileNotFoundError:
            raise StateError(f"{self._path} does not exist", hint="see: hpo ls") from None

    def _complete(self, lines: Iterator[bytes]) -> Iterator[Record]:
        self.torn_bytes = 0
        for line in lines:
            if not line.endswith(b"\n"):
                self.torn_bytes = len(line)
                return
            try:
                record = parse_record(line)
            except (ValueError, RecursionError) as error:
                raise StateError(
                    f"{self._path} is damaged after event {self.last_seq}: {error}",
                    hint="restore the file, or start a new run with warm_start from this one",
                ) from None
            self.good_bytes += len(line)
            self.last_seq = record.seq
            yield record


def read_log(path: Path) -> list[Record]:
    """Return all complete records of the log at `path`."""
    return list(LogReader(path).records())
