"""Repeats the making of the bundle that ships: general weights, two fine-tunings, export.

    python -m edge_lpr.finetune.release train --data ../shared/data --font NotoSansCJK-Regular.ttc --out runs
    python -m edge_lpr.finetune.release bundle --runs runs --out bundle
    python -m edge_lpr.finetune.release held-out --data ../shared/data --bundle bundle

`train` needs the extra `finetune`, `bundle` the extra `export`; they may run in two environments. Three of
four labelled plates are trained on, the fourth is held out; its figures, which `held-out` prints, are those
of unseen images. The runs resume when the command is given again. The recipe is configs/release.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.errors import EdgeLprError, InputError, ModelError
from edge_lpr.io.atomic_io import create_folder, write_bytes
from edge_lpr.types import PARTS, Part

if TYPE_CHECKING:
    from edge_lpr.datasets.labels import Sample
    from edge_lpr.finetune.training.config import TrainConfig
    from edge_lpr.finetune.training.trainer import StepReport

__all__ = ["average", "held_out", "load_recipe", "make_bundle", "split", "stage_config", "train"]

GENERAL = "general"
Step = Mapping[str, Any]


def load_recipe() -> dict[str, Any]:
    """Reads configs/release.json.

    Returns:
        `held_out`: every how many-th plate is held out. `parts`: by part, the `steps` in their order and what
        the `config` of their fine-tunings has in common; paths are relative to the folder of the runs.
        `export`: files and options of `edge-lpr export`. `made`: what the bundle tells beside the runs.
    """
    recipe: dict[str, Any] = json.loads(
        (files("edge_lpr.finetune") / "configs" / "release.json").read_text(encoding="utf-8")
    )
    return recipe


def stage_config(recipe: Mapping[str, Any], part: Part, step: Step) -> TrainConfig:
    """Returns the settings of one fine-tuning of the recipe."""
    from edge_lpr.finetune.training.config import TrainConfig

    return TrainConfig(part, **{**recipe["parts"][part]["config"], **step["config"]})


def split(samples: Sequence[Sample], every: int) -> tuple[list[Sample], list[Sample]]:
    """Divides samples into those to train on and those held out.

    Args:
        samples: In the order of their label files, so that the division is always the same.
        every: Each so many-th sample that shows a plate is held out.
    """
    held = [s for i, s in enumerate(samples) if i % every == every - 1 and s.plates]
    return [s for s in samples if all(s is not h for h in held)], held


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
                print(line, flush=True)

        config = stage_config(self.recipe, self.part, step)
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


def train(part: Part, data: Sequence[Path], runs: Path, font: Path | None = None) -> int:
    """Fine-tunes one network by the recipe; ends with `runs/PART/final.pdparams`.

    Args:
        part: Which one.
        data: Labelled images.
        runs: Folder of the runs.
        font: For crops of other text, which the recognizer learns to tell from plates; None teaches none.

    Returns:
        0, or the exit code of `edge-lpr export --pretrained` where it failed, which has said why.

    Raises:
        EdgeLprError: See `run.finetune`.
    """
    from edge_lpr.cli import main as edge_lpr
    from edge_lpr.datasets.labels import load_labels

    recipe = load_recipe()
    samples = [s for s in load_labels(data).samples if _is_for(part, s)]
    learnt, held = split(samples, recipe["held_out"])
    if not (runs / GENERAL / "rec_keys.txt").is_file():
        code = edge_lpr(["export", "--pretrained", str(runs / GENERAL)])
        if code:
            return code
    walk = _Walk(recipe, part, runs, learnt, held, font)
    for step in recipe["parts"][part]["steps"]:
        take: Callable[[Step], None] = getattr(walk, step["do"])
        take(step)
    return 0


def _is_for(part: Part, sample: Sample) -> bool:
    if part == "det":
        return sample.located
    return bool(sample.plates) and (sample.located or sample.crop)


def make_bundle(runs: Path, out: Path) -> int:
    """Exports both networks and writes into `bundle.json` how their weights were made.

    Args:
        runs: Folder of the runs, as `train` left it.
        out: The bundle's folder.

    Returns:
        The exit code of `edge-lpr export`.
    """
    from edge_lpr.cli import main as edge_lpr

    recipe = load_recipe()
    given = {name: str(runs / path) for name, path in recipe["export"]["files"].items()}
    given |= {name: str(value) for name, value in recipe["export"]["options"].items()}
    options = [word for name, value in given.items() for word in (f"--{name}", value)]
    code = edge_lpr(["export", *options, "--out", str(out)])
    if code == 0:
        manifest = json.loads((out / "bundle.json").read_text(encoding="utf-8"))
        manifest["origin"]["made"] = _made(recipe, runs)
        text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
        write_bytes(out / "bundle.json", text.encode())
    return code


def _made(recipe: Mapping[str, Any], runs: Path) -> dict[str, Any]:
    made: dict[str, Any] = dict(recipe["made"])
    for part, metric in zip(PARTS, ("hmean", "accuracy"), strict=True):
        for step in recipe["parts"][part]["steps"]:
            if step["do"] != "finetune":
                continue
            folder = runs / step["out"]
            for name in ("config", "history"):
                if not (folder / f"{name}.json").is_file():
                    raise InputError(f"{folder}: holds no {name}.json; make the run with: release train")
            history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
            last = history["metrics"][-1]
            made[step["out"]] = {
                "config": json.loads((folder / "config.json").read_text(encoding="utf-8")),
                "held_out": {"step": last["step"], metric: last[metric]},
            }
    return made


def held_out(data: Sequence[Path], bundle: Path | None) -> str:
    """Measures a bundle on what `train` holds out.

    Args:
        data: Labelled images, the same as in training.
        bundle: The bundle's folder; None for the one of the package.

    Returns:
        Lines with the figures by subset: scenes end to end, and plates cut out.
    """
    from edge_lpr.datasets.labels import load_labels
    from edge_lpr.evaluation.evaluate import evaluate_e2e, evaluate_rec
    from edge_lpr.pipeline.reader import PlateReader

    samples, every = load_labels(data).samples, load_recipe()["held_out"]
    scenes, plates = (split([s for s in samples if _is_for(part, s)], every)[1] for part in PARTS)
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
    training = stages.add_parser("train", help="fine-tune both networks")
    training.add_argument("--data", type=Path, nargs="+", required=True, help="labelled images")
    training.add_argument("--font", type=Path, help="font with Chinese characters, for crops of other text")
    training.add_argument("--part", choices=PARTS, action="append", help="only this one")
    training.add_argument("--out", type=Path, required=True, help="folder of the runs")
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
        for part in args.part or PARTS:
            if code := train(part, args.data, args.out, args.font):
                return code
    except EdgeLprError as e:
        print(f"release: {e}", file=sys.stderr)
        return e.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
