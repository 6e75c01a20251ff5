"""One trial process: its pipes, its group and its death. It belongs to the pool's thread."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from hpo_executors.local.trial import Ending, Trial
from hpo_handler.contract import MAX_LINE_BYTES, ContractError, Message, parse_message

_CHUNK = 64 * 1024
_RECENT_BYTES = 4096
NEVER = math.inf


class Worker:
    """A trial process in a session of its own, and what the pool knows about it.

    name: short and stable, e.g. `w0`. trial: what it runs or, before `ready`, will run.
    verdict: how its trial ends if the process dies before it gives a result.
    start_by, term_at, kill_at, bury_at: when the pool acts (monotonic seconds).
    Raises OSError where no process can be started.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.ready = False
        self.retiring = False
        self.trial: Trial | None = None
        self.last_key = ""
        self.trials_done = 0
        self.verdict: Ending | None = None
        self.start_by = self.term_at = self.kill_at = self.bury_at = NEVER
        self.buried = False
        self._recent = bytearray()
        self._outgoing = bytearray()
        self._incoming = bytearray()
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=dict(environment),
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.jobs: int | None
        self.jobs, self.protocol, self.output = self._pipes()
        self.handle = _exit_handle(self.pid)

    def _pipes(self) -> tuple[int, int, int]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        fds = (process.stdin.fileno(), process.stdout.fileno(), process.stderr.fileno())
        for fd in fds:
            os.set_blocking(fd, False)
        return fds

    @property
    def doomed(self) -> bool:
        """Whether it is on its way out and takes no more trials."""
        return self.retiring or self.bury_at < NEVER

    def next_action_at(self) -> float:
        """Return when the pool must look at this worker again."""
        ends = self.trial.ends_at if self.trial and self.ready else NEVER
        return min(self.start_by, self.term_at, self.kill_at, self.bury_at, ends)

    def send(self, line: bytes) -> bool:
        """Queue a line and write what the pipe takes; True once all is written."""
        self._outgoing += line
        return self.flush()

    def flush(self) -> bool:
        """Write what is queued; True once all is written, or nobody will ever read it."""
        try:
            while self._outgoing and self.jobs is not None:
                del self._outgoing[: os.write(self.jobs, self._outgoing)]
        except BlockingIOError:
            return False
        except OSError:  # it died; its handle tells
            self._outgoing.clear()
        return True

    def messages(self) -> Iterator[Message]:
        """Read once from the protocol pipe and yield the messages that are complete.

        Raises ContractError for what is no message, EOFError once the pipe has ended and
        BlockingIOError where there is nothing to read now.
        """
        chunk = os.read(self.protocol, _CHUNK)
        if not chunk:
            raise EOFError
        self._incoming += chunk
        *lines, rest = self._incoming.split(b"\n")
        self._incoming = rest
        for line in lines:
            yield parse_message(bytes(line))
        if len(rest) > MAX_LINE_BYTES:
            raise ContractError(f"a line of more than {MAX_LINE_BYTES} bytes")

    def copy_output(self) -> bool:
        """Move one piece of output to the trial's log; False where there is none now.

        Raises EOFError once the pipe has ended.
        """
        try:
            data = os.read(self.output, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            raise EOFError
        self._recent = (self._recent + data)[-_RECENT_BYTES:]
        if self.trial is not None:
            self.trial.log.write(data)
        return True

    def last_words(self, lines: int = 3) -> str:
        """Return the last lines of output, for people."""
        text = self._recent.decode("utf-8", "replace")
        words = [line.strip() for line in text.splitlines() if line.strip()]
        return " | ".join(words[-lines:])

    def retire(self) -> None:
        """Tell the process that no more jobs come; it ends by itself."""
        self.retiring = True
        self.jobs = None
        assert self._process.stdin is not None
        self._process.stdin.close()

    def signal_group(self, number: signal.Signals) -> None:
        """Signal the process and everything in its group; a group that is gone is fine."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, number)

    def has_exited(self) -> bool:
        """Say whether the process has ended, without reaping it: its number stays taken."""
        try:
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.pid, flags) is not None
        except AttributeError:  # macOS before Python 3.13
            return self._process.poll() is not None
        except ChildProcessError:
            return True

    def bury(self) -> int | None:
        """Reap the process, close every descriptor and return its exit status.

        None where the kernel has not let it go yet.
        """
        self.buried = True
        process = self._process
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        if self.handle is not None:
            os.close(self.handle)
        try:
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return None


def _exit_handle(pid: int) -> int | None:
    """Return a descriptor that turns readable when the process ends, where the system has one."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
