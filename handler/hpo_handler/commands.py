"""Trainers that are scripts in any language.

`command` is a list: the program and its arguments, in which `{learning_rate}` stands for that
parameter, `{seed}`, `{number}`, `{workdir}` for what they say, `{settings.x}` for a setting and
`{params.x}` for a parameter named like one of these; `{{` is a brace. Text is put in as it is, all
else as JSON (`0.1`, `true`, `null`). No shell is involved. The script runs in the first
`pythonpath` folder (the sweep's own) where there is one; a program with a `/` is looked for there.

Environment: HPO_PARAMS (JSON object), HPO_PARAM_<NAME> (one each, upper case), HPO_SETTINGS (JSON),
HPO_SEED, HPO_TRIAL, HPO_WORKDIR (where there is one), HPO_REPORT_FD (an open descriptor, 3).

The script writes JSON objects to that descriptor, one a line, at most 256 KB each:

    {"step": 0, "value": 0.5}                a report; "total_steps" and other numbers may follow
    {"stage": "loading data"}                what it is doing
    {"value": 0.9}                           the result: a number, or a list for several objectives
    {"metrics": {"accuracy": 0.9, ...}}      the result by name
    {"pruned": true}                         the result: the script ended its trial early

NaN and Infinity mean divergence. Where several results come, the last one counts. The descriptor
is the script's own, so a line of any other form is a mistake: the trial fails and the line is
quoted. Standard output and error go to the trial's log.

The end: exit status 0 with a result completes the trial, another status fails it with the last
line of standard error. When the trial should stop, the script's process group gets SIGTERM, and
SIGKILL 3 s later. Whatever the script leaves running in its group is killed when it ends, and when
the trial process dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from hpo_handler.arguments import environment, fill_in, program
from hpo_handler.context import TrialContext, TrialStopped
from hpo_handler.contract import MAX_LINE_BYTES, Trainer
from hpo_handler.failures import TrialError, plain
from hpo_handler.guard import Guard

TERM_TO_KILL_S = 3.0
REPORT_FD = 3  # one digit: some shells can write to no other
_GATE = f'read -r _ && exec "$@" </dev/null {REPORT_FD}>"/dev/fd/$0"'


def run_command(trainer: Trainer, context: TrialContext, guard: Guard) -> object:
    """Run the script to its end and return its result (a number, a list or a dict), or None.

    Raises TrialError for whatever went wrong, TrialStopped where the script was stopped or ended
    itself early, TrialDiverged where it reported NaN.
    """
    arguments = fill_in(trainer.command, context)
    folder = Path(trainer.pythonpath[0]) if trainer.pythonpath else Path.cwd()
    arguments[0] = program(arguments[0], folder)
    context.stage("training")
    script = _Script(context, guard)
    status = script.run(arguments, folder)
    return script.outcome(status, trainer.command[0])


class _Script:
    """One run of the script: its process group, its reports, its ending."""

    def __init__(self, context: TrialContext, guard: Guard) -> None:
        self._context = context
        self._guard = guard
        self._lock = threading.Lock()
        self._group: int | None = None
        self._result: dict[str, Any] | None = None
        self._error: Exception | None = None
        self._last_words = b""

    def run(self, arguments: list[str], folder: Path) -> int:
        """Run to the end; return the exit status, negative for a signal."""
        reports, theirs = os.pipe()
        try:
            process = self._start(arguments, folder, theirs)
        except (OSError, ValueError) as error:
            os.close(reports)
            raise TrialError(f"the command cannot be started: {error}") from None
        finally:
            os.close(theirs)
        assert process.stderr is not None
        pumps = [
            threading.Thread(target=self._take_reports, args=(reports,), daemon=True),
            threading.Thread(target=self._pass_on, args=(process.stderr,), daemon=True),
        ]
        for pump in pumps:
            pump.start()
        self._context.on_stop(self._terminate)
        status = process.wait()
        self._end(process.pid)
        for pump in pumps:  # at once, unless something left the group with our pipes
            pump.join(timeout=2.0)
        return status

    def outcome(self, status: int, name: str) -> object:
        """Return the result or raise what became of the run."""
        if self._error is not None:
            raise self._error
        if status == 0 and self._result is not None:
            if self._result.get("pruned") is True:
                raise TrialStopped
            return self._result.get("metrics", self._result.get("value"))
        if self._context.should_stop():
            raise TrialStopped
        raise _failure(status, name, self._last_line())

    def _start(self, arguments: list[str], folder: Path, theirs: int) -> subprocess.Popen[bytes]:
        """Start the script behind a gate that opens once the guard knows its group."""
        gate, opener = os.pipe()
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _GATE, str(theirs), *arguments],
                stdin=gate,
                stdout=2,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=environment(self._context, REPORT_FD),
                pass_fds=(theirs,),
                process_group=0,
            )
            self._guard.cover(process.pid)
            self._group = process.pid
            os.write(opener, b"go\n")
        finally:
            os.close(gate)
            os.close(opener)
        return process

    def _end(self, group: int) -> None:
        with self._lock:
            self._signal(signal.SIGKILL)
            self._group = None
        self._guard.release(group)

    def _terminate(self) -> None:
        """Ask the group to end; make it, 3 s later."""
        with self._lock:
            self._signal(signal.SIGTERM)
        killer = threading.Timer(TERM_TO_KILL_S, self._kill)
        killer.daemon = True
        killer.start()

    def _kill(self) -> None:
        with self._lock:
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._group is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._group, number)

    def _take_reports(self, descriptor: int) -> None:
        try:
            with os.fdopen(descriptor, "rb") as stream:
                for number, line in enumerate(_lines(stream), start=1):
                    self._take(number, line)
        except Exception as error:  # noqa: BLE001 - raised again by `outcome`
            self._error = error
            self._terminate()

    def _take(self, number: int, line: bytes) -> None:
        message = _parse(number, line)
        if "step" in message:
            step, value = message.pop("step"), message.pop("value", None)
            total = message.pop("total_steps", None)
            try:
                self._context.report(step, value, total_steps=total, **message)
            except (TypeError, ValueError) as error:
                raise _bad_line(number, line, str(error)) from None
        elif isinstance(message.get("stage"), str):
            self._context.stage(message["stage"])
        elif {"value", "metrics", "pruned"} & message.keys():
            self._result = message
        else:
            raise _bad_line(number, line, "neither a report nor a result")

    def _pass_on(self, stream: IO[bytes]) -> None:
        """Copy standard error to the log and keep its last words."""
        with stream, contextlib.suppress(OSError):
            while chunk := os.read(stream.fileno(), 65536):
                self._last_words = (self._last_words + chunk)[-4096:]
                os.write(2, chunk)

    def _last_line(self) -> str:
        lines = self._last_words.decode("utf-8", "replace").strip().splitlines()
        return plain(lines[-1], 300) if lines else ""


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if line.strip():
            yield line


def _parse(number: int, line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise _bad_line(number, line, f"longer than {MAX_LINE_BYTES} bytes")
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise _bad_line(number, line, "not JSON") from None
    if not isinstance(message, dict):
        raise _bad_line(number, line, "not a JSON object")
    return message


def _bad_line(number: int, line: bytes, problem: str) -> TrialError:
    quoted = plain(line[:200].decode("utf-8", "replace"), 80)
    return TrialError(
        f"line {number} that the command wrote to HPO_REPORT_FD is not usable: {problem}: {quoted}",
        fingerprint=f"report line {problem}",
    )


def _failure(status: int, name: str, last_line: str) -> TrialError:
    words = f": {last_line}" if last_line else ""
    if status == -signal.SIGKILL:
        return TrialError(
            f"{name} was killed (SIGKILL), as a machine out of memory does{words}", failure="lost"
        )
    if status < 0:
        return TrialError(f"{name} was ended by {signal.Signals(-status).name}{words}")
    if status > 0:
        return TrialError(
            f"{name} ended with exit status {status}{words}", fingerprint=f"{name} {status}"
        )
    return TrialError(
        f"{name} ended without a result; write a line such as "
        '{"value": 0.9} to the descriptor HPO_REPORT_FD'
    )
