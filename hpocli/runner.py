"""One sweep from the command line to its exit code: folder, lock, study, executor, results."""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import signal
import socket
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import Any

from hpocli import events as ev
from hpocli import logs
from hpocli._version import __version__
from hpocli.clock import Clock, SystemClock, isoformat
from hpocli.config import SweepConfig
from hpocli.console import Console, make_console
from hpocli.ending import Ending, Policy, interrupt_words
from hpocli.errors import BackendError, ConfigError, ExitCode, HpoError, StateError
from hpocli.eventlog import EventLog, LogReader
from hpocli.flight import RequestFactory, Stop
from hpocli.ledger import Ledger
from hpocli.models import ModelKeeper
from hpocli.plots import make_plots
from hpocli.plugins import Plugins
from hpocli.recovery import Recovery
from hpocli.resolve import dump_config, load_config, load_resolved
from hpocli.results import replace_file, write_results
from hpocli.runs import RunFolder, RunLock, find_run
from hpocli.scheduler import Parts, Scheduler
from hpocli.spi import Executor, ExecutorContext, ExecutorError, ExecutorSpec
from hpocli.state import RunState, fold
from hpocli.study import SweepStudy

_log = logging.getLogger(__name__)
TERMINAL_WINDOW_S = 30.0
PIPE_WINDOW_S = 7.0  # a CI system kills soon after it asks


def start_run(
    *,
    executor: str,
    sweep_file: Path | None,
    assignments: Sequence[str],
    options: Mapping[str, Any],
    plugins: Plugins,
    command: str,
    environ: dict[str, str],
    as_json: bool,
    quiet: bool,
) -> int:
    """Start a new run; return its exit code. Raises HpoError for what the user can mend."""
    config = load_config(
        executor=executor,
        sweep_file=sweep_file,
        assignments=assignments,
        environ=environ,
        options=options,
        catalog=plugins.catalog,
        cwd=Path.cwd(),
    )
    folder = make_folder(config)
    folder.sweep_file.write_text(dump_config(config), encoding="utf-8")
    session = Session(
        folder,
        config,
        plugins,
        environ=environ,
        command=command,
        state=RunState(),
        is_new=True,
    )
    try:
        return session.run(as_json=as_json, quiet=quiet)
    except BaseException:  # an early Ctrl-C, too, leaves nothing behind
        if not session.began:
            shutil.rmtree(folder.root, ignore_errors=True)
        raise


def resume_run(
    *,
    name: str,
    overrides: Sequence[str],
    runs_dir: Path,
    plugins: Plugins,
    environ: dict[str, str],
    as_json: bool,
    quiet: bool,
) -> int:
    """Go on with a run; return its exit code. Raises HpoError for what the user can mend."""
    folder = find_run(runs_dir, name)
    reader = LogReader(folder.events)
    state = fold(reader.records())
    config = load_resolved(folder.sweep_file, plugins.catalog, overrides)
    _refuse_other_sweep(load_resolved(folder.sweep_file, plugins.catalog), config)
    session = Session(
        folder, config, plugins, environ=environ, command=f"hpo resume {name}", state=state
    )
    if overrides:
        session.config_text = dump_config(config)
    return session.run(as_json=as_json, quiet=quiet)


def _refuse_other_sweep(old: SweepConfig, new: SweepConfig) -> None:
    fixed = ("trainer", "objectives", "directions", "seed", "reproducible", "storage", "mode")
    for key in fixed:
        if getattr(old, key) != getattr(new, key):
            raise ConfigError(
                f"{key} cannot change within a run: it would make earlier trials incomparable",
                hint="start a new run with warm_start from this one",
            )


def make_folder(config: SweepConfig) -> RunFolder:
    """Create the run's folder: `run_name`, or `run_name-2`, ... where that is taken."""
    runs_dir = Path(config.runs_dir)
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            name = config.run_name if number == 1 else f"{config.run_name}-{number}"
            try:
                (runs_dir / name).mkdir(mode=0o700)
            except FileExistsError:
                continue
            return RunFolder(runs_dir / name)
    except OSError as error:
        raise StateError(
            f"cannot create a run folder in {runs_dir}: {error.strerror}",
            hint="choose another place with runs_dir=PATH",
        ) from None
    raise StateError(f"{runs_dir} holds 10,000 runs called {config.run_name!r}")


