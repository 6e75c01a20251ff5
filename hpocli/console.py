"""What a person, or a program, sees of a sweep while it runs.

    records ──► console.on_record ──► queue ──► its own thread: fold, print, redraw
                                  └─► --json: the line, at once

Showing never slows or breaks the sweep: `on_record` only queues, and a stream that is gone, full
or unable to spell a character is written to no more.
"""

from __future__ import annotations

import atexit
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from queue import Empty, SimpleQueue
from typing import IO, TYPE_CHECKING, TextIO, cast

from hpocli import events as ev
from hpocli.clock import Clock, SystemClock
from hpocli.config import SweepConfig
from hpocli.lines import event_line, final_lines, header_lines, progress_line
from hpocli.progress import aggregate
from hpocli.runs import RunFolder
from hpocli.show import clean
from hpocli.state import RunState
from hpocli.streams import SafeStream

if TYPE_CHECKING:
    from rich.live import Live

_REDRAW_S = 0.2
_IDLE_S = 1.0
_HEARTBEAT_S = 60.0


class Console(ABC):
    """Shows one run. `on_record` returns at once; every method may be called after a failure."""

    def __init__(self, out: SafeStream, clock: Clock) -> None:
        self.out = out
        self.clock = clock

    def start(self, header: ev.RunStarted) -> None:
        """Show what is about to run."""
        for line in header_lines(header):
            self.out.line(line)

    @abstractmethod
    def on_record(self, record: ev.Record, state: RunState) -> None:
        """Take the next event; `state` has it applied already."""

    def say(self, text: str) -> None:
        """Show one sentence at once, whatever else goes on."""
        self.out.line(clean(text, 2000))

    def finish(self, state: RunState, folder: RunFolder, config: SweepConfig) -> None:
        """Show how it ended and what to do next; nothing is shown afterwards. Idempotent."""
        self.close()
        for line in final_lines(state, folder, config, self.clock.time()):
            self.out.line(line)

    def close(self) -> None:
        """Stop drawing; idempotent. For the case that `finish` is never reached."""
        self.out.flush()


class Quiet(Console):
    """Only what is said to the user and the last lines."""

    def start(self, header: ev.RunStarted) -> None:
        """Show nothing."""

    def on_record(self, record: ev.Record, state: RunState) -> None:
        """Show nothing."""


class JsonLines(Quiet):
    """Every event as a JSON line on `data`; people's text goes to `out`."""

    def __init__(self, data: SafeStream, out: SafeStream, clock: Clock) -> None:
        super().__init__(out, clock)
        self._data = data

    def on_record(self, record: ev.Record, state: RunState) -> None:
        """Write the line at once."""
        del state
        self._data.line(record.to_json())


class _Follower(Console):
    """Shows from a thread of its own, which folds the records into a state of its own."""

    def __init__(self, out: SafeStream, clock: Clock) -> None:
        super().__init__(out, clock)
        self._queue: SimpleQueue[ev.Record | None] = SimpleQueue()
        self._state: RunState | None = None
        self._thread: threading.Thread | None = None
        self._pause = threading.Event()
        self._lock = threading.Lock()

    def on_record(self, record: ev.Record, state: RunState) -> None:
        """Queue the event; the first one brings the state it was applied to."""
        if self._thread is None:
            self._state = deepcopy(state)
            self._thread = threading.Thread(target=self._run, name="hpo-console", daemon=True)
            self._thread.start()
            self.show(record, self._state)
        else:
            self._queue.put(record)

    def close(self) -> None:
        """Show what is queued, then stop."""
        if self._thread is not None and not self._pause.is_set():
            self._pause.set()
            self._queue.put(None)
            self._thread.join(timeout=5)

    def _run(self) -> None:
        state = self._state
        more = state is not None
        while more and state is not None:
            more = self._take(state)
            with self._lock:
                self.tick(state)
            self._pause.wait(_REDRAW_S)

    def _take(self, state: RunState) -> bool:
        """Apply what is queued, waiting at most a moment for the first; False at the end."""
        wait = _IDLE_S
        while True:
            try:
                record = self._queue.get(timeout=wait) if wait else self._queue.get_nowait()
            except Empty:
                return True
            if record is None:
                return False
            state.apply(record)
            with self._lock:
                self.show(record, state)
            wait = 0.0

    @abstractmethod
    def show(self, record: ev.Record, state: RunState) -> None:
        """Show one event, if it matters."""

    @abstractmethod
    def tick(self, state: RunState) -> None:
        """Show how far things are, if it is time; called a few times a second at most."""


class PlainLines(_Follower):
    """One line for each event that matters and, in silence, one a minute."""

    def __init__(self, out: SafeStream, clock: Clock) -> None:
        super().__init__(out, clock)
        self._last = clock.monotonic()

    def show(self, record: ev.Record, state: RunState) -> None:
        """Print the event's line."""
        if text := event_line(record, state):
            self._line(text)

    def tick(self, state: RunState) -> None:
        """Print a heartbeat after a minute without a line."""
        if self.clock.monotonic() - self._last >= _HEARTBEAT_S and not state.finished:
            self._line(progress_line(aggregate(state, self.clock.time())))

    def _line(self, text: str) -> None:
        self._last = self.clock.monotonic()
        self.out.line(text)


class LiveView(_Follower):
    """A view redrawn in place; events worth keeping scroll by above it."""

    def __init__(self, out: SafeStream, clock: Clock, environ: Mapping[str, str]) -> None:
        super().__init__(out, clock)
        from rich.console import Console as RichConsole  # noqa: PLC0415 - only on a terminal

        self._rich = RichConsole(
            file=cast("IO[str]", out),
            force_terminal=True,
            markup=False,
            highlight=False,
            emoji=False,
            no_color=bool(environ.get("NO_COLOR")),
        )
        self._live: Live | None = None

    def show(self, record: ev.Record, state: RunState) -> None:
        """Print the event above the view, where it is worth keeping."""
        if text := event_line(record, state, brief=True):
            self._rich.print(text, soft_wrap=False)

    def tick(self, state: RunState) -> None:
        """Redraw."""
        from rich.live import Live  # noqa: PLC0415 - only on a terminal

        from hpocli.liveview import render  # noqa: PLC0415 - needs rich

        picture = render(state, aggregate(state, self.clock.time()), self._rich)
        if self._live is None:
            self._live = Live(
                picture,
                console=self._rich,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            atexit.register(self.close)  # a hidden cursor must not outlive us
            self._live.start(refresh=True)
        self._live.update(picture, refresh=True)

    def say(self, text: str) -> None:
        """Print above the view."""
        with self._lock:
            self._rich.print(clean(text, 2000))

    def close(self) -> None:
        """Stop the thread and take the view off the screen."""
        super().close()
        with self._lock:
            live, self._live = self._live, None
            if live is not None:
                live.stop()
                atexit.unregister(self.close)


def make_console(
    *,
    json: bool,
    quiet: bool,
    stdout: TextIO,
    stderr: TextIO,
    environ: Mapping[str, str],
    clock: Clock | None = None,
) -> Console:
    """Return the console that fits: events for `json`, else by what `stdout` is.

    The live view needs a terminal that can move its cursor; CI, TERM=dumb and pipes get lines.
    """
    clock = clock or SystemClock()
    out, err = SafeStream(stdout), SafeStream(stderr)
    if json:
        return JsonLines(out, err, clock)
    if quiet:
        return Quiet(out, clock)
    dumb = environ.get("TERM", "") in ("dumb", "unknown") or bool(environ.get("CI"))
    if out.isatty() and not dumb:
        return LiveView(out, clock, environ)
    return PlainLines(out, clock)
