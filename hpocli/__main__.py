"""`python -m hpocli` is `hpo`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported leaves no traceback."""
    try:
        from hpocli.cli import main as command  # noqa: PLC0415 - inside what catches Ctrl-C
    except KeyboardInterrupt:
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