class Session:
    """One process's work on one run."""

    def __init__(
        self,
        folder: RunFolder,
        config: SweepConfig,
        plugins: Plugins,
        *,
        environ: dict[str, str],
        command: str,
        state: RunState,
        is_new: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._folder = folder
        self._config = config
        self._plugins = plugins
        self._environ = environ
        self._command = command
        self._state = state
        self._is_new = is_new
        self._clock = clock or SystemClock()
        self._began = self._clock.monotonic()
        self._hurried = False
        self.config_text = ""
        self.began = False

    def run(self, *, as_json: bool, quiet: bool) -> int:
        """Work until the sweep ends; return the exit code."""
        with ExitStack() as stack:
            self._lock(stack)
            logs.configure(self._folder.log)
            stack.callback(logs.close)
            console = make_console(
                json=as_json,
                quiet=quiet,
                stdout=sys.stdout,
                stderr=sys.stderr,
                environ=self._environ,
            )
            stack.callback(console.close)
            ledger = self._open_ledger(stack)
            study = self._open_study(stack)
            ending = self._drive(ledger, study, console)
            return self._finish(ledger, study, console, ending)

    def _lock(self, stack: ExitStack) -> None:
        lock = RunLock(self._folder)
        lock.acquire()
        stack.callback(lock.release)
        if self.config_text:
            replace_file(self._folder.sweep_file, self.config_text)

    def _open_ledger(self, stack: ExitStack) -> Ledger:
        """Open the log behind its last good line, with the state it folds to."""
        good = seq = torn = 0
        if self._folder.events.exists():
            reader = LogReader(self._folder.events)
            self._state = fold(reader.records())
            good, seq, torn = reader.good_bytes, reader.last_seq, reader.torn_bytes
        log = EventLog(self._folder.events, self._clock, last_seq=seq, size=good)
        stack.callback(log.close)
        _point_latest(self._folder)
        if torn:
            _log.warning("cut %d bytes of an unfinished last event", torn)
        return Ledger(log, self._state)

    def _open_study(self, stack: ExitStack) -> SweepStudy:
        # A run of which no trial is known may have died anywhere in its beginning.
        create = (True if self._is_new else None) if not self._state.trials else False
        name = self._config.run_name if self._config.storage is None else self._folder.name
        study = SweepStudy.open(
            self._config, journal=self._folder.journal, name=name, create=create
        )
        stack.callback(study.close)
        return study

    def _drive(self, ledger: Ledger, study: SweepStudy, console: Console) -> Ending:
        keeper = ModelKeeper(self._folder, self._config, ledger.state.best)
        for listener in (keeper.on_record, console.on_record, self._plugins.on_event):
            ledger.listen(listener)
        header = self._header()
        _write_run_json(self._folder, self._facts(header, status="running"))
        self.began = True
        console.start(header)
        ledger.emit(header)
        for info in self._plugins.infos:
            if info.error:
                ledger.emit(ev.Warned(message=f"plugin {info.distribution}: {info.error}"))
        with _executor(self._spec(), self._config, self._folder) as executor:
            parts = self._parts(ledger, study, executor, header.uid)
            window = TERMINAL_WINDOW_S if sys.stderr.isatty() else PIPE_WINDOW_S
            policy = Policy(self._config, ledger.state, window_s=window, attaches=executor.attaches)
            ledger.listen(partial(_say_interrupt, console, window))
            scheduler = Scheduler(parts, policy)
            with _signals(scheduler):
                Recovery(parts, scheduler).run()
                ending = scheduler.run()
                self._hurried = policy.now
                return ending

    def _parts(self, ledger: Ledger, study: SweepStudy, executor: Executor, uid: str) -> Parts:
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

    def _header(self) -> ev.RunStarted:
        config, old = self._config, self._state.header
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

    def _facts(self, header: ev.RunStarted, *, status: str, code: int | None = None) -> Any:
        return {
            "run": self._folder.name,
            "uid": header.uid,
            "status": status,
            "exit_code": code,
            "epoch": header.epoch,
            "command": self._command,
            "seed": self._config.seed,
            "host": header.host,
            "pid": header.pid,
            "at": isoformat(self._clock.time()),
            "python": platform.python_version(),
            "platform": platform.platform(),
            "versions": _versions(),
        }

    def _finish(self, ledger: Ledger, study: SweepStudy, console: Console, ending: Ending) -> int:
        state, config, folder = ledger.state, self._config, self._folder
        ledger.emit(
            ev.RunFinished(
                exit_code=ending.code,
                reason=ending.reason,
                elapsed_s=round(self._clock.monotonic() - self._began, 3),
            ),
            durable=True,
        )
        study.barrier()
        importances = {} if self._hurried else study.importances()
        code, warnings = int(ending.code), list[str]()
        try:
            write_results(folder, config, state, importances=importances, exit_code=code)
            if not self._hurried:  # who presses Ctrl-C twice waits for no drawing
                warnings = make_plots(folder, config, state, importances)
            if state.header is not None:
                facts = self._facts(state.header, status="finished", code=code)
                _write_run_json(folder, facts)
        except OSError as error:
            raise StateError(
                f"cannot write the results of run {folder.name!r}: {error.strerror}",
                hint=f"nothing is lost; make room, then: hpo resume {folder.name}",
            ) from None
        console.finish(state, folder, config)
        for warning in warnings:
            console.say(f"warning: {warning}")
        if ending.code not in (ExitCode.OK, ExitCode.INTERRUPTED, ExitCode.TERMINATED):
            console.say(f"error: {ending.reason}")
        if ending.hint:
            console.say(f"hint: {ending.hint}")
        return int(ending.code)


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


def _versions() -> dict[str, str]:
    found = {"hpocli": __version__}
    for name in ("optuna", "numpy", "tensorflow", "keras", "runpod"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _write_run_json(folder: RunFolder, facts: Mapping[str, Any]) -> None:
    replace_file(folder.run_json, json.dumps(facts, indent=2) + "\n")


def _point_latest(folder: RunFolder) -> None:
    """Let `latest` beside the run point at it; a file system without links goes without."""
    draft = folder.root.parent / f".latest-{os.getpid()}"
    try:
        draft.symlink_to(folder.name, target_is_directory=True)
        draft.replace(folder.root.parent / "latest")
    except OSError:
        draft.unlink(missing_ok=True)
