"""One process's work on one run: lock, log, study, executor, loop, results."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from hpocli import events as ev
from hpocli import logs
from hpocli._version import __version__
from hpocli.clock import Clock, SystemClock
from hpocli.config import SweepConfig
from hpocli.console import Console, make_console
from hpocli.ending import Ending, Policy, interrupt_words
from hpocli.errors import BackendError, ExitCode, HpoError, StateError
from hpocli.eventlog import EventLog, LogReader
from hpocli.flight import RequestFactory, Stop
from hpocli.ledger import Ledger
from hpocli.models import ModelKeeper
from hpocli.plots import make_plots
from hpocli.plugins import Plugins
from hpocli.recovery import Recovery
from hpocli.results import replace_file, write_results
from hpocli.runfacts import write_facts
from hpocli.runs import RunFolder, RunLock, point_latest
from hpocli.scheduler import Parts, Scheduler
from hpocli.spi import Executor, ExecutorContext, ExecutorError, ExecutorSpec
from hpocli.state import RunState, fold
from hpocli.study import SweepStudy

_log = logging.getLogger(__name__)
TERMINAL_WINDOW_S = 30.0
PIPE_WINDOW_S = 7.0  # a CI system kills soon after it asks
_QUIET_ENDINGS = (ExitCode.OK, ExitCode.INTERRUPTED, ExitCode.TERMINATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a command shows what happens, and the environment it was called in."""

    environ: Mapping[str, str]
    as_json: bool = False
    quiet: bool = False

    def console(self) -> Console:
        """Return the console that shows the sweep on this process's streams."""
        return make_console(
            json=self.as_json,
            quiet=self.quiet,
            stdout=sys.stdout,
            stderr=sys.stderr,
            environ=self.environ,
        )


