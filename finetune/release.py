"""Repeats the making of the bundle that ships: general weights, two fine-tunings, export.

    python -m edge_lpr.finetune.release train --data ../shared/data --font NotoSansCJK-Regular.ttc --out runs
    python -m edge_lpr.finetune.release bundle --runs runs --out bundle
    python -m edge_lpr.finetune.release held-out --data ../shared/data --bundle bundle

`train` needs the extra `finetune`, `bundle` the extra `export`; they may run in two environments. Three of
four labelled plates are trained on, the fourth is held out; its figures, which `held-out` prints, are those
of unseen images. The runs resume when the command is given again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.errors import EdgeLprError, InputError, ModelError, OutputError

if TYPE_CHECKING:
    from edge_lpr.datasets.labels import Sample
    from edge_lpr.finetune.training.run import RunFiles
    from edge_lpr.finetune.training.trainer import StepReport

__all__ = ["average", "held_out", "make_bundle", "split", "train_det", "train_rec"]

HELD_OUT = 4
NAME = "ppocrv3-plates"
LICENCE = "Apache-2.0"
# Measured on the development half: a small image needs no enlarging beyond this, and large plates gain.
DET_LIMIT = 480
# Likewise: images of 1,600 pixels are read as well at this size, in three quarters of the time.
DET_MAX = 1376
# Small and tilted plates score 0.55 to 0.62; whether a box shows a plate is for the recognizer to say.
DET_BOX_THRESH = 0.5
FINAL = "final.pdparams"
CHARSET = "charset.txt"
REC_WIDTH = 160


def split(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Divides samples into those to train on and those held out: every fourth that shows a plate.

    Args:
        samples: In the order of their label files, so that the division is always the same.
    """
    held = [s for i, s in enumerate(samples) if i % HELD_OUT == HELD_OUT - 1 and s.plates]
    return [s for s in samples if all(s is not h for h in held)], held


def average(sources: Sequence[tuple[Path, float]], out: Path) -> None:
    """Averages weights of networks that began as the same one ("model soup", Wortsman et al. 2022).

    Args:
        sources: `.pdparams` files and the share of each; the shares add up to 1.
        out: The file to write.

    Raises:
        ModelError: A file cannot be read, or they are not of one network.
    """
    from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint

    total: dict[str, NDArray[np.float32]] = {}
    for path, share in sources:
        arrays = load_checkpoint(path)
        if total and {n: a.shape for n, a in arrays.items()} != {n: a.shape for n, a in total.items()}:
            raise ModelError(
                f"{path}: other parameters than {sources[0][0]}: not weights of the same network"
            )
        for name, array in arrays.items():
            part = np.asarray(share * array, np.float32)
            total[name] = total[name] + part if name in total else part
    save_checkpoint(out, total)


def train_det(data: Sequence[Path], runs: Path) -> None:
    """Fine-tunes the detector in two stages; ends with `runs/det/final.pdparams`.

    The second goes on from the first, more slowly, over more photos as they are. Their mean, 40 to 60, ships.

    Raises:
        EdgeLprError: See `run.finetune`.
    """
    from edge_lpr.datasets.labels import load_labels
    from edge_lpr.finetune.training.run import RunFiles
    from edge_lpr.finetune.training.state import make_folder
    from edge_lpr.finetune.training.trainer import LATEST

    learnt, held = split([s for s in load_labels(data).samples if not s.crop and _located(s)])
    weights = _general(runs) / "det.pdparams"
    for number in (1, 2):
        folder = runs / f"det-{number}"
        _stage(f"ship-det-{number}", RunFiles(weights, labelled=learnt, validation=held), folder)
        weights = folder / LATEST
    make_folder(runs / "det")
    average([(runs / f"det-{n}" / LATEST, share) for n, share in ((1, 0.4), (2, 0.6))], runs / "det" / FINAL)


