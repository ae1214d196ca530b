"""`edge-lpr dataset`: labelled plates in PP-OCR's training format."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_lpr.console.output import say
from edge_lpr.console.progress import Progress
from edge_lpr.counting import counted
from edge_lpr.errors import SettingError

DESCRIPTION = """\
Reads CCPD2019 and CCPD2020 by their file names and writes, into --out:

  det.txt      images/IMAGE<TAB>[{"transcription": …, "points": [[x, y], …]}]
  rec.txt      crops/IMAGE<TAB>text
  images/      the images, as hard links (copies where the file system has none)
  crops/       each plate straightened, named after its image
  skipped.txt  the images left out, each with its reason

Images below a folder ccpd_np become images without a plate. Images that cannot be read are left
out like those whose name is none of CCPD's; the exit code is 2 then, once all is done. An
interrupted run goes on where it was when the same command is given again.
"""

EPILOG = """\
examples:
  edge-lpr dataset ccpd CCPD2020/ccpd_green/train --out plates/train
  edge-lpr evaluate e2e plates/train/det.txt
"""
# Skipped images shown on the terminal; skipped.txt has them all.
SHOWN = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("format", choices=("ccpd",), help="what the folder holds")
    parser.add_argument("source", metavar="DIR", type=Path, help="folder of images, with subfolders or not")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder to write")
    parser.add_argument("--workers", type=int, metavar="N", help="images at a time (default: one per core)")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from edge_lpr.datasets.ccpd_converter import convert_ccpd, find_images

    if args.workers is not None and not 1 <= args.workers <= 256:
        raise SettingError(f"--workers is {args.workers}, expected 1 to 256")
    total = len(find_images(args.source, args.out))
    with Progress("ccpd", total, "images") as progress:
        result = convert_ccpd(args.source, args.out, args.workers, progress.update)
        for name, reason in result.problems[:SHOWN]:
            progress.note(f"skipped: {name}: {reason}")
        if len(result.problems) > SHOWN:
            progress.note(
                f"skipped: {len(result.problems) - SHOWN} more, listed in {args.out / 'skipped.txt'}"
            )
    reused = f", {result.reused} of them from an earlier run" if result.reused else ""
    counts = (
        f"{counted(result.images, 'images')}, {counted(result.crops, 'plates')}{reused}; "
        f"{len(result.problems)} skipped"
    )
    say(f"{args.out}: {counts}")
    return 2 if result.unread else 0
