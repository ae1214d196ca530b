"""`edge-lpr finetune`: fine-tunes the detector or the recognizer on plates."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge_lpr.console.output import say, say_json
from edge_lpr.console.progress import Progress
from edge_lpr.console.text import counted
from edge_lpr.errors import InputError, SettingError
from edge_lpr.io.claims import Named, check_outputs

if TYPE_CHECKING:
    from edge_lpr.datasets.labels import Sample
    from edge_lpr.finetune.training.trainer import StepReport

DESCRIPTION = """\
Trains a detector (det) or a CTC recognizer (rec) further, from a .pdparams to a .pdparams with
PaddleOCR's parameter names, on a CPU or a GPU: PP-OCRv3's, or the mobile ones of PP-OCRv4 and v5.
Which network it is, is seen by --pretrained.

It learns from labelled images (--ccpd), from rendered plates (--render), or from both: then
part of the rendered plates are painted onto the labelled photos. Writes into --out:

  best.pdparams      averaged weights with the best metric so far: what `edge-lpr export` takes
  latest.pdparams    averaged weights of the last checkpoint
  latest.state       everything that --resume goes on from, to the same end as without a stop
  history.json       loss and metrics by step; run.png shows them
  config.json        the settings of this run
  keys.txt           rec: the dictionary of the new head, cut to the characters of plates; its last
                     line stands for all other characters (charset.txt has the others alone)

Without --config the recipe that ships is used; --print-config shows it: PP-OCRv3's own, with
its augmentations of labelled images ("augment": "camera" degrades them as rendered ones).
"patience": 3 ends a run after three evaluations without a better metric. Ctrl-C ends it after
the step at hand, with everything saved. A folder that holds a run is only gone on with.

