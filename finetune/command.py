"""`edge-lpr finetune`: fine-tunes the detector or the recognizer on plates."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from edge_lpr.console.output import say
from edge_lpr.console.progress import Progress
from edge_lpr.counting import counted
from edge_lpr.errors import InputError, ModelError, SettingError, shown
from edge_lpr.finetune.recipe.data import LabelSource
from edge_lpr.io.claims import Named, check_outputs

if TYPE_CHECKING:
    from edge_lpr.datasets.labels import Sample
    from edge_lpr.finetune.recipe.config import TrainConfig
    from edge_lpr.finetune.recipe.document import Document
    from edge_lpr.finetune.training.trainer import StepReport
    from edge_lpr.types import Part

DESCRIPTION = """\
Trains a detector (det) or a recognizer (rec) further, from a .pdparams to a .pdparams with
PaddleOCR's parameter names, on a CPU or a GPU: PP-OCRv3's, PP-OCRv4's or PP-OCRv5's, also of servers.
Which network it is, is seen by --pretrained; a config given with -c has to say the same.

It learns from labelled images (--ccpd), from rendered plates (--render), or from both: then
part of the rendered plates are painted onto the labelled photos. Writes into --out:

  best.pdparams      averaged weights with the best metric so far: what `edge-lpr export` takes
  latest.pdparams    averaged weights of the last checkpoint
  latest.state       everything that --resume goes on from, to the same end as without a stop
  history.json       loss and metrics by step; run.png shows them
  config.yml         the settings of this run, files included
  keys.txt           rec: the dictionary of the new head, cut to the characters of plates; its last
                     line stands for all other characters (charset.txt has the others alone)

Settings are PaddleOCR's YAML, read as it is (-c), and changed as there (-o). What of it has no
effect here is named in one line; what would change the result and is not supported is an error.
Without -c the recipe that ships is used; --print-config shows it, with the options given. The
section EdgeLPR has what PaddleOCR lacks: rendering, averages, frozen layers. Ctrl-C ends a run
after the step at hand, with everything saved. A folder that holds a run is only gone on with,
by --resume, which reads the run's own config.yml.

