"""Tables for people: rich's, with every cell as plain text that nothing in it can style."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import IO, cast

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hpocli.streams import SafeStream

_WIDE = 200
_STYLES = {"completed": "green", "failed": "red", "pruned": "yellow", "running": "cyan"}


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: str = "") -> None:
    """Print rows below column names; the columns named in `right` (blank-separated) align right.

    The last column takes the space that is left and wraps; the others never do.
    """
    out = SafeStream(sys.stdout)
    console = Console(
        file=cast("IO[str]", out),
        markup=False,
        highlight=False,
        emoji=False,
        no_color=bool(os.environ.get("NO_COLOR")),
        width=None if out.isatty() else _WIDE,
    )
    table = Table(
        box=box.SIMPLE_HEAD if out.isatty() else None, pad_edge=False, header_style="bold"
    )
    numeric = right.split()
    for name in columns:
        last = name == columns[-1]
        side = "right" if name in numeric else "left"
        table.add_column(Text(name), no_wrap=not last, overflow="fold", justify=side)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    console.print(table)