def train_rec(data: Sequence[Path], runs: Path, font: Path | None) -> None:
    """Fine-tunes the recognizer in three stages; ends with `runs/rec/final.pdparams`.

    The first leads from the general weights towards plates. Its result, pulled back by 30 percent to where it
    began, is the start of two further runs that see other data in another order; their mean ships. Weights
    averaged so read photos better than any one of the runs, which leans towards what is rendered.

    Args:
        data: Labelled images.
        runs: Folder of the runs.
        font: For crops of other text; None teaches none.

    Raises:
        EdgeLprError: See `run.finetune`.
    """
    from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint
    from edge_lpr.datasets.dictionary import load_charset_file
    from edge_lpr.datasets.labels import load_labels
    from edge_lpr.finetune.training.rec import cut_head_weights
    from edge_lpr.finetune.training.run import KEYS, RunFiles
    from edge_lpr.finetune.training.state import make_folder, write_aside
    from edge_lpr.finetune.training.trainer import LATEST

    plates = [s for s in load_labels(data).samples if s.plates and (s.crop or _located(s))]
    learnt, held = split(plates)
    general = _general(runs)
    start, keys = general / "rec.pdparams", general / "rec_keys.txt"
    first = runs / "rec-1"
    _stage("ship-rec-1", RunFiles(start, keys, labelled=learnt, validation=held, font=font), first)
    cut = runs / "rec-general.pdparams"
    save_checkpoint(cut, cut_head_weights(load_checkpoint(start), load_charset_file(keys), str(start)))
    middle = runs / "rec-middle.pdparams"
    average([(first / LATEST, 0.7), (cut, 0.3)], middle)
    out = runs / "rec"
    for number in (2, 3):
        files = RunFiles(middle, first / KEYS, labelled=learnt, validation=held, font=font)
        _stage(f"ship-rec-{number}", files, runs / f"rec-{number}")
    make_folder(out)
    average([(runs / f"rec-{n}" / LATEST, 0.5) for n in (2, 3)], out / FINAL)
    for name in (KEYS, CHARSET):
        write_aside(out / name, (first / name).read_bytes())


def _located(sample: Sample) -> bool:
    return sample.plates is not None and all(plate.corners is not None for plate in sample.plates)


def _general(runs: Path) -> Path:
    from edge_lpr.export.onnx_to_pdparams import write_checkpoints

    folder = runs / "general"
    if not (folder / "rec_keys.txt").is_file():
        write_checkpoints(folder)
    return folder


def _stage(recipe: str, inputs: RunFiles, out: Path) -> None:
    """Runs one stage, or goes on with it."""
    from edge_lpr.finetune.training.config import load_config
    from edge_lpr.finetune.training.run import finetune
    from edge_lpr.finetune.training.trainer import STATE

    def show(report: StepReport) -> None:
        if report.metrics or report.step % 20 == 0:
            numbers = " ".join(f"{name} {value:.4f}" for name, value in report.metrics.items())
            left = f"{report.remaining / 60:.0f} min left"
            print(
                f"{recipe} {report.step}/{report.steps} loss {report.loss:.4f} {left} {numbers}", flush=True
            )

    with as_file(files("edge_lpr.finetune") / "configs" / f"{recipe}.json") as path:
        config = load_config(path, "det" if "det" in recipe else "rec")
    finetune(config, inputs, out, resume=(out / STATE).is_file(), report=show)


def make_bundle(runs: Path, out: Path) -> int:
    """Exports both networks and writes into `bundle.json` how their weights were made.

    Args:
        runs: Folder of the runs, as `train_det` and `train_rec` left it.
        out: The bundle's folder.

    Returns:
        The exit code of `edge-lpr export`.
    """
    from edge_lpr.cli import main as edge_lpr

    det, rec = runs / "det", runs / "rec"
    options: list[object] = [
        "--det",
        det / FINAL,
        "--rec",
        rec / FINAL,
        "--dict",
        rec / "keys.txt",
    ]
    options += ["--charset", rec / "charset.txt", "--rec-width", REC_WIDTH, "--rec-fit", "stretch"]
    options += [
        "--det-limit",
        DET_LIMIT,
        "--det-max",
        DET_MAX,
        "--det-box-thresh",
        DET_BOX_THRESH,
        "--name",
        NAME,
        "--licence",
        LICENCE,
        "--out",
        out,
    ]
    code = edge_lpr(["export", *map(str, options)])
    if code == 0:
        manifest = json.loads((out / "bundle.json").read_text(encoding="utf-8"))
        manifest["origin"]["made"] = _made(runs)
        text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
        aside = out / ".bundle.json.tmp"
        try:
            aside.write_text(text, encoding="utf-8")
            aside.replace(out / "bundle.json")
        except OSError as e:
            raise OutputError(f"{out / 'bundle.json'}: cannot be written ({e.strerror or e})") from e
    return code