The weights that it starts from are measured first: an accuracy of 0 at step 0 hints at a
dictionary of another order. Labels that do not count (difficult, ###, 待识别), that name an
image a second time, or that are longer than a reading has steps are left out, and counted.
Images that cannot be read are left out and named; the exit code is 2 then, once all is done.
Of those to train on the first bytes are looked at: one that is cut short further on is passed over.
"""

EPILOG = """\
examples:
  edge-lpr export --pretrained weights/             PP-OCR's general weights, to start from
  edge-lpr finetune rec --render --pretrained weights/rec.pdparams --dict weights/rec_keys.txt --out runs/rec
  edge-lpr finetune rec --resume --out runs/rec     go on with it
  edge-lpr finetune det --ccpd CCPD2020/ccpd_green/train --render --val CCPD2020/ccpd_green/val \\
                        --pretrained weights/det.pdparams --out runs/det
  edge-lpr finetune det -c ch_PP-OCRv3_det_student.yml -o Global.epoch_num=100 \\
                        Optimizer.lr.learning_rate=0.0005 Global.pretrained_model=weights/det.pdparams
  edge-lpr finetune det --network slim_det --pretrained det.pdparams --teacher det.pdparams --render \\
                        -o EdgeLPR.frozen_blocks=0 --out runs/slim
  edge-lpr finetune det --print-config > det.yml    a config to change and give with -c
  edge-lpr export --det runs/det/best.pdparams --rec runs/rec/best.pdparams --dict runs/rec/keys.txt \\
                  --charset runs/rec/charset.txt --rec-width 160 --out bundle/
"""
_SHOWN = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("part", choices=("det", "rec"), help="what is trained")
    parser.add_argument(
        "--pretrained",
        type=Path,
        metavar="FILE",
        help="checkpoint to start from: a .pdparams, its name without the ending, or the folder of a run",
    )
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
        "--config", "-c", type=Path, metavar="FILE", help="settings as PaddleOCR's YAML (default: the recipe)"
    )
    training.add_argument(
        "--opt",
        "-o",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="settings in place of the config's, such as Global.epoch_num=100",
    )
    training.add_argument(
        "--network",
        metavar="NAME",
        help="the network to train, where the weights are of another one, such as slim_det: the layers that "
        "both have are taken over, and a teacher is needed",
    )
    training.add_argument(
        "--teacher",
        type=Path,
        metavar="FILE",
        help="det: checkpoint of a detector whose maps are learnt beside the labels",
    )
    training.add_argument("--device", default="cpu", metavar="NAME", help="PyTorch's name: cpu, cuda, cuda:1")
    training.add_argument("--resume", action="store_true", help="go on with the run in --out")
    training.add_argument("--print-config", action="store_true", help="print the settings and end")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    from edge_lpr.finetune.recipe.config import read_config
    from edge_lpr.finetune.recipe.document import write_document

    document, name = _document(args)
    config = read_config(document, args.part, name)
    if args.print_config:
        if config.idle:
            say(f"{name}: {_idle(config)}", stream=sys.stderr)
        for line in write_document(document).splitlines():
            say(line)
        return 0
    paths = config.paths
    for option, path in (("pretrained", paths.pretrained), ("out", paths.out)):
        if path is None:
            raise SettingError(f"--{option} is missing; see: edge-lpr finetune --help")
    assert paths.pretrained is not None
    assert paths.out is not None
    from edge_lpr.finetune.training.run import FILES, RunFiles, check_folder, finetune

    out = paths.out
    check_outputs((("--out", out / file) for file in FILES), _inputs(args, config))
    check_folder(out, resume=args.resume)
    _check_device(args.device)
    with Progress(f"finetune {args.part}", config.steps or None, "steps") as progress:
        if config.idle:
            progress.note(f"{name}: {_idle(config)}")
        listed = _Listed(progress)
        labelled, counts = listed.load("--ccpd", config.data.source)
        files = RunFiles(
            pretrained=paths.pretrained,
            dictionary=paths.dictionary,
            labelled=labelled,
            counts=counts,
            validation=listed.load("--val", _plates_once(config), decode=True)[0],
            photos=listed.load("--photos", LabelSource(tuple(map(str, paths.photos))))[0],
            font=paths.font,
            teacher=paths.teacher,
        )

        if files.labelled and not files.validation and not config.own.render:
            progress.note(
                "no --val: measured on the images that are learnt; how well others are read is not seen"
            )

        def show_step(report: StepReport) -> None:
            # A resumed run begins in the middle.
            progress.total = report.steps
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

        with _told_how_to_go_on(args.part, out):
            history = finetune(
                config,
                files,
                out,
                resume=args.resume,
                report=show_step,
                notify=progress.note,
                device=args.device,
            )
    last = history["metrics"][-1]["step"]
    if progress.total and last < progress.total:
        say(
            f"ended early, at step {last:.0f}: {counted(config.own.patience, 'evaluations')} "
            "without a better metric"
        )
    best = max(history["metrics"], key=lambda row: row[config.metric])
    say(f"{out / 'best.pdparams'}: {config.metric} {best[config.metric]:.4f} at step {best['step']:.0f}")
    if listed.unread:
        say(f"{counted(listed.unread, 'images')} could not be read; all else was used", stream=sys.stderr)
    return 2 if listed.unread else 0


@contextmanager
def _told_how_to_go_on(part: Part, out: Path) -> Iterator[None]:
    """Gives an interruption the command that goes on with the run, where there is one by then."""
    from edge_lpr.finetune.training.trainer import STATE

    try:
        yield
    except KeyboardInterrupt as e:
        if (out / STATE).exists():
            go_on = f"edge-lpr finetune {part} --out {quote(str(out))} --resume"
            e.args = (f"interrupted; go on with it: {go_on}",)
        raise


def _document(args: argparse.Namespace) -> tuple[Document, str]:
    """Returns the run's config, with the options and -o in it, and what messages call it."""
    from edge_lpr.finetune.recipe.document import change, default_document, override, read_document

    path = args.config
    if path is None and args.resume and args.out is not None:
        path = args.out / "config.yml"
        if not path.is_file():
            raise SettingError(f"{args.out}: holds no run to go on with (no config.yml); leave --resume out")
    document = default_document(args.part) if path is None else read_document(path)
    given: dict[str, object] = {
        "Global.pretrained_model": args.pretrained,
        "Global.character_dict_path": args.dict,
        "Global.save_model_dir": args.out,
        "Train.dataset.label_file_list": args.ccpd,
        "Eval.dataset.label_file_list": args.val,
        "EdgeLPR.photos": args.photos,
        "EdgeLPR.font": args.font,
        "EdgeLPR.teacher": args.teacher,
        "EdgeLPR.render": args.render,
    }
    for key, value in given.items():
        if not value:
            continue
        change(document, key, [str(v) for v in value] if isinstance(value, list) else _plain(value))
        if key.endswith(".label_file_list"):
            section = key.removesuffix("label_file_list")
            change(document, f"{section}data_dir", None)
            change(document, f"{section}ratio_list", 1.0)
    if args.network is not None:
        document["Architecture"] = _described(args.network, args.part)
    override(document, args.opt)
    if path is None and args.network is None and not any(one.startswith("Architecture") for one in args.opt):
        _follow_weights(document, args.part)
    return document, f"configs/{args.part}.yml" if path is None else str(path)


def _described(name: str, part: Part) -> dict[str, Any]:
    from edge_lpr.architectures.registry import of_part
    from edge_lpr.finetune.recipe.networks import describe

    found = {a.name: section for a in of_part(part) if (section := describe(a.name))}
    if name not in found:
        raise SettingError(f"--network {shown(name)}: expected one of {', '.join(found)}")
    return found[name]


def _follow_weights(document: Document, part: Part) -> None:
    """Puts the network that the weights to start from are of into the recipe that ships."""
    from edge_lpr.architectures.checkpoint_files import checkpoint_file
    from edge_lpr.architectures.pdparams import load_checkpoint, select_branch
    from edge_lpr.architectures.registry import closest
    from edge_lpr.finetune.recipe.networks import describe, read_network
    from edge_lpr.finetune.recipe.node import Node, Told

    general = document["Global"]
    path = general.get("pretrained_model") if isinstance(general, dict) else None
    # What is wrong with them is for the run to say, after it has looked at where it writes.
    with suppress(ModelError):
        file = checkpoint_file(Path(path)) if isinstance(path, str) else None
        if file is None:
            return
        name = closest(select_branch(load_checkpoint(file), "Student", str(file)), part).name
        described = describe(name)
        here = read_network(Node(document["Architecture"], "Architecture", Told()), part).names
        if described and name not in here:
            document["Architecture"] = described


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _idle(config: TrainConfig) -> str:
    return f"without effect here: {', '.join(config.idle)}"


def _plates_once(config: TrainConfig) -> LabelSource:
    """What is measured on; a recognizer reads the plates cut out of a folder's scenes, not these too."""
    from edge_lpr.datasets.labels import crop_sources

    source = config.validation
    if config.part == "det":
        return source
    files = tuple(str(path) for file in source.files for path in crop_sources(file))
    return LabelSource(files, data_dir=source.data_dir)


def _inputs(args: argparse.Namespace, config: TrainConfig) -> Iterator[Named]:
    from edge_lpr.datasets.labels import label_inputs

    paths = config.paths
    yield from (("--pretrained", paths.pretrained), ("--dict", paths.dictionary), ("--font", paths.font))
    yield from (("--teacher", paths.teacher), ("--config", args.config))
    for name, source in (("--ccpd", config.data.source), ("--val", config.validation)):
        yield from label_inputs(name, source.files, data_dir=_folder(source))
    yield from label_inputs("--photos", paths.photos)


def _folder(source: LabelSource) -> Path | None:
    return None if source.data_dir is None else Path(source.data_dir)


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

    def load(
        self, option: str, source: LabelSource, *, decode: bool = False
    ) -> tuple[list[Sample], list[int]]:
        """Loads labelled images; where all are decoded first, every evaluation measures the same ones.

        Returns:
            The images, and how many of them each label file gave.

        Raises:
            InputError: None of them can be read.
        """
        from edge_lpr.datasets.labels import load_labels
        from edge_lpr.datasets.readable import decodable, looked_at

        if not source.files:
            return [], []
        labels = load_labels(source.files, data_dir=_folder(source))
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
                f"{option}: none of its {counted(len(unread), 'images')} can be read; the first: {unread[0]}"
            )
        left = {id(sample) for sample in kept}
        ends = list(accumulate(labels.counts))
        files = [labels.samples[end - n : end] for end, n in zip(ends, labels.counts, strict=True)]
        return kept, [sum(id(sample) in left for sample in file) for file in files]


def _check_device(name: str) -> None:
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as e:
        raise InputError(f"--device {name}: not usable here ({str(e).splitlines()[0]}); take cpu") from e
