"""Repeats the making of the bundle that ships: general weights, two fine-tunings, export.

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
runs resume when the command is given again. The recipe is configs/release.yml.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.datasets.labels import LABEL_CSV
from edge_lpr.errors import InputError, ModelError
from edge_lpr.finetune.division import divide, is_for, placed, split, write_samples
from edge_lpr.finetune.recipe.config import TrainConfig, read_config
from edge_lpr.finetune.recipe.document import change, default_document, parse_document, read_document
from edge_lpr.finetune.recipe.networks import describe
from edge_lpr.io.atomic_io import create_folder, write_bytes, write_json
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.claims import Named, check_outputs, files_in
from edge_lpr.io.plain_data import parse_json
from edge_lpr.precisions import PRECISIONS, REFERENCE
from edge_lpr.types import PARTS, Image, Part, Quad

if TYPE_CHECKING:
    from edge_lpr.datasets.labels import Sample
    from edge_lpr.finetune.training.trainer import StepReport

__all__ = [
    "average",
    "export_command",
    "held_out",
    "load_recipe",
    "made",
    "stage_config",
    "train",
]

ORIGIN = "origin.json"
_MAX_JSON_BYTES = 64 << 20
Step = Mapping[str, Any]


def load_recipe() -> dict[str, Any]:
    """Reads configs/release.yml.

    Returns:
        `held_out`: every how many-th plate is held out. `general`: the family of the general weights, by the
        folder that they are in. `parts`: by part, its `network`, the `steps` in their order and what all
        their fine-tunings `set`; paths are relative to the folder of the runs. `export`: files and options of
        `edge-lpr export`. `made`: what the bundle tells beside the runs.
    """
    text = (files("edge_lpr.finetune") / "configs" / "release.yml").read_text(encoding="utf-8")
    return parse_document(text, "configs/release.yml")


def stage_config(recipe: Mapping[str, Any], part: Part, step: Step, runs: Path | None = None) -> TrainConfig:
    """Returns the settings of one fine-tuning of the recipe: the part's own, with what it sets.

    Args:
        recipe: What `load_recipe` returned.
        part: What is trained.
        step: The fine-tuning.
        runs: The folder of the runs, so that the settings name their files; None where they are not to.
    """
    document = default_document(part)
    document["Architecture"] = describe(recipe["parts"][part]["network"])
    for key, value in {**recipe["parts"][part]["set"], **step["set"]}.items():
        change(document, key, value)
    if runs is not None:
        named = {"pretrained_model": "start", "character_dict_path": "dictionary", "save_model_dir": "out"}
        for key, name in named.items():
            change(document, f"Global.{key}", str(runs / step[name]) if name in step else None)
    return read_config(document, part, f"configs/release.yml: {step['out']}")


def average(sources: Mapping[Path, float], out: Path) -> None:
    """Averages weights of networks that began as the same one ("model soup", Wortsman et al. 2022).

    Args:
        sources: The share of each `.pdparams` file; the shares add up to 1.
        out: The file to write.

    Raises:
        ModelError: A file cannot be read, or they are not of one network.
    """
    from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint

    total: dict[str, NDArray[np.float32]] = {}
    for path, share in sources.items():
        arrays = load_checkpoint(path)
        if total and {n: a.shape for n, a in arrays.items()} != {n: a.shape for n, a in total.items()}:
            raise ModelError(
                f"{path}: other parameters than {next(iter(sources))}: not weights of the same network"
            )
        for name, array in arrays.items():
            part = np.asarray(share * array, np.float32)
            total[name] = total[name] + part if name in total else part
    save_checkpoint(out, total)


@dataclass(frozen=True)
class _Walk:
    """Takes the steps of a recipe for one part; the methods are called what the steps `do`."""

    recipe: Mapping[str, Any]
    part: Part
    runs: Path
    learnt: Sequence[Sample]
    held: Sequence[Sample]
    font: Path | None

    def finetune(self, step: Step) -> None:
        """Runs one fine-tuning, or goes on with it."""
        from edge_lpr.finetune.training.run import RunFiles, finetune
        from edge_lpr.finetune.training.trainer import STATE

        name, out = step["out"], self.runs / step["out"]
        dictionary = self.runs / step["dictionary"] if "dictionary" in step else None
        inputs = RunFiles(
            self.runs / step["start"],
            dictionary,
            labelled=self.learnt,
            validation=self.held,
            font=self.font if self.part == "rec" else None,
        )

        def show(report: StepReport) -> None:
            if report.metrics or report.step % 20 == 0:
                numbers = " ".join(f"{name} {value:.4f}" for name, value in report.metrics.items())
                left = f"{report.remaining / 60:.0f} min left"
                line = f"{name} {report.step}/{report.steps} loss {report.loss:.4f} {left} {numbers}"
                say(line)

        config = stage_config(self.recipe, self.part, step, self.runs)
        finetune(config, inputs, out, resume=(out / STATE).is_file(), report=show)

    def cut_head(self, step: Step) -> None:
        from edge_lpr.finetune.training.run import cut_checkpoint

        cut_checkpoint(self.runs / step["start"], self.runs / step["dictionary"], self.runs / step["out"])

    def average(self, step: Step) -> None:
        shares = {self.runs / path: share for path, share in step["shares"].items()}
        average(shares, self.runs / step["out"])

    def copy(self, step: Step) -> None:
        out = self.runs / step["out"]
        create_folder(out.parent)
        write_bytes(out, (self.runs / step["start"]).read_bytes())


def train(part: Part, data: Sequence[Path], runs: Path, font: Path | None = None) -> None:
    """Fine-tunes one network by the recipe; ends with `runs/PART/final.pdparams`.

    Args:
        part: Which one.
        data: Labelled images.
        runs: Folder of the runs; the general weights are in folders of it that the recipe names.
        font: For crops of other text, which the recognizer learns to tell from plates; None teaches none.

    Raises:
        InputError: The general weights are missing.
        EdgeLprError: See `run.finetune`.
    """
    from edge_lpr.datasets.labels import load_labels

    recipe = load_recipe()
    for path in _general(recipe, part):
        folder = runs / path.parent
        if not (runs / path).is_file():
            family = recipe["general"][str(path.parent)]
            words = ["edge-lpr", "export", "--pretrained", str(folder), "--family", family]
            raise InputError(
                f"{folder}: holds no {path.name}; write the general weights with: {shlex.join(words)}"
            )
    samples = [s for s in load_labels(data).samples if is_for(part, s)]
    learnt, held = split(samples, recipe["held_out"])
    walk = _Walk(recipe, part, runs, learnt, held, font)
    for step in recipe["parts"][part]["steps"]:
        take: Callable[[Step], None] = getattr(walk, step["do"])
        take(step)


def _general(recipe: Mapping[str, Any], part: Part) -> list[Path]:
    """Returns the general weights that a part begins with, and their characters, below the folder of runs."""
    steps = recipe["parts"][part]["steps"]
    named = [Path(step[key]) for step in steps for key in ("start", "dictionary") if key in step]
    return list(dict.fromkeys(path for path in named if str(path.parent) in recipe["general"]))


def export_command(runs: Path, out: Path) -> list[str]:
    """Returns the words of the `edge-lpr export` that makes the bundle.

    Args:
        runs: Folder of the runs, as `train` left it, with the origin beside them.
        out: The bundle's folder.
    """
    recipe = load_recipe()["export"]
    given = {name: str(runs / path) for name, path in recipe["files"].items()}
    given |= {name: str(value) for name, value in recipe["options"].items()}
    given |= {"origin": str(runs / ORIGIN), "out": str(out)}
    return ["edge-lpr", "export", *(word for name, value in given.items() for word in (f"--{name}", value))]


def made(runs: Path) -> dict[str, Any]:
    """Returns how the weights were made, as `origin.made` of the bundle tells it.

    Args:
        runs: Folder of the runs, as `train` left it.

    Raises:
        InputError: A run is missing, or its files cannot be read.
    """
    recipe = load_recipe()
    told: dict[str, Any] = dict(recipe["made"])
    for part, metric in zip(PARTS, ("hmean", "accuracy"), strict=True):
        for step in recipe["parts"][part]["steps"]:
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
    return told


def _otherwise(document: Mapping[str, Any], part: Part) -> dict[str, Any]:
    """Returns what a run's settings have otherwise than the part's recipe; None for what it leaves out."""
    run = read_config(document, part, "config.yml").effective
    base = read_config(default_document(part), part, f"configs/{part}.yml").effective
    return {key: run.get(key) for key in dict.fromkeys([*base, *run]) if run.get(key) != base.get(key)}


def _load(path: Path) -> dict[str, Any]:
    missing = f"{path.parent}: holds no {path.name}; make the run with: release train"
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
        f"{name}: {s.labelled} plates in scenes, recall {s.recall:.4f}, precision {s.precision:.4f}"
        for name, s in found.scores.items()
    ]
    lines.append(
        f"learnt by neither network: {neither.labelled} plates in {len(unseen)} scenes, "
        f"recall {neither.recall:.4f}, precision {neither.precision:.4f}"
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
        steps = (step for part in load_recipe()["parts"].values() for step in part["steps"])
        yield from (("--out", path) for step in steps for _, path in files_in("", args.out / step["out"]))


def _inputs(args: argparse.Namespace) -> Iterator[Named]:
    from edge_lpr.datasets.labels import label_inputs

    if args.stage == "train":
        yield "--font", args.font
        for folder in load_recipe()["general"]:
            yield from files_in("--out", args.out / folder)
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
    training = stages.add_parser("train", help="fine-tune both networks")
    training.add_argument("--data", type=Path, nargs="+", required=True, help="labelled images")
    training.add_argument("--font", type=Path, help="font with Chinese characters, for crops of other text")
    training.add_argument("--part", choices=PARTS, action="append", help="only this one")
    training.add_argument("--out", type=Path, required=True, help="folder of the runs")
    bundle = stages.add_parser("bundle", help="print the command that exports the weights")
    bundle.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    bundle.add_argument(
        "--out", type=Path, default=Path("bundle"), help="the bundle's folder (default: %(default)s)"
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
        write_json(args.runs / ORIGIN, {"made": made(args.runs)})
        say(shlex.join(export_command(args.runs, args.out)))
    elif args.stage == "held-out":
        show(held_out(args.data, args.bundle, args.precision))
    elif args.stage == "divide":
        for name, samples in _division(args.data).items():
            write_samples(samples, args.out / name)
            show(f"{args.out / name}: {len(samples)} images")
    else:
        for part in args.part or PARTS:
            train(part, args.data, args.out, args.font)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