def _made(runs: Path) -> dict[str, Any]:
    made: dict[str, Any] = {
        "start": "PP-OCRv3 general Chinese weights, of rapidocr-onnxruntime==1.2.11 (Apache-2.0)",
        "data": "rendered plates, plates painted into labelled photos, and three of four labelled plates",
        "command": "python -m edge_lpr.finetune.release train, then bundle",
    }
    for stage, metric in (
        ("det-1", "hmean"),
        ("det-2", "hmean"),
        ("rec-1", "accuracy"),
        ("rec-2", "accuracy"),
        ("rec-3", "accuracy"),
    ):
        folder = runs / stage
        for name in ("config", "history"):
            if not (folder / f"{name}.json").is_file():
                raise InputError(f"{folder}: holds no {name}.json; make the run with: ship train")
        history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
        last = history["metrics"][-1]
        made[stage] = {
            "config": json.loads((folder / "config.json").read_text(encoding="utf-8")),
            "held_out": {"step": last["step"], metric: last[metric]},
        }
    return made


def held_out(data: Sequence[Path], bundle: Path | None) -> str:
    """Measures a bundle on what `train_det` and `train_rec` hold out.

    Args:
        data: Labelled images, the same as in training.
        bundle: The bundle's folder; None for the one of the package.

    Returns:
        Lines with the figures by subset: scenes end to end, and plates cut out.
    """
    from edge_lpr.datasets.labels import load_labels
    from edge_lpr.evaluation.evaluate import evaluate_e2e, evaluate_rec
    from edge_lpr.pipeline.reader import PlateReader

    samples = load_labels(data).samples
    _, scenes = split([s for s in samples if not s.crop and _located(s)])
    _, plates = split([s for s in samples if s.plates and (s.crop or _located(s))])
    with PlateReader(bundle) as reader:
        found = evaluate_e2e(lambda image: [(r.text, r.corners) for r in reader.read(image)], scenes)
        read = evaluate_rec(lambda crops: [r.text if r else "" for r in reader.read_crops(crops)], plates)
    lines = [
        f"{name}: {s.labelled} plates in scenes, recall {s.recall:.4f}, precision {s.precision:.4f}"
        for name, s in found.scores.items()
    ]
    lines += [f"{name}: plates cut out, {score.acc:.4f} right" for name, score in read.scores.items()]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one of the stages."""
    parser = argparse.ArgumentParser(prog="python -m edge_lpr.finetune.release", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    stages = parser.add_subparsers(dest="stage", required=True)
    train = stages.add_parser("train", help="fine-tune both networks")
    train.add_argument("--data", type=Path, nargs="+", required=True, help="labelled images")
    train.add_argument("--font", type=Path, help="font with Chinese characters, for crops of other text")
    train.add_argument("--part", choices=("det", "rec"), action="append", help="only this one")
    train.add_argument("--out", type=Path, required=True, help="folder of the runs")
    bundle = stages.add_parser("bundle", help="export the weights")
    bundle.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    bundle.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    unseen = stages.add_parser("held-out", help="measure a bundle on the images held out")
    unseen.add_argument("--data", type=Path, nargs="+", required=True, help="labelled images")
    unseen.add_argument("--bundle", type=Path, help="the bundle's folder (default: the package's)")
    args = parser.parse_args(argv)
    try:
        if args.stage == "bundle":
            return make_bundle(args.runs, args.out)
        if args.stage == "held-out":
            print(held_out(args.data, args.bundle))
            return 0
        if "det" in (args.part or "det"):
            train_det(args.data, args.out)
        if "rec" in (args.part or "rec"):
            train_rec(args.data, args.out, args.font)
    except EdgeLprError as e:
        print(f"ship: {e}", file=sys.stderr)
        return e.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
