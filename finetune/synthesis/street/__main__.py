"""Makes the sample street: a short drawn video with rendered plates, and the truth beside it.

    python -m edge_lpr.finetune.synthesis.street --out samples/

writes `street.mp4`, `street.jpg` (a frame with two plates) and `street.json`, which holds the true plates
of both.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge_lpr.errors import OutputError
from edge_lpr.finetune.synthesis.street.film import write


def main(argv: list[str] | None = None) -> int:
    """Makes the sample."""
    parser = argparse.ArgumentParser(prog="python -m edge_lpr.finetune.synthesis.street", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("samples"), help="folder to write to")
    args = parser.parse_args(argv)
    try:
        write(args.out)
    except OutputError as e:
        print(f"street: {e}", file=sys.stderr)
        return e.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
