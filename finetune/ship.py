"""Repeats the making of the bundle that ships: general weights, two fine-tunings, export.

    python -m edge_lpr.finetune.ship train --data ../shared/data --font NotoSansCJK-Regular.ttc --out runs
    python -m edge_lpr.finetune.ship bundle --runs runs --out bundle

`train` needs the extra `finetune`, `bundle` the extra `export`; they may run in two environments. Three of
four labelled plates are trained on, the fourth is held out: it decides which weights are kept, and its
figures are those of unseen pictures. The runs resume when the command is given again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_lpr.errors import EdgeLprError, InputError, OutputError

if TYPE_CHECKING:
    from edge_lpr.calib.labels import Sample
    from edge_lpr.finetune.trainer import Report

__all__ = ["split", "train_part", "write_bundle"]

HELD_OUT = 4
NAME = "ppocrv3-plates"
LICENCE = "Apache-2.0"
DET_LIMIT = 640
REC_WIDTH = 160


def split(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Divides samples into those to train on and those held out: every fourth that shows a plate.

    Args:
        samples: In the order of their label files, so that the division is always the same.
    """
    held = [s for i, s in enumerate(samples) if i % HELD_OUT == HELD_OUT - 1 and s.plates]
    return [s for s in samples if all(s is not h for h in held)], held


def train_part(part: str, data: Sequence[Path], runs: Path, font: Path | None) -> None:
    """Fine-tunes one of the two networks by its recipe `configs/ship-PART.json`.

    Args:
        part: "det" or "rec".
        data: Labelled pictures.
        runs: Folder that holds `general/` (made if missing); the run goes to `runs/PART`.
        font: For crops of other text.

    Raises:
        EdgeLprError: See `run.finetune`.
    """
    from edge_lpr.calib.labels import load_labels
    from edge_lpr.export.transplant import write_checkpoints
    from edge_lpr.finetune.config import load_config
    from edge_lpr.finetune.run import RunFiles, finetune
    from edge_lpr.finetune.trainer import STATE

    general = runs / "general"
    if not (general / f"{part}.pdparams").is_file():
        write_checkpoints(general)
    samples = load_labels(data).samples
    learnt, held = split([s for s in samples if s.crop is False] if part == "det" else samples)
    with as_file(files("edge_lpr.finetune") / "configs" / f"ship-{part}.json") as path:
        config = load_config(path, "det" if part == "det" else "rec")
    out = runs / part

    def show(report: Report) -> None:
        if report.metrics or report.step % 20 == 0:
            numbers = " ".join(f"{name} {value:.4f}" for name, value in report.metrics.items())
            left = f"{report.remaining / 60:.0f} min left"
            print(f"{part} {report.step}/{report.steps} loss {report.loss:.4f} {left} {numbers}", flush=True)

    recipe = RunFiles(
        pretrained=general / f"{part}.pdparams",
        dictionary=general / "rec_keys.txt" if part == "rec" else None,
        labelled=learnt,
        validation=held,
        font=font if part == "rec" else None,
    )
    finetune(config, recipe, out, resume=(out / STATE).is_file(), report=show)


def write_bundle(runs: Path, out: Path) -> int:
    """Exports both networks and writes into `bundle.json` how their weights were made.

    Args:
        runs: Folder with `det/` and `rec/`, as `train_part` left them.
        out: The bundle's folder.

    Returns:
        The exit code of `edge-lpr export`.
    """
    from edge_lpr.cli import main as edge_lpr

    det, rec = runs / "det", runs / "rec"
    options: list[object] = [
        "--det",
        det / "best.pdparams",
        "--rec",
        rec / "best.pdparams",
        "--dict",
        rec / "keys.txt",
    ]
    options += ["--charset", rec / "charset.txt", "--rec-width", REC_WIDTH, "--rec-fit", "stretch"]
    options += ["--det-limit", DET_LIMIT, "--name", NAME, "--licence", LICENCE, "--out", out]
    code = edge_lpr(["export", *map(str, options)])
    if code == 0:
        manifest = json.loads((out / "bundle.json").read_text(encoding="utf-8"))
        manifest["origin"]["made"] = _made(det, rec)
        text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
        aside = out / ".bundle.json.tmp"
        try:
            aside.write_text(text, encoding="utf-8")
            aside.replace(out / "bundle.json")
        except OSError as e:
            raise OutputError(f"{out / 'bundle.json'}: cannot be written ({e.strerror or e})") from e
    return code


def _made(det: Path, rec: Path) -> dict[str, Any]:
    made: dict[str, Any] = {
        "start": "PP-OCRv3 general Chinese weights, of rapidocr-onnxruntime==1.2.11 (Apache-2.0)",
        "data": "rendered plates, plates painted into labelled photos, and three of four labelled plates",
        "command": "python -m edge_lpr.finetune.ship train, then bundle",
    }
    for part, folder in (("det", det), ("rec", rec)):
        for name in ("config", "history"):
            if not (folder / f"{name}.json").is_file():
                raise InputError(f"{folder}: holds no {name}.json; make the run with: ship train")
        history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
        metric = "hmean" if part == "det" else "accuracy"
        made[part] = {
            "config": json.loads((folder / "config.json").read_text(encoding="utf-8")),
            "held_out": max(history["metrics"], key=lambda row: row[metric]),
        }
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one of the two stages."""
    parser = argparse.ArgumentParser(prog="python -m edge_lpr.finetune.ship", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    stages = parser.add_subparsers(dest="stage", required=True)
    train = stages.add_parser("train", help="fine-tune both networks")
    train.add_argument("--data", type=Path, nargs="+", required=True, help="labelled pictures")
    train.add_argument("--font", type=Path, help="font with Chinese characters, for crops of other text")
    train.add_argument("--part", choices=("det", "rec"), action="append", help="only this one")
    train.add_argument("--out", type=Path, required=True, help="folder of the runs")
    bundle = stages.add_parser("bundle", help="export the weights")
    bundle.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    bundle.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    args = parser.parse_args(argv)
    try:
        if args.stage == "bundle":
            return write_bundle(args.runs, args.out)
        for part in args.part or ("det", "rec"):
            train_part(part, args.data, args.out, args.font)
    except EdgeLprError as e:
        print(f"ship: {e}", file=sys.stderr)
        return e.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
