"""Repeats the making of the bundle that ships: general weights, fine-tunings, export.

    edge-lpr export --pretrained runs/general
    edge-lpr export --pretrained runs/general-v4 --family PP-OCRv4
    python -m edge_lpr.finetune.release train --data ../shared/data --font NotoSansCJK-Regular.ttc --out runs
    python -m edge_lpr.finetune.release bundle --runs runs --out bundle
    python -m edge_lpr.finetune.release held-out --data ../shared/data --bundle bundle --precision fp32
    python -m edge_lpr.finetune.release divide --data ../shared/data --out parts

`bundle` writes how the weights were made and prints the `edge-lpr export` to type. `train` needs the extra
`finetune`, exporting the extra `export`; they may run in two environments. Three of four labelled plates are
trained on, the fourth is held out; `held-out` prints its figures. A scene that the detector's training holds
out the recognizer may have learnt, so what neither has seen is counted once more. `divide` writes what may be
calibrated on (parts/learnt) and what neither network has seen (parts/unseen) into folders of their own. The
runs resume when the command is given again. The recipe is configs/release.yml. Its part `slim` is the
detector that ships, taught by that of its part `det`; `train --part slim` makes it alone, and
`bundle --detector det` puts its teacher into a bundle: `accurate`.
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_lpr.architectures.pdparams import MAX_CHECKPOINT_BYTES
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.counting import counted
from edge_lpr.datasets.labels import LABEL_CSV
from edge_lpr.errors import InputError
from edge_lpr.finetune.division import divide, is_for, placed, split, write_samples
from edge_lpr.finetune.recipe.config import read_config
from edge_lpr.finetune.recipe.document import default_document, read_document
from edge_lpr.finetune.stages import inputs, kind, load_recipe, train
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.claims import Named, check_outputs, files_in
from edge_lpr.io.plain_data import parse_json
from edge_lpr.precisions import PRECISIONS, REFERENCE
from edge_lpr.types import PARTS, Image, Part, Quad

if TYPE_CHECKING:
    from edge_lpr.datasets.labels import Sample

__all__ = ["export_command", "held_out", "made"]

ORIGIN = "origin.json"
DETECTORS = ("slim", "det")
TRAINED = (*PARTS, "slim")
"""All parts of the recipe, each after those that it learns from."""
_TRAIN = "python -m edge_lpr.finetune.release train"
_MAX_JSON_BYTES = 64 << 20


def export_command(runs: Path, out: Path, detector: str = DETECTORS[0]) -> list[str]:
    """Returns the words of the `edge-lpr export` that makes the bundle.

    Args:
        runs: Folder of the runs, as `train` left it, with the origin beside them.
        out: The bundle's folder.
        detector: Which of the recipe's parts its detector is.
    """
    given = {name: str(path) for name, path in _exported(runs, detector).items()}
    given |= {name: str(value) for name, value in load_recipe()["export"]["options"].items()}
    given |= {"origin": str(runs / ORIGIN), "out": str(out)}
    return ["edge-lpr", "export", *(word for name, value in given.items() for word in (f"--{name}", value))]


def _exported(runs: Path, detector: str) -> dict[str, Path]:
    files = {**load_recipe()["export"]["files"], "det": f"{detector}/final.pdparams"}
    return {name: runs / path for name, path in files.items()}


def made(runs: Path, detector: str = DETECTORS[0]) -> dict[str, Any]:
    """Returns how the weights were made, as `origin.made` of the bundle tells it.

    Args:
        runs: Folder of the runs, as `train` left it.
        detector: Which of the recipe's parts its detector is; of one that learnt from another, that one's
            weights are told by their checksum.

    Raises:
        InputError: A run is missing or at work yet, or its files cannot be read.
    """
    recipe = load_recipe()
    told: dict[str, Any] = {}
    taught: dict[str, Any] = {}
    for name, metric in ((detector, "hmean"), ("rec", "accuracy")):
        part, teacher = kind(recipe, name), recipe["parts"][name].get("teacher")
        for step in recipe["parts"][name]["steps"]:
            if step["do"] != "finetune":
                continue
            history = _load(runs / step["out"] / "history.json")
            config = read_document(runs / step["out"] / "config.yml")
            try:
                last = history["metrics"][-1]
                measured = {"step": last["step"], metric: last[metric]}
            except (KeyError, IndexError, TypeError) as e:
                raise InputError(f"{runs / step['out'] / 'history.json'}: tells no {metric}") from e
            told[step["out"]] = {"config": _otherwise(config, part), "held_out": measured}
        if teacher is not None:
            missing = f"{runs}: holds no {teacher}, which {name} learnt from; put it back"
            weights = read_bounded(
                runs / teacher, MAX_CHECKPOINT_BYTES, "a teacher's weights", InputError, missing=missing
            )
            taught["teacher"] = {"sha256": hashlib.sha256(weights).hexdigest()}
    for path in _exported(runs, detector).values():
        if not path.is_file():
            raise InputError(f"{path.parent}: holds no {path.name}; finish the runs with: {_TRAIN}")
    return {**recipe["made"], **taught, **told}


def _otherwise(document: Mapping[str, Any], part: Part) -> dict[str, Any]:
    """Returns what a run's settings have otherwise than the part's recipe; None for what it leaves out."""
    run = read_config(document, part, "config.yml").effective
    base = read_config(default_document(part), part, f"configs/{part}.yml").effective
    return {key: run.get(key) for key in dict.fromkeys([*base, *run]) if run.get(key) != base.get(key)}


def _load(path: Path) -> dict[str, Any]:
    missing = f"{path.parent}: holds no {path.name}; make the run with: {_TRAIN}"
    data = read_bounded(path, _MAX_JSON_BYTES, "a run's JSON", InputError, missing=missing)
    found = parse_json(data, str(path), InputError)
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds {type(found).__name__}, expected an object")
    return found


def held_out(data: Sequence[Path], bundle: Path | None, precision: str = REFERENCE) -> str:
    """Measures a bundle on what `train` holds out.

    Args:
        data: Labelled images, the same as in training.
        bundle: The bundle's folder; None for the one of the package.
        precision: Of its models.

    Returns:
        Lines with the figures by subset: scenes end to end that the detector has not learnt, those that the
        recognizer has not either, and plates cut out that the recognizer has not learnt.
    """
    from edge_lpr.datasets.labels import load_labels
    from edge_lpr.evaluation.evaluate import evaluate_e2e, evaluate_rec
    from edge_lpr.pipeline.reader import PlateReader

    samples, every = load_labels(data).samples, load_recipe()["held_out"]
    scenes, plates = (split([s for s in samples if is_for(part, s)], every)[1] for part in PARTS)
    unseen = [s for s in divide(samples, every).unseen if not s.crop]
    with PlateReader(bundle, precision=precision) as reader:

        def read_scene(image: Image) -> list[tuple[str, Quad]]:
            return [(r.text, r.corners) for r in reader.read(image)]

        found = evaluate_e2e(read_scene, scenes)
        neither = evaluate_e2e(read_scene, unseen).all
        read = evaluate_rec(lambda crops: [r.text if r else "" for r in reader.read_crops(crops)], plates)
    lines = [
        f"{name}: {counted(s.labelled, 'plates')} in scenes, "
        f"recall {s.recall:.4f}, precision {s.precision:.4f}"
        for name, s in found.scores.items()
    ]
    lines.append(
        f"learnt by neither network: {counted(neither.labelled, 'plates')} in "
        f"{counted(len(unseen), 'scenes')}, recall {neither.recall:.4f}, precision {neither.precision:.4f}"
    )
    lines += [f"{name}: plates cut out, {score.acc:.4f} right" for name, score in read.scores.items()]
    return "\n".join(lines)


def _outputs(args: argparse.Namespace) -> Iterator[Named]:
    """Gives the files that are written: those of all runs, but for the general weights they start from."""
    if args.stage == "bundle":
        yield "--runs", args.runs / ORIGIN
    elif args.stage == "divide":
        yield from (("--out", path) for path in _divided(args))
    elif args.stage == "train":
        yield from (("--out", path) for out in _made_by(args) for _, path in files_in("", out))


def _made_by(args: argparse.Namespace) -> list[Path]:
    parts = load_recipe()["parts"]
    return [args.out / step["out"] for name in args.part or TRAINED for step in parts[name]["steps"]]


def _inputs(args: argparse.Namespace) -> Iterator[Named]:
    from edge_lpr.datasets.labels import label_inputs

    if args.stage == "train":
        yield "--font", args.font
        recipe, made_here = load_recipe(), set(_made_by(args))
        begun_with = [args.out / path for name in args.part or TRAINED for path in inputs(recipe, name)]
        yield from (("--out", path) for path in begun_with if path not in made_here)
    if args.stage in ("train", "divide"):
        yield from label_inputs("--data", args.data)


def _divided(args: argparse.Namespace) -> Iterator[Path]:
    """Gives the files that `divide` writes."""
    for name, samples in _division(args.data).items():
        folder = args.out / name
        yield folder / LABEL_CSV
        yield from (folder / image for _, image in placed(samples, folder))


def _division(data: Sequence[Path]) -> dict[str, tuple[Sample, ...]]:
    from edge_lpr.datasets.labels import load_labels

    division = divide(load_labels(data).samples, load_recipe()["held_out"])
    return {"learnt": division.learnt, "unseen": division.unseen}


@module_main("release")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs one of the stages."""
    parser = Parser(prog="python -m edge_lpr.finetune.release", description=__doc__)
    stages = parser.add_subparsers(dest="stage", required=True)
    training = stages.add_parser("train", help="fine-tune the networks")
    training.add_argument("--data", type=Path, nargs="+", required=True, help="labelled images")
    training.add_argument("--font", type=Path, help="font with Chinese characters, for crops of other text")
    training.add_argument(
        "--part",
        choices=TRAINED,
        action="append",
        help=f"only this one; may be repeated (default: {', '.join(TRAINED)})",
    )
    training.add_argument("--out", type=Path, required=True, help="folder of the runs")
    bundle = stages.add_parser("bundle", help="print the command that exports the weights")
    bundle.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    bundle.add_argument(
        "--out", type=Path, default=Path("bundle"), help="the bundle's folder (default: %(default)s)"
    )
    bundle.add_argument(
        "--detector",
        choices=DETECTORS,
        default=DETECTORS[0],
        help="the bundle's detector (default: %(default)s)",
    )
    unseen = stages.add_parser("held-out", help="measure a bundle on the images held out")
    unseen.add_argument("--data", type=Path, nargs="+", required=True, help="labelled images")
    unseen.add_argument("--bundle", type=Path, help="the bundle's folder (default: the package's)")
    unseen.add_argument(
        "--precision",
        choices=PRECISIONS.names(),
        default=REFERENCE,
        help="of its models (default: %(default)s)",
    )
    division = stages.add_parser("divide", help="write what may be calibrated on, and what is unseen")
    division.add_argument("--data", type=Path, nargs="+", required=True, help="labelled images")
    division.add_argument("--out", type=Path, required=True, help="folder for the two, learnt and unseen")
    args = parser.parse_args(argv)
    check_outputs(_outputs(args), _inputs(args))
    if args.stage == "bundle":
        write_json(args.runs / ORIGIN, {"made": made(args.runs, args.detector)})
        say(shlex.join(export_command(args.runs, args.out, args.detector)))
    elif args.stage == "held-out":
        show(held_out(args.data, args.bundle, args.precision))
    elif args.stage == "divide":
        for name, samples in _division(args.data).items():
            write_samples(samples, args.out / name)
            show(f"{args.out / name}: {counted(len(samples), 'images')}")
    else:
        try:
            train(args.part or TRAINED, args.data, args.out, args.font)
        except KeyboardInterrupt as e:
            e.args = ("interrupted; the same command goes on with it",)
            raise
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
