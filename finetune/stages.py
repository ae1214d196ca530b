"""The recipe of record, configs/release.yml, and the walk through the steps of one of its parts."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.console.output import say
from edge_lpr.errors import InputError, ModelError
from edge_lpr.finetune.division import is_for, split
from edge_lpr.finetune.recipe.config import TrainConfig, read_config
from edge_lpr.finetune.recipe.document import change, default_document, parse_document
from edge_lpr.finetune.recipe.networks import describe
from edge_lpr.io.atomic_io import create_folder, write_bytes
from edge_lpr.types import Part

if TYPE_CHECKING:
    from edge_lpr.datasets.labels import Sample
    from edge_lpr.finetune.training.trainer import StepReport

__all__ = ["Step", "average", "inputs", "kind", "load_recipe", "stage_config", "train"]

Step = Mapping[str, Any]


def load_recipe() -> dict[str, Any]:
    """Reads configs/release.yml.

    Returns:
        `held_out`: every how many-th plate is held out. `general`: the family of the general weights, by the
        folder that they are in. `parts`: by name, its `network`, the `steps` in their order and what all
        their fine-tunings `set`; where it is not called as what it trains, `trains`; where it learns from
        another detector, its `teacher`. Paths are relative to the folder of the runs. `export`: files and
        options of `edge-lpr export`. `made`: what the bundle tells beside the runs.
    """
    text = (files("edge_lpr.finetune") / "configs" / "release.yml").read_text(encoding="utf-8")
    return parse_document(text, "configs/release.yml")


def kind(recipe: Mapping[str, Any], name: str) -> Part:
    """Returns what one of the recipe's parts trains, detector or recognizer."""
    trained: Part = recipe["parts"][name].get("trains", name)
    return trained


def stage_config(recipe: Mapping[str, Any], name: str, step: Step, runs: Path | None = None) -> TrainConfig:
    """Returns the settings of one fine-tuning of the recipe: the part's own, with what it sets.

    Args:
        recipe: What `load_recipe` returned.
        name: The recipe's part.
        step: The fine-tuning.
        runs: The folder of the runs, so that the settings name their files; None where they are not to.
    """
    part, trained = recipe["parts"][name], kind(recipe, name)
    document = default_document(trained)
    document["Architecture"] = describe(part["network"])
    for key, value in {**part["set"], **step["set"]}.items():
        change(document, key, value)
    if runs is not None:
        named = {
            "Global.pretrained_model": step.get("start"),
            "Global.character_dict_path": step.get("dictionary"),
            "Global.save_model_dir": step["out"],
            "EdgeLPR.teacher": part.get("teacher"),
        }
        for key, path in named.items():
            change(document, key, None if path is None else str(runs / path))
    return read_config(document, trained, f"configs/release.yml: {step['out']}")


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
    """Takes the steps of one of a recipe's parts; the methods are called what the steps `do`."""

    recipe: Mapping[str, Any]
    part: str
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
            font=self.font if kind(self.recipe, self.part) == "rec" else None,
            teacher=self.runs / teacher
            if (teacher := self.recipe["parts"][self.part].get("teacher"))
            else None,
        )

        def show(report: StepReport) -> None:
            if report.metrics or report.step % 20 == 0:
                numbers = " ".join(f"{name} {value:.4f}" for name, value in report.metrics.items())
                # What the start's weights measure has no loss, and no time that a step took.
                told = f"loss {report.loss:.4f} {report.remaining / 60:.0f} min left " if report.step else ""
                say(f"{name} {report.step}/{report.steps} {told}{numbers}".rstrip())

        config = stage_config(self.recipe, self.part, step, self.runs)
        resume = (out / STATE).is_file()
        # The pictures are made ready and the start is measured before the first line of `show`.
        say(f"{name} {'goes on' if resume else 'begins'}")
        finetune(config, inputs, out, resume=resume, report=show)
        say(f"{name} is done")

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


def train(names: Collection[str], data: Sequence[Path], runs: Path, font: Path | None = None) -> None:
    """Fine-tunes networks by the recipe; ends with a `runs/NAME/final.pdparams` of each.

    Args:
        names: Which of the recipe's parts; they are taken in its order, each after those that it learns from.
        data: Labelled images.
        runs: Folder of the runs; the general weights are in folders of it that the recipe names.
        font: For crops of other text, which the recognizer learns to tell from plates; None teaches none.

    Raises:
        InputError: The general weights are missing, or those of the part that one begins with, or the font
            cannot be used: told of all parts before the first of them begins.
        EdgeLprError: See `run.finetune`.
    """
    from edge_lpr.datasets.labels import load_labels

    recipe = load_recipe()
    parts = [name for name in recipe["parts"] if name in names]
    _check(recipe, parts, runs, font)
    labelled = load_labels(data).samples
    for name in parts:
        learnt, held = split([s for s in labelled if is_for(kind(recipe, name), s)], recipe["held_out"])
        walk = _Walk(recipe, name, runs, learnt, held, font)
        for step in recipe["parts"][name]["steps"]:
            take: Callable[[Step], None] = getattr(walk, step["do"])
            take(step)


def _check(recipe: Mapping[str, Any], parts: Sequence[str], runs: Path, font: Path | None) -> None:
    """Looks for what the parts begin with, so that the second does not fail for it when the first is done."""
    from edge_lpr.datasets.dictionary import load_charset_file
    from edge_lpr.finetune.synthesis.negatives import TextRenderer

    made = {Path(step["out"]) for name in parts for step in recipe["parts"][name]["steps"]}
    for name in parts:
        for path in inputs(recipe, name):
            if path not in made and not (runs / path).is_file():
                raise InputError(f"{runs / path.parent}: holds no {path.name}; {_remedy(recipe, path, runs)}")
            if font is not None and path.suffix == ".txt":  # the dictionary that the recognizer begins with
                TextRenderer(load_charset_file(runs / path), font)


def inputs(recipe: Mapping[str, Any], name: str) -> list[Path]:
    """Returns what a part begins with and does not make itself, below the folder of the runs."""
    part = recipe["parts"][name]
    named = [step[key] for step in part["steps"] for key in ("start", "dictionary") if key in step]
    made = {Path(step["out"]) for step in part["steps"]}
    paths = map(Path, [*named, *([part["teacher"]] if "teacher" in part else [])])
    return [path for path in dict.fromkeys(paths) if path not in made and path.parent not in made]


def _remedy(recipe: Mapping[str, Any], path: Path, runs: Path) -> str:
    family = recipe["general"].get(str(path.parent))
    if family is None:
        ships = f"finetune/weights/{path.parent}.pdparams"
        return f"train it first, with --part {path.parent}, or copy {ships} there"
    words = ["edge-lpr", "export", "--pretrained", str(runs / path.parent), "--family", family]
    return f"write the general weights with: {shlex.join(words)}"
