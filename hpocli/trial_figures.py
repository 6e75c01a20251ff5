"""The plots of one trial as matplotlib figures: training curves and confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def training_curves(
    curves: Mapping[str, Sequence[float]], title: str, word: str = "epoch"
) -> Figure:
    """Return metrics by step, called `word`; a metric and its `val_` twin share a panel."""
    bases = list(dict.fromkeys(name.removeprefix("val_") for name in curves))[:6]
    columns = min(2, len(bases))
    rows = math.ceil(len(bases) / columns)
    figure = Figure(figsize=(4.4 * columns + 0.4, 2.9 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, base in zip(panels, bases, strict=False):
        for name, color in ((base, "#2a6fbb"), (f"val_{base}", "#d9822b")):
            values = curves.get(name) or ()
            if values:
                ax.plot(
                    range(1, len(values) + 1),
                    values,
                    "-o",
                    ms=3,
                    color=color,
                    label="validation" if name != base else "training",
                )
        ax.set_title(base, fontsize=10)
        ax.set_xlabel(word)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if f"val_{base}" in curves:
            ax.legend()
    for ax in panels[len(bases) :]:
        ax.set_visible(False)
    figure.suptitle(f"Training curves of {title}", x=0.01, ha="left", fontsize=11)
    return figure


def confusion(labels: Sequence[str], matrix: Sequence[Sequence[float]], title: str) -> Figure:
    """Return the confusion matrix: colour by share of the true class, numbers up to 20 classes."""
    counts = np.array(matrix, dtype=float)
    sums = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, sums, out=np.zeros_like(counts), where=sums > 0)
    many = len(labels) > 20
    side = 6.6 if many else 2.6 + 0.42 * len(labels)
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    ax = figure.add_subplot()
    picture = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, ax=ax, label="share of the true class", fraction=0.046, pad=0.03)
    if not many:
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.55 else "#333333"
            if count:
                ax.text(column, row, f"{count:.0f}", ha="center", va="center", color=color, size=8)
    step = max(1, len(labels) // 20)
    ticks = range(0, len(labels), step)
    turn = max(len(label) for label in labels) > 2
    ax.set_xticks(
        ticks,
        [labels[i] for i in ticks],
        rotation=45 if turn else 0,
        ha="right" if turn else "center",
    )
    ax.set_yticks(ticks, [labels[i] for i in ticks])
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.grid(visible=False)
    ax.set_title(f"Confusion matrix of {title}")
    return figure
