"""Makes the sample street: a short drawn video with rendered plates, and the truth beside it.

    python -m edge_lpr.finetune.synthesis.street --out samples/

writes `street.mp4`, `street.jpg` (a frame with two plates) and `street.json`, which holds the true plates
of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.finetune.synthesis.street.film import write


@module_main("street")
def main(argv: Sequence[str] | None = None) -> int:
    """Makes the sample."""
    parser = Parser(prog="python -m edge_lpr.finetune.synthesis.street", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("samples"), help="folder to write to")
    args = parser.parse_args(argv)
    write(args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
