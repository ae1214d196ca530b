"""`edge-lpr evaluate`: how good a bundle is on labelled images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import chain
from typing import Any

from edge_lpr.bundle.manifest import bundle_folder
from edge_lpr.cli.options import add_model_options, model_arguments
from edge_lpr.console.output import say, show
from edge_lpr.console.progress import Progress
from edge_lpr.console.tables import table
from edge_lpr.errors import SettingError
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.settings import DetectorSettings, ReadSettings
from edge_lpr.settings import add_options, given
from edge_lpr.types import TASKS

DESCRIPTION = """\
Reads labelled images and counts what is right, by subset.

  det   boxes, as PaddleOCR's DetMetric counts them (IoU 0.5): precision, recall, hmean
  rec   texts of plates cut out, as its RecMetric does: acc (whole text), norm_edit_dis;
        plates of scenes are cut out along their labelled corners
  e2e   plates found and read: recall, precision and F (exact text and IoU >= 0.5; by text
        alone where an image's labels have no corners), character accuracy as its end2end
        script counts it (images with corners only), and text_recall, the recall by text
        alone: what it has over recall is what the asked overlap costs

DATA is a folder with plates.csv, det.txt or rec.txt, or PPOCRLabel's Label.txt or rec_gt.txt,
such a file itself, or a CCPD folder (labels by file name). Of a folder with scenes and crops
(det.txt and rec.txt), rec takes the crops alone: they show the same plates. Labels that cannot
be used are listed and skipped; plates marked as difficult, ### or 待识别 count neither way. A
metric that nothing was counted for is "-" (null in JSON). The rate is that of the reader
alone, one image at a time (crops in batches of 32), images decoded before. Images that cannot
be read are listed too, and the exit code is 2.
"""

EPILOG = """\
examples:
  edge-lpr evaluate e2e ../shared/data
  edge-lpr evaluate rec rec.txt --decoder greedy --json rec.json
  edge-lpr evaluate det CCPD2020/ccpd_green/test --precision int8 --list-errors
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("task", choices=TASKS, help="what is measured")
    parser.add_argument("data", nargs="+", metavar="DATA", help="label file, or folder of labelled images")
    add_model_options(parser)
    add = parser.add_argument_group("what is reported").add_argument
    add_options(add, ReadSettings)
    add = parser.add_argument_group("detection, by PP-OCR's names (default: the bundle's)").add_argument
    add_options(add, DetectorSettings, show_default=False)
    parser.add_argument(
        "--decoder",
        default="plate",
        choices=("plate", "greedy"),
        help="rec: the plate decoder (default), or greedy CTC decoding as PaddleOCR does",
    )
    parser.add_argument("--json", metavar="FILE", help="write everything as JSON, '-' for standard output")
    parser.add_argument(
        "--anonymous",
        action="store_true",
        help="--json without names of images (hashes of their contents instead) and without texts of plates",
    )
    parser.add_argument(
        "--list-errors", action="store_true", help="list each image that was not read as labelled"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from edge_lpr.datasets.labels import crop_sources, label_inputs, load_labels
    from edge_lpr.environment import machine
    from edge_lpr.evaluation.anonymous import anonymous
    from edge_lpr.evaluation.evaluate import evaluate_reader, score_rows
    from edge_lpr.io.atomic_io import check_writable, write_json

    if args.decoder == "greedy" and args.task != "rec":
        raise SettingError("--decoder greedy is for rec alone: the pipeline reads with the plate decoder")
    if args.anonymous and not args.json:
        raise SettingError("--anonymous goes with --json alone")
    bundle = files_in("--bundle", bundle_folder(args.bundle))
    key = [("--verify-key", args.verify_key)]
    check_outputs([("--json", args.json)], chain(bundle, key, label_inputs("DATA", args.data)))
    check_writable(args.json)
    sources = [file for d in args.data for file in crop_sources(d)] if args.task == "rec" else args.data
    labels = load_labels(sources)
    changed = {**given(args, ReadSettings), **given(args, DetectorSettings)}
    with PlateReader(**model_arguments(args), settings=changed) as reader:
        with Progress(args.task, len(labels.samples), "images") as progress:
            result = evaluate_reader(args.task, reader, labels.samples, args.decoder, progress.update)
        description = reader.description
    problems = labels.problems + result.problems
    if args.json:
        data: dict[str, Any] = {"task": args.task, "reader": description, "data": [str(d) for d in args.data]}
        data |= {"decoder": args.decoder} if args.task == "rec" else {}
        data |= {"machine": machine()} | result.to_json() | {"problems": problems, "notes": labels.notes}
        write_json(args.json, anonymous(data, texts=args.task != "det") if args.anonymous else data)
    if args.json != "-":
        say(f"{args.task} with {description}" + (", greedy decoding" if args.decoder == "greedy" else ""))
        show(table(score_rows(result.scores)))
        say(f"{result.fps:.1f} {'plates' if args.task == 'rec' else 'images'}/s over {result.items}")
        if args.list_errors:
            for miss in result.misses:
                say(f"{miss.item}: expected {_texts(miss.expected)}, found {_texts(miss.found)}")
    for note in labels.notes:
        say(note, stream=sys.stderr)
    for problem in problems:
        say(f"skipped: {problem}", stream=sys.stderr)
    return 2 if labels.unread or result.problems else 0


def _texts(texts: Sequence[str]) -> str:
    return ", ".join(texts) if texts else "no plate"
