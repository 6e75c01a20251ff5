"""Drives real trial processes over real pipes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hpo_handler.contract import (
    Job,
    JobReport,
    JobResult,
    Message,
    Ready,
    Trainer,
    dump_job,
    dump_stop,
    parse_message,
)


class Child:
    """A trial process and the client's ends of its pipes; its log is read all the time."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "hpo_handler.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        self.log = bytearray()
        self._logger = threading.Thread(target=self._read_log, daemon=True)
        self._logger.start()
        self.trials = 0
        assert isinstance(self.next(), Ready)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        while chunk := os.read(self.process.stderr.fileno(), 65536):
            self.log += chunk

    def next(self) -> Message:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise EOFError
        return parse_message(line)

    def send(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def submit(self, trainer: Trainer, **fields: Any) -> str:
        key = f"sweep/{self.trials}/0"
        self.trials += 1
        defaults: dict[str, Any] = {
            "params": {},
            "settings": {},
            "objectives": ("value",),
            "seed": 7,
        }
        self.send(dump_job(Job(key=key, trainer=trainer, **(defaults | fields))))
        return key

    def stop(self, key: str) -> None:
        self.send(dump_stop(key))

    def until_result(self) -> tuple[JobResult, list[Message]]:
        seen: list[Message] = []
        while not isinstance(message := self.next(), JobResult):
            seen.append(message)
        return message, seen

    def until_report(self) -> JobReport:
        while not isinstance(message := self.next(), JobReport):
            pass
        return message

    def function(self, source: str, name: str = "objective", **fields: Any) -> str:
        """Submit the function of a module written now."""
        module = f"user_code_{self.trials}"
        (self.folder / f"{module}.py").write_text(textwrap.dedent(source))
        trainer = Trainer(kind="function", name=f"{module}:{name}", pythonpath=(str(self.folder),))
        return self.submit(trainer, **fields)

    def run(self, source: str, **fields: Any) -> JobResult:
        self.function(source, **fields)
        return self.until_result()[0]

    def script(self, source: str, *arguments: str, **fields: Any) -> str:
        """Submit a Python script as a command."""
        name = f"script_{self.trials}.py"
        (self.folder / name).write_text(textwrap.dedent(source))
        command = (sys.executable, name, *arguments)
        return self.submit(
            Trainer(kind="command", name="script", command=command, pythonpath=(str(self.folder),)),
            **fields,
        )

    def run_script(self, source: str, *arguments: str, **fields: Any) -> JobResult:
        self.script(source, *arguments, **fields)
        return self.until_result()[0]

    def hang_up(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.hang_up()
        try:
            self.process.wait(timeout=10)
        finally:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=10)
            self._logger.join(timeout=10)
            assert self.process.stdout
            assert self.process.stderr
            self.process.stdout.close()
            self.process.stderr.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def start_child(**environment: str) -> Child:
        children.append(Child(tmp_path, environment))
        return children[-1]

    yield start_child
    for child in children:
        child.close()


@pytest.fixture
def child(start: Callable[..., Child]) -> Child:
    return start()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """One warm process for tests that leave it well; it must outlive them all."""
    child = Child(tmp_path_factory.mktemp("shared"))
    yield child
    assert child.process.poll() is None
    child.close()


@pytest.fixture
def gone() -> Callable[[int], None]:
    """Wait until a process has ended (a zombie has); fail after 5 s."""

    def wait(pid: int) -> None:
        until = time.monotonic() + 5
        while time.monotonic() < until:
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return
            if state == "Z":
                return
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        pytest.fail(f"process {pid} is still there")

    return wait