The weights that it starts from are measured first: an accuracy of 0 at step 0 hints at a
dictionary of another order. Labels that do not count (difficult, ###, 待识别), that name an
image a second time, or that are longer than a reading has steps are left out, and counted.
Images that cannot be read are left out and named; the exit code is 2 then, once all is done.
Of those to train on the first bytes are looked at: one that is cut short further on is passed over.
"""

EPILOG = """\
examples:
  edge-lpr export --pretrained weights/             PP-OCRv3's general weights, to start from
  edge-lpr finetune rec --render --pretrained weights/rec.pdparams --dict weights/rec_keys.txt --out runs/rec
  edge-lpr finetune det --ccpd CCPD2020/ccpd_green/train --render --val CCPD2020/ccpd_green/val \\
                        --pretrained weights/det.pdparams --out runs/det
  edge-lpr finetune rec --render --pretrained weights/rec.pdparams --dict weights/rec_keys.txt \\
                        --out runs/rec --resume
  edge-lpr finetune det --print-config > det.json   a config to change and give with --config
  edge-lpr export --det runs/det/best.pdparams --rec runs/rec/best.pdparams --dict runs/rec/keys.txt \\
                  --charset runs/rec/charset.txt --rec-width 160 --out bundle/
"""
_SHOWN = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("part", choices=("det", "rec"), help="what is trained")
    parser.add_argument("--pretrained", type=Path, metavar="FILE", help=".pdparams to start from")
    parser.add_argument("--dict", type=Path, metavar="FILE", help="rec: the dictionary of that .pdparams")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run")
    data = parser.add_argument_group("data")
    data.add_argument(
        "--ccpd",
        type=Path,
        action="append",
        default=[],
        metavar="DATA",
        help="labelled images to train on: a CCPD folder, plates.csv, or label files of PP-OCR or "
        "PPOCRLabel; may be repeated",
    )
    data.add_argument("--render", action="store_true", help="train on rendered plates (too)")
    data.add_argument(
        "--photos",
        type=Path,
        action="append",
        default=[],
        metavar="DATA",
        help="labelled photos to paint rendered plates on, their own not learnt (default: those of --ccpd)",
    )
    data.add_argument(
        "--val",
        type=Path,
        action="append",
        default=[],
        metavar="DATA",
        help="labelled images to measure on (default: rendered ones that the training never sees; without "
        "--render, those that it learns from as it never sees them)",
    )
    data.add_argument(
        "--font",
        type=Path,
        metavar="FILE",
        help="rec: font with the dictionary's characters, to draw other text",
    )
    training = parser.add_argument_group("training")
    training.add_argument(
        "--config", type=Path, metavar="FILE", help="settings as JSON (default: the recipe)"
    )
    training.add_argument("--steps", type=int, metavar="N", help="length of the run, instead of the config's")
    training.add_argument("--device", default="cpu", metavar="NAME", help="PyTorch's name: cpu, cuda, cuda:1")
    training.add_argument("--resume", action="store_true", help="go on with the run in --out")
    training.add_argument("--print-config", action="store_true", help="print the settings and end")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from edge_lpr.finetune.training.config import load_config

    if args.out is not None and not args.print_config:
        from edge_lpr.finetune.training.run import FILES

        check_outputs((("--out", args.out / name) for name in FILES), _inputs(args))
    overrides = {} if args.steps is None else {"steps": args.steps}
    config = load_config(args.config, args.part, **overrides)
    if args.print_config:
        say_json(config.to_json())
        return 0
    from edge_lpr.finetune.training.run import RunFiles, check_folder, finetune

    for option in ("pretrained", "out"):
        if getattr(args, option) is None:
            raise SettingError(f"--{option} is missing; see: edge-lpr finetune --help")
    check_folder(args.out, resume=args.resume)
    _check_device(args.device)
    with Progress(f"finetune {args.part}", config.steps, "steps") as progress:
        listed = _Listed(progress)
        files = RunFiles(
            pretrained=args.pretrained,
            dictionary=args.dict,
            labelled=listed.load("--ccpd", args.ccpd),
            validation=listed.load("--val", _plates_once(args), decode=True),
            photos=listed.load("--photos", args.photos),
            render=args.render,
            font=args.font,
        )

        if files.labelled and not files.validation and not files.render:
            progress.note(
                "no --val: measured on the images that are learnt; how well others are read is not seen"
            )

        def show(report: StepReport) -> None:
            # A resumed run begins in the middle.
            loss = {"loss": f"{report.loss:.4f}"} if report.step else {}
            progress.update(report.step - progress.count, **loss)
            if report.metrics:
                told = [f"{name} {value}" for name, value in loss.items()]
                told += [f"{name} {value:.4f}" for name, value in report.metrics.items()]
                best = " (best)" if report.best and report.step else ""
                progress.note(f"step {report.step}: {', '.join(told)}{best}")
            if not report.step and report.metrics.get("accuracy") == 0:
                progress.note(
                    "the weights to start from read nothing right: see that --dict is the dictionary that "
                    "--pretrained was trained with, its lines in the same order"
                )

        history = finetune(
            config,
            files,
            args.out,
            resume=args.resume,
            report=show,
            notify=progress.note,
            device=args.device,
        )
    last = history["metrics"][-1]["step"]
    if last < config.steps:
        say(f"ended early, at step {last:.0f}: {config.patience} evaluations without a better metric")
    metric = "hmean" if args.part == "det" else "accuracy"
    best = max(history["metrics"], key=lambda row: row[metric])
    say(f"{args.out / 'best.pdparams'}: {metric} {best[metric]:.4f} at step {best['step']:.0f}")
    if listed.unread:
        unread = counted({"images": listed.unread})[0]
        say(f"{unread} could not be read; all else was used", stream=sys.stderr)
    return 2 if listed.unread else 0


def _plates_once(args: argparse.Namespace) -> list[Path]:
    """What is measured on; a recognizer reads the plates cut out of a folder's scenes, not these too."""
    from edge_lpr.datasets.labels import crop_sources

    if args.part == "det":
        return list(args.val)
    return [source for val in args.val for source in crop_sources(val)]


def _inputs(args: argparse.Namespace) -> Iterator[Named]:
    from edge_lpr.datasets.labels import label_inputs

    yield from ((f"--{name}", getattr(args, name)) for name in ("pretrained", "dict", "font", "config"))
    for name in ("ccpd", "photos", "val"):
        yield from label_inputs(f"--{name}", getattr(args, name))


class _Listed:
    """The labelled images of a run; what of them cannot be used is named, the first of it.

    Args:
        progress: Where it is told.

    Attributes:
        unread: How many images cannot be read.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.unread = 0

    def load(self, option: str, sources: list[Path], *, decode: bool = False) -> list[Sample]:
        """Loads labelled images; where all are decoded first, every evaluation measures the same ones.

        Raises:
            InputError: None of them can be read.
        """
        from edge_lpr.datasets.labels import load_labels
        from edge_lpr.datasets.readable import decodable, looked_at

        if not sources:
            return []
        labels = load_labels(sources)
        for note in labels.notes:
            self._progress.note(note)
        unread: list[str] = []
        kept = (decodable if decode else looked_at)(labels.samples, unread.append)
        problems = labels.problems + unread
        self.unread += len(labels.unread) + len(unread)
        for problem in problems[:_SHOWN]:
            self._progress.note(f"skipped: {problem}")
        if len(problems) > _SHOWN:
            self._progress.note(f"skipped: {len(problems) - _SHOWN} more")
        if not kept:
            raise InputError(
                f"{option}: none of its {len(unread)} images can be read; the first: {unread[0]}"
            )
        return kept


def _check_device(name: str) -> None:
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as e:
        raise InputError(f"--device {name}: not usable here ({str(e).splitlines()[0]}); take cpu") from e
