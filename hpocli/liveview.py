"""The picture of the live view: running trials with their epochs, counts, best, time."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpocli.lines import counts_line, time_line
from hpocli.progress import AggregatedProgress, TrialProgress
from hpocli.ranking import pareto_front, single_objective
from hpocli.show import clean, duration, number, params_line
from hpocli.state import RunState

_NARROW = 70
_LINES_ELSE = 8


def render(state: RunState, progress: AggregatedProgress, console: Console) -> RenderableType:
    """Return the view for a screen of `console`'s size; it never fills more than that."""
    rows = max(1, console.height - _LINES_ELSE)
    shown = progress.trials[:rows]
    parts: list[RenderableType] = [Text(""), _trials(shown, console.width)]
    if hidden := len(progress.trials) - len(shown):
        parts.append(Text(f"  and {hidden} more", style="dim"))
    parts += [_overall(progress, console.width), _one_line(_counts(progress))]
    parts += [_one_line(text) for text in (_best(state, progress), _limit(progress)) if text]
    parts.append(_one_line(Text(time_line(progress), style="dim")))
    return Group(*parts)


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _trials(trials: tuple[TrialProgress, ...], width: int) -> Table:
    table = Table.grid(padding=(0, 2))
    for justify in ("right", "left", "left", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    for trial in trials:
        cells: list[RenderableType] = [Text(f"trial {trial.number}")]
        if width >= _NARROW:
            cells.append(Text(clean(trial.worker, 16), style="dim"))
        cells += [_bar(trial.fraction, 12 if width < _NARROW else 24), _step(trial)]
        cells.append(Text("" if trial.value is None else number(trial.value)))
        if width >= _NARROW:
            cells.append(Text(duration(trial.elapsed_s), style="dim"))
        table.add_row(*cells)
    return table


def _bar(fraction: float | None, width: int) -> ProgressBar:
    known = fraction is not None
    return ProgressBar(total=1.0, completed=fraction if known and fraction else 0.0, width=width)


def _step(trial: TrialProgress) -> Text:
    if trial.step is None or trial.stage == "stopping":
        return Text(clean(trial.stage, 20) or "starting", style="dim")
    total = f"/{trial.total_steps}" if trial.total_steps else ""
    return Text(f"{trial.step + 1}{total}")


def _overall(progress: AggregatedProgress, width: int) -> Table:
    table = Table.grid(padding=(0, 2))
    ended = progress.completed + progress.pruned + progress.failed
    bar = ProgressBar(total=1.0, completed=progress.done, width=min(44, max(10, width - 20)))
    table.add_row(Text(f"{ended}/{progress.total}", style="bold"), bar)
    return table


def _counts(progress: AggregatedProgress) -> Text:
    p = progress
    text = Text(counts_line(p.completed, p.running, p.failed, p.pruned))
    text.append(f" · {p.waiting} waiting" if p.waiting else "", style="dim")
    return text


def _best(state: RunState, progress: AggregatedProgress) -> Text | None:
    if not single_objective(state):
        return Text(f"pareto front: {len(pareto_front(state))} trials")
    if progress.best_value is None or progress.best_trial is None:
        return None
    text = Text("best ", style="green")
    text.append(number(progress.best_value), style="bold green")
    text.append(f"  trial {progress.best_trial}  ", style="green")
    return text.append(params_line(state.trials[progress.best_trial].params), style="dim")


def _limit(progress: AggregatedProgress) -> Text | None:
    if progress.limit >= progress.slots:
        return None
    return Text(f"{progress.limit} of {progress.slots} slots in use", style="yellow")
