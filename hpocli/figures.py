"""The plots of a run as matplotlib figures, made without pyplot: no windows, no global state."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hpocli.axes import Scale, scale_of
from hpocli.ranking import best_trial, completed, directions, objectives, pareto_front
from hpocli.show import clean
from hpocli.state import RunState, TrialView, WorkerSpan

STYLE: dict[str, Any] = {
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "font.size": 9.5,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "axes.edgecolor": "#888888",
    "legend.frameon": False,
    "text.parse_math": False,
    "svg.hashsalt": "hpo",
}
COLORS = {"completed": "#2a6fbb", "pruned": "#e0a030", "failed": "#c0392b", "cancelled": "#999999"}
_BEST = "#1b9e5a"


def _figure(width: float = 8.0, height: float = 4.5) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def history(state: RunState) -> Figure:
    """Return the value of each trial by its number, with the best so far; a panel an objective."""
    names, ways = objectives(state), directions(state)
    figure = Figure(figsize=(8.0, 1.6 + 2.9 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    done = completed(state)
    for index, (ax, name, way) in enumerate(zip(panels, names, ways, strict=True)):
        numbers, values = [t.number for t in done], [t.values[index] for t in done]
        ax.scatter(numbers, values, s=22, color=COLORS["completed"], alpha=0.75, label="completed")
        beside = _pruned_marks(ax, state) if index == 0 else []
        best = np.maximum.accumulate(values) if way == "maximize" else np.minimum.accumulate(values)
        ax.step(numbers, best, where="post", color=_BEST, linewidth=1.8, label="best so far")
        ax.set_ylabel(clean(name, 40))
        _focus(ax, values, beside)
    panels[0].legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.2)
    panels[0].set_title("Optimization history")
    panels[-1].set_xlabel("trial")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    panels[-1].set_xlim(-0.5, max(state.trials) + 0.5)
    return figure


def _pruned_marks(ax: Axes, state: RunState) -> list[float]:
    """Draw the last reports of pruned trials; return their values."""
    pruned = [t for t in state.trials.values() if t.status == "pruned" and t.curve]
    if pruned:
        ax.scatter(
            [t.number for t in pruned],
            [t.curve[-1][1] for t in pruned],
            s=20,
            marker="x",
            color=COLORS["pruned"],
            alpha=0.8,
            label="pruned (last report)",
        )
    return [t.curve[-1][1] for t in pruned]


def _focus(ax: Axes, values: Sequence[float], beside: Sequence[float] = ()) -> None:
    """Keep a few outliers from flattening everything else; `beside` is drawn too but less so."""
    if len(values) < 6:
        return
    low, mid, high = np.percentile(values, [25, 50, 75])
    reach = 3 * max(high - low, abs(mid) * 1e-3, 1e-12)
    least, most = min(*values, *beside), max(*values, *beside)
    bottom, top = max(least, low - reach), min(most, high + reach)
    if bottom > least or top < most:
        pad = (top - bottom) * 0.06
        ax.set_ylim(bottom - pad, top + pad)
        hidden = sum(not bottom <= v <= top for v in [*values, *beside])
        note = f"{hidden} outside the picture"
        ax.text(0.01, 0.02, note, transform=ax.transAxes, fontsize=8, color="#777777")


def importance_bars(importances: Mapping[str, float]) -> Figure:
    """Return horizontal bars, the most important parameter on top; at most 25."""
    pairs = sorted(importances.items(), key=lambda pair: pair[1])[-25:]
    figure, ax = _figure(7.0, 1.4 + 0.34 * len(pairs))
    bars = ax.barh(
        [clean(n, 32) for n, _ in pairs], [v for _, v in pairs], color=COLORS["completed"]
    )
    ax.bar_label(bars, [f"{v:.2f}" for _, v in pairs], padding=4, fontsize=9)
    ax.set_xlim(0, max(v for _, v in pairs) * 1.12 or 1.0)
    ax.grid(visible=False, axis="y")
    ax.set_title("Parameter importances")
    return figure


def timeline(state: RunState) -> Figure:
    """Return which worker ran which trial when, coloured by how that ended."""
    spans = sorted(state.spans, key=lambda s: s.start)
    workers = sorted({s.worker for s in spans}, key=lambda w: (len(w), w))
    figure, ax = _figure(9.0, 1.8 + 0.42 * max(1, min(len(workers), 40)))
    ax.set_title("Timeline of workers")
    if not spans:
        ax.text(0.5, 0.5, "no trial has run yet", ha="center", transform=ax.transAxes)
        return figure
    origin = min(s.start for s in spans)
    end = max(s.end for s in spans) - origin or 1.0
    unit, name = (60.0, "minutes") if end > 300 else (1.0, "seconds")
    for span in spans:
        row, length = workers.index(span.worker), (span.end - span.start) / unit
        left, color = (span.start - origin) / unit, COLORS.get(span_status(state, span), "#999999")
        ax.barh(row, length, 0.72, left, color=color, edgecolor="white", linewidth=0.6)
        if length * unit / end > 0.025:
            middle = left + length / 2
            ax.text(middle, row, str(span.trial), ha="center", va="center", color="white", size=8)
    ax.set_yticks(range(len(workers)), [clean(w, 24) or "?" for w in workers])
    ax.set_ylim(len(workers) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(f"{name} since the start")
    _state_legend(ax, [s for s in COLORS if s in {span_status(state, x) for x in spans}])
    return figure


def span_status(state: RunState, span: WorkerSpan) -> str:
    """Return how the trial ended where this was its last attempt, else how the attempt did.

    A pruned trial's attempt is cancelled, but so is one that was put back; only that is shown as
    `cancelled`.
    """
    trial = state.trials.get(span.trial)
    last = trial is not None and trial.ended and trial.attempt == span.attempt
    return trial.status if trial is not None and last else span.state


def _state_legend(ax: Axes, states: Sequence[str]) -> None:
    marks = [Line2D([], [], color=COLORS[s], lw=7, label=s) for s in states]
    ax.legend(
        handles=marks, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2
    )


def _searched(state: RunState) -> list[str]:
    """Return the parameters that took at least two values, in order of appearance."""
    seen: dict[str, set[Any]] = {}
    for trial in completed(state):
        for name, value in trial.params.items():
            seen.setdefault(name, set()).add(value)
    varied = [name for name, values in seen.items() if len(values) > 1]
    return varied or list(seen)


def slices(state: RunState, logs: Collection[str] = ()) -> Figure:
    """Return the first objective against each parameter; later trials are darker.

    logs: the parameters searched by their exponent.
    """
    names, trials = _searched(state)[:24], completed(state)
    columns = min(4, max(1, len(names)))
    rows = max(1, math.ceil(len(names) / columns))
    figure = Figure(figsize=(2.9 * columns + 1.0, 2.7 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    marks: Any = None
    for ax, name in zip(panels, names, strict=False):
        having = [t for t in trials if name in t.params]
        scale = scale_of([t.params[name] for t in having], log=name in logs)
        marks = _slice(ax, having, [scale.place(t.params[name]) for t in having], max(state.trials))
        _dress(ax, scale, name)
    for ax in panels[len(names) :]:
        ax.set_visible(False)
    for ax in panels[::columns]:
        ax.set_ylabel(clean(objectives(state)[0], 40))
    if marks is not None and len(trials) > 1:
        shown = panels[: len(names)].tolist()
        figure.colorbar(marks, ax=shown, label="trial", fraction=0.05, aspect=30, pad=0.01)
    figure.suptitle("Slices", x=0.01, ha="left", fontsize=11)
    return figure


def _slice(ax: Axes, trials: Sequence[TrialView], places: Sequence[float], last: int) -> Any:
    values, order = [t.values[0] for t in trials], [t.number for t in trials]
    _focus(ax, values)
    return ax.scatter(
        places,
        values,
        c=order,
        cmap=_dark_blues(),
        vmin=0,
        vmax=max(1, last),
        s=24,
        edgecolor="#555555",
        linewidth=0.3,
    )


def _dark_blues() -> Any:
    """Return the blues without those that vanish on white."""
    return ListedColormap(colormaps["Blues"](np.linspace(0.25, 1.0, 128)))


def _dress(ax: Axes, scale: Scale, name: str) -> None:
    ax.set_xlabel(clean(name, 28))
    turn = sum(len(label) for label in scale.labels) > 26
    ax.set_xticks(
        scale.ticks,
        scale.labels,
        rotation=35 if turn else 0,
        ha="right" if turn else "center",
        fontsize=8.5,
    )
    ax.set_xlim(-0.07, 1.07)


def parallel_coordinates(state: RunState, logs: Collection[str] = ()) -> Figure:
    """Return a line a completed trial through all parameters, coloured by the first objective."""
    trials, names = completed(state), _searched(state)[:14]
    values = np.array([t.values[0] for t in trials])
    scales = [
        scale_of([t.params[n] for t in trials if n in t.params], log=n in logs) for n in names
    ]
    figure, ax = _figure(max(6.0, 1.35 * len(names) + 2.2), 4.8)
    low, high = _color_range(values)
    colors = _colormap(directions(state)[0])
    best = best_trial(state)
    for trial in sorted(trials, key=lambda t: (t is best, t.number)):
        line = [
            s.place(trial.params[n]) if n in trial.params else np.nan
            for s, n in zip(scales, names, strict=True)
        ]
        share = (trial.values[0] - low) / (high - low)
        width = 2.6 if trial is best else 1.1
        alpha = 1.0 if trial is best else max(0.25, min(0.8, 20 / len(trials)))
        ax.plot(
            range(len(names)),
            line,
            color=colors(float(np.clip(share, 0, 1))),
            lw=width,
            alpha=alpha,
            marker="o",
            ms=3,
        )
    _parallel_axes(ax, scales, names)
    _colorbar(ax, colors, (low, high), clean(objectives(state)[0], 40))
    thick = f" (trial {best.number} is the thick line)" if best else ""
    ax.set_title(f"Parallel coordinates{thick}", pad=10)
    return figure


def _color_range(values: Any) -> tuple[float, float]:
    """Return the span of colours: the lowest tenth shares one, so that the good ones differ."""
    low, high = (
        (float(v) for v in np.percentile(values, [5, 95]))
        if len(values) > 9
        else (float(values.min()), float(values.max()))
    )
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _colormap(way: str) -> Any:
    return colormaps["viridis_r" if way == "maximize" else "viridis"]


def _colorbar(ax: Axes, colors: Any, ends: tuple[float, float], label: str) -> None:
    ax.figure.colorbar(
        ScalarMappable(Normalize(*ends), colors), ax=ax, label=label, pad=0.02, aspect=30
    )


def _parallel_axes(ax: Axes, scales: Sequence[Scale], names: Sequence[str]) -> None:
    for x, scale in enumerate(scales):
        ax.axvline(x, color="#999999", lw=0.9, zorder=0)
        for tick, label in zip(scale.ticks, scale.labels, strict=True):
            ax.text(
                x + 0.04,
                tick,
                label,
                fontsize=7.5,
                color="#333333",
                va="bottom",
                zorder=5,
                bbox={"facecolor": "white", "alpha": 0.65, "pad": 0.4, "linewidth": 0},
            )
    turn = len(names) > 5
    ax.set_xticks(
        range(len(names)),
        [clean(n, 24) for n in names],
        rotation=20 if turn else 0,
        ha="right" if turn else "center",
    )
    ax.set_yticks([])
    ax.set_ylim(-0.04, 1.08)
    ax.set_xlim(-0.25, len(names) - 0.5)
    ax.grid(visible=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)


def pareto(state: RunState) -> Figure:
    """Return the first two objectives of each completed trial, with the front marked."""
    figure, ax = _figure(6.6, 5.0)
    front = pareto_front(state)
    rest = [t for t in completed(state) if t not in front]
    ax.scatter(
        [t.values[0] for t in rest],
        [t.values[1] for t in rest],
        s=22,
        color="#b5c4d6",
        label="completed",
    )
    ordered = sorted(front, key=lambda t: t.values)
    ax.plot(
        [t.values[0] for t in ordered],
        [t.values[1] for t in ordered],
        "-o",
        color=_BEST,
        lw=1.2,
        ms=6,
        label="Pareto front",
    )
    for trial in ordered[:30]:
        ax.annotate(
            str(trial.number),
            (trial.values[0], trial.values[1]),
            xytext=(5, 5),
            textcoords="offset points",
            fontsize=8,
        )
    names, ways = objectives(state), directions(state)
    ax.set_xlabel(f"{clean(names[0], 40)} ({ways[0]})")
    ax.set_ylabel(f"{clean(names[1], 40)} ({ways[1]})")
    ax.set_title("Pareto front" if len(names) == 2 else "Pareto front (first two objectives)")
    ax.legend()
    return figure