class Session:
    """One process's work on one run. `began`: something was written that is worth keeping."""

    def __init__(
        self,
        folder: RunFolder,
        config: SweepConfig,
        plugins: Plugins,
        *,
        command: str,
        is_new: bool,
        clock: Clock | None = None,
    ) -> None:
        self._folder = folder
        self._config = config
        self._plugins = plugins
        self._command = command
        self._is_new = is_new
        self._clock = clock or SystemClock()
        self._started = self._clock.monotonic()
        self._hurried = False
        self.began = False

    def run(self, view: View, *, sweep_text: str) -> int:
        """Work until the sweep ends; return the exit code.

        sweep_text: what becomes `sweep.yaml`, or "" where that stays as it is.
        """
        with ExitStack() as stack:
            self._lock(stack)
            if self._is_new:  # first of all: whoever resumes needs it
                replace_file(self._folder.sweep_file, sweep_text)
            logs.configure(self._folder.log)
            stack.callback(logs.close)
            console = view.console()
            stack.callback(console.close)
            ledger, torn = self._open_ledger(stack)
            study = self._open_study(stack, ledger.state)
            if sweep_text and not self._is_new:  # only once study and sweep were found to agree
                replace_file(self._folder.sweep_file, sweep_text)
            self._begin(ledger, console, torn_bytes=torn + study.torn_bytes)
            ending = self._drive(ledger, study, console)
            return self._finish(ledger, study, console, ending)

    def _lock(self, stack: ExitStack) -> None:
        lock = RunLock(self._folder)
        lock.acquire()
        stack.callback(lock.release)

    def _open_ledger(self, stack: ExitStack) -> tuple[Ledger, int]:
        """Open the log behind its last good line; return also the length of what was cut."""
        reader = LogReader(self._folder.events)
        state = fold(reader.records()) if self._folder.events.exists() else RunState()
        log = EventLog(
            self._folder.events, self._clock, last_seq=reader.last_seq, size=reader.good_bytes
        )
        stack.callback(log.close)
        point_latest(self._folder)
        return Ledger(log, state), reader.torn_bytes

    def _open_study(self, stack: ExitStack, state: RunState) -> SweepStudy:
        # A run of which no trial is known may have died anywhere in its beginning.
        create = (True if self._is_new else None) if not state.trials else False
        name = self._config.run_name if self._config.storage is None else self._folder.name
        study = SweepStudy.open(
            self._config, journal=self._folder.journal, name=name, create=create
        )
        stack.callback(study.close)
        return study

    def _begin(self, ledger: Ledger, console: Console, *, torn_bytes: int) -> None:
        keeper = ModelKeeper(self._folder, self._config, ledger.state.best)
        for listener in (keeper.on_record, console.on_record, self._plugins.on_event):
            ledger.listen(listener)
        header = self._header(ledger.state.header)
        write_facts(self._folder, header, command=self._command, now=self._clock.time())
        self.began = True
        console.start(header)
        ledger.emit(header)
        if torn_bytes:
            cut = f"{torn_bytes} bytes of an unfinished last line were cut away"
            ledger.emit(ev.Warned(message=f"{cut}: the machine or the disk failed while writing"))
        for info in self._plugins.infos:
            if info.error:
                ledger.emit(ev.Warned(message=f"plugin {info.distribution}: {info.error}"))

    def _drive(self, ledger: Ledger, study: SweepStudy, console: Console) -> Ending:
        with _executor(self._spec(), self._config, self._folder) as executor:
            parts = self._parts(ledger, study, executor)
            window = TERMINAL_WINDOW_S if sys.stderr.isatty() else PIPE_WINDOW_S
            policy = Policy(self._config, ledger.state, window_s=window, attaches=executor.attaches)
            ledger.listen(partial(_say_interrupt, console, window))
            scheduler = Scheduler(parts, policy)
            with _signals(scheduler):
                Recovery(parts, scheduler).run()
                ending = scheduler.run()
                self._hurried = policy.now
                return ending

    def _parts(self, ledger: Ledger, study: SweepStudy, executor: Executor) -> Parts:
        assert ledger.state.header is not None
        uid = ledger.state.header.uid
        return Parts(
            config=self._config,
            study=study,
            ledger=ledger,
            executor=executor,
            requests=RequestFactory(self._config, uid, self._trial_dir),
            clock=self._clock,
        )

    def _trial_dir(self, number: int) -> Path:
        return self._folder.trial(number).absolute()

    def _spec(self) -> ExecutorSpec:
        found = self._plugins.catalog.executors.get(self._config.executor)
        if found is None:
            raise BackendError(
                f"there is no executor {self._config.executor!r} here", hint="see: hpo plugins"
            )
        return found

    def _header(self, old: ev.RunStarted | None) -> ev.RunStarted:
        config = self._config
        return ev.RunStarted(
            run=self._folder.name,
            uid=old.uid if old else uuid.uuid4().hex[:12],
            epoch=old.epoch + 1 if old else 1,
            executor=config.executor,
            trials=config.trials,
            concurrent_workers=config.concurrent_workers,
            objectives=config.objectives,
            directions=config.directions,
            trainer=config.trainer.name,
            sampler=config.sampler.name,
            pruner=config.pruner.name,
            seed=config.seed,
            version=__version__,
            pid=os.getpid(),
            host=socket.gethostname(),
        )

    def _finish(self, ledger: Ledger, study: SweepStudy, console: Console, ending: Ending) -> int:
        ledger.emit(
            ev.RunFinished(
                exit_code=ending.code,
                reason=ending.reason,
                elapsed_s=round(self._clock.monotonic() - self._started, 3),
            ),
            durable=True,
        )
        study.barrier()
        warnings = self._write(ledger.state, study, ending)
        console.finish(ledger.state, self._folder, self._config)
        for warning in warnings:
            console.say(f"warning: {warning}")
        if ending.code not in _QUIET_ENDINGS:
            console.say(f"error: {ending.reason}")
        if ending.hint:
            console.say(f"hint: {ending.hint}")
        return int(ending.code)

    def _write(self, state: RunState, study: SweepStudy, ending: Ending) -> list[str]:
        """Write the results and draw the plots; return what could not be drawn.

        Who presses Ctrl-C twice waits for no drawing.
        """
        config, folder, code = self._config, self._folder, int(ending.code)
        importances = {} if self._hurried else study.importances()
        try:
            write_results(folder, config, state, importances=importances, exit_code=code)
            if state.header is not None:
                now = self._clock.time()
                write_facts(folder, state.header, command=self._command, now=now, code=code)
            return [] if self._hurried else make_plots(folder, config, state, importances)
        except OSError as error:
            raise StateError(
                f"cannot write the results of run {folder.name!r}: {error.strerror}",
                hint=f"nothing is lost; make room, then: hpo resume {folder.name}",
            ) from None


@contextmanager
def _executor(spec: ExecutorSpec, config: SweepConfig, folder: RunFolder) -> Iterator[Executor]:
    """Build the executor, check that it can take trials, and close it whatever happens."""
    context = ExecutorContext(
        concurrent_workers=config.concurrent_workers, run_dir=folder.root.absolute()
    )
    try:
        executor = spec.build(spec.options(**config.executor_options), context)
    except HpoError:
        raise
    except ExecutorError as error:
        raise BackendError(f"executor {spec.name!r}: {error.message}", hint=error.hint) from None
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        _log.exception("building the executor failed")
        raise BackendError(
            f"executor {spec.name!r} could not be built: {type(error).__name__}: {error}",
            hint=f"the details are in {folder.log}",
        ) from None
    try:
        yield executor
    finally:
        executor.close()


@contextmanager
def _signals(scheduler: Scheduler) -> Iterator[None]:
    """Turn signals into messages; a third one ends the process whatever it is doing."""
    count = 0

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal count
        del frame
        count += 1
        if count > 2:
            os._exit(128 + number)
        scheduler.post(Stop(signal.Signals(number).name))

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in wanted}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _say_interrupt(console: Console, window_s: float, record: ev.Record, state: RunState) -> None:
    """Answer a signal at once, whatever else is queued for the screen."""
    if isinstance(record.event, ev.RunInterrupted) and state.header is not None:
        running = state.count("submitting", "queued", "running")
        policy, run = record.event.policy, state.header.run
        console.say(interrupt_words(policy, running, run=run, window_s=window_s))
