"""`python -m edge_lpr` is the `edge-lpr` command."""

import sys

from edge_lpr.cli import main

if __name__ == "__main__":
    sys.exit(main())
