"""`python -m edge_lpr` is the `edge-lpr` command."""

from __future__ import annotations

import sys

from edge_lpr.console.start import begin


def main() -> int:
    """Runs the command with the arguments of the process; returns the exit code."""
    begin()
    from edge_lpr.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
