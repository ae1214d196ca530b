"""One fine-tuning run, from files to files: what `edge-lpr finetune` does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path

from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint, select_branch
from edge_lpr.architectures.registry import closest
from edge_lpr.counting import counted
from edge_lpr.datasets.dictionary import UNKNOWN_LINE, load_charset_file
from edge_lpr.datasets.label_text import UNCOUNTED
from edge_lpr.datasets.labels import LabelledPlate, Sample
from edge_lpr.errors import SettingError
from edge_lpr.finetune.recipe.config import TrainConfig
from edge_lpr.finetune.recipe.document import write_document
from edge_lpr.finetune.synthesis.negatives import TextRenderer
from edge_lpr.finetune.synthesis.render.crop import CropSettings
from edge_lpr.finetune.synthesis.training_images import Photos, RenderedCrops, Scenes
from edge_lpr.finetune.training.det import DetTraining
from edge_lpr.finetune.training.distillation import Teacher
from edge_lpr.finetune.training.epochs import Epochs, shown
from edge_lpr.finetune.training.plot import plot_history
from edge_lpr.finetune.training.rec import HEAD_CHARSET, RecTraining, cut_head_weights, encode, plates_of
from edge_lpr.finetune.training.state import load_state
from edge_lpr.finetune.training.trainer import BEST, HISTORY, LATEST, STATE, StepReport, train
from edge_lpr.io.atomic_io import create_folder, write_bytes
from edge_lpr.types import Arrays

__all__ = ["FILES", "RunFiles", "check_folder", "cut_checkpoint", "finetune", "steps_of"]

KEYS, CHARSET, CONFIG, PLOT = "keys.txt", "charset.txt", "config.yml", "run.png"
FILES = (BEST, LATEST, STATE, HISTORY, CONFIG, PLOT, KEYS, CHARSET)
"""Names of all files that a run may write into its folder."""
# Smallest plate that is rendered for the recognizer, in pixels: below, people do not read them either.
MIN_PLATE_WIDTH = 52.0


@dataclass(frozen=True)
class RunFiles:
    """What a run reads.

    Attributes:
        pretrained: `.pdparams` to start from.
        dictionary: Characters of the start's recognition head, a line each; None for a detector.
        labelled: Labelled images to train on.
        counts: How many of them each label file gave; None for one file.
        validation: Labelled images to measure on.
        photos: Labelled photos on which other plates are painted.
        font: A font with the dictionary's characters, for crops of other text; None for none of these.
        teacher: `.pdparams` of a detector whose maps are learnt beside the labels; None for none.
    """

    pretrained: Path
    dictionary: Path | None = None
    labelled: Sequence[Sample] = ()
    counts: Sequence[int] | None = None
    validation: Sequence[Sample] = ()
    photos: Sequence[Sample] = ()
    font: Path | None = None
    teacher: Path | None = None

    def files(self) -> list[Sequence[Sample]]:
        """The labelled images, file by file."""
        counts = [len(self.labelled)] if self.counts is None else self.counts
        ends = list(accumulate(counts))
        return [self.labelled[end - count : end] for end, count in zip(ends, counts, strict=True)]


def check_folder(out: Path, *, resume: bool) -> None:
    """Sees that a run does not begin where another one has left its weights.

    Args:
        out: Folder of the run.
        resume: Whether that run is gone on with.

    Raises:
        SettingError: There is one.
    """
    found = [name for name in (STATE, BEST, LATEST, HISTORY) if (out / name).exists()]
    if found and not resume:
        go_on = "go on with it with --resume, or " if STATE in found else ""
        raise SettingError(f"{out}: holds a run already ({found[0]}); {go_on}give another folder with --out")


def finetune(
    config: TrainConfig,
    files: RunFiles,
    out: Path,
    *,
    resume: bool = False,
    report: Callable[[StepReport], None] = lambda _: None,
    notify: Callable[[str], None] = lambda _: None,
    device: str = "cpu",
) -> dict[str, list[dict[str, float]]]:
    """Fine-tunes the detector or the recognizer.

    Args:
        config: The settings; `config.part` says which of the two.
        files: What to start from and train on.
        out: Folder for the weights, the run's state, its history, config and plot; for the recognizer also
            `keys.txt` (the head's dictionary, its last line stands for all other characters) and
            `charset.txt` (the same without that line), which `edge-lpr export` takes.
        resume: Go on from the state in `out`.
        report: Called after every step, and before the first with what the start's weights measure.
        notify: Called with a line for what is left out of the labelled images.
        device: PyTorch's name of the device.

    Returns:
        The run's history, see `trainer.train`.

    Raises:
        SettingError: Neither rendering nor labelled images, a dictionary is missing, or `out` holds another
            run.
        ModelError: The start's weights do not fit, or there is no run in `out` that can be gone on with.
        InputError: Labelled images cannot be read.
        OutputError: `out` cannot be written.
    """
    check_folder(out, resume=resume)
    if not config.own.render and not files.labelled:
        raise SettingError(
            "nothing to train on: give labelled images with --ccpd, or --render (EdgeLPR.render)"
        )
    arrays = select_branch(load_checkpoint(files.pretrained), "Student", str(files.pretrained))
    source = str(files.pretrained)
    task: DetTraining | RecTraining
    if config.part == "det":
        config, task = _det_task(config, files, arrays, source)
    else:
        config, task = _rec_task(config, files, arrays, source, notify)
    if resume:
        # Refused, it leaves the run's own settings as they are: the next --resume reads them.
        load_state(out / STATE, config)
    create_folder(out)
    write_bytes(out / CONFIG, write_document(config.document).encode())
    if config.part == "rec":
        write_bytes(out / KEYS, ("\n".join([*HEAD_CHARSET, UNKNOWN_LINE]) + "\n").encode())
        write_bytes(out / CHARSET, ("\n".join(HEAD_CHARSET) + "\n").encode())
    try:
        if isinstance(task, DetTraining):
            return train(task, config, out, resume=resume, report=report, device=device)
        return train(task, config, out, resume=resume, report=report, device=device)
    finally:
        if (out / HISTORY).is_file():
            plot_history(json.loads((out / HISTORY).read_text(encoding="utf-8")), task.metric, out / PLOT)


def cut_checkpoint(pretrained: Path, dictionary: Path, out: Path) -> None:
    """Writes a recognizer's weights with the head cut to what a run would begin with.

    Args:
        pretrained: Its `.pdparams`.
        dictionary: The dictionary of its head.
        out: The `.pdparams` to write.

    Raises:
        ModelError: Weights and dictionary do not fit each other.
        OutputError: `out` cannot be written.
    """
    characters = load_charset_file(dictionary)
    save_checkpoint(out, cut_head_weights(load_checkpoint(pretrained), characters, str(pretrained)))


def _det_task(
    config: TrainConfig, files: RunFiles, arrays: Arrays, source: str
) -> tuple[TrainConfig, DetTraining]:
    own, labels = config.own, config.data.source
    ratios = labels.ratios or [1.0] * len(files.files())
    weights = [ratio for part, ratio in zip(files.files(), ratios, strict=True) for _ in part]
    painted = files.photos if own.render else ()
    photos = Photos(painted) if painted else Photos(files.labelled, weights)
    located = [sum(sample.located for sample in part) for part in files.files()]
    config = config.sized(shown(located, ratios))
    augment, epochs = None if own.camera else (config.det.view, config.det.crop, config.det.paste), None
    if own.render:
        real = own.real_share if files.labelled else 0.0
        scenes = Scenes(photos, own.swapped_share, real, smallest=own.smallest_plate, augment=augment)
    elif len(photos):
        scenes = Scenes(photos, swapped=0.0, real=1.0, smallest=own.smallest_plate, augment=augment)
        epochs = Epochs(located, labels, config.data.batch, config.seed)
    else:
        raise SettingError("--ccpd has no scene with corners: the detector learns from det.txt or CCPD names")
    teacher = None
    if files.teacher is not None:
        learnt = select_branch(load_checkpoint(files.teacher), "Student", str(files.teacher))
        teacher = Teacher(learnt, str(files.teacher))
    task = DetTraining(
        config,
        arrays,
        source,
        scene=scenes,
        epochs=epochs,
        validation=files.validation,
        teacher=teacher,
    )
    return config, task


def _rec_task(
    config: TrainConfig, files: RunFiles, arrays: Arrays, source: str, notify: Callable[[str], None]
) -> tuple[TrainConfig, RecTraining]:
    if files.dictionary is None:
        raise SettingError(
            "--dict is missing (Global.character_dict_path): the dictionary of the recognition head that the "
            "pretrained weights have"
        )
    own = config.own
    characters = load_charset_file(files.dictionary)
    render = None
    if own.render:
        settings = CropSettings(min_width=MIN_PLATE_WIDTH, strength=own.strength)
        photos = Photos(files.photos or files.labelled)
        render = RenderedCrops(settings=settings, photos=photos, swapped=own.swapped_share, cut=own.cut_share)
    text = None if files.font is None else TextRenderer(characters, files.font)
    steps = config.data.width // closest(arrays, "rec").stride
    parts = replace(files, labelled=_learnable(files.labelled, steps, notify)).files()
    counts = [len(plates_of(part)) for part in parts]
    config = config.sized(shown(counts, config.data.source.ratios or [1.0] * len(counts)))
    task = RecTraining(
        config,
        arrays,
        characters,
        source,
        render=render,
        samples=[sample for part in parts for sample in part],
        counts=counts,
        validation=_measurable(files.validation, steps, notify),
        text=text,
    )
    return config, task


def _learnable(samples: Sequence[Sample], steps: int, notify: Callable[[str], None]) -> list[Sample]:
    """Leaves out the plates that teach a recognizer nothing."""
    long = [plate for plate in _counted(samples) if steps_of(plate.text) > steps]
    if long:
        notify(f"{_longer(long, steps)}: left out of the training")
    return _uncount(samples, lambda plate: 0 < steps_of(plate.text) <= steps)


def _measurable(samples: Sequence[Sample], steps: int, notify: Callable[[str], None]) -> list[Sample]:
    """Leaves out the plates of which no text is known."""
    long = [plate for plate in _counted(samples) if steps_of(plate.text) > steps]
    if long:
        notify(f"--val: {_longer(long, steps)}: counted as wrong")
    return _uncount(samples, lambda plate: bool(plate.text))


def _counted(samples: Sequence[Sample]) -> Iterator[LabelledPlate]:
    return (plate for sample in samples for plate in sample.plates or () if not plate.ignored)


def _longer(plates: Sequence[LabelledPlate], steps: int) -> str:
    return (
        f"{counted(len(plates), 'labels')} longer than the {steps} steps of a reading at this width, "
        f"the first {plates[0].text!r}"
    )


def _uncount(samples: Sequence[Sample], keeps: Callable[[LabelledPlate], bool]) -> list[Sample]:
    """Marks plates as not to be counted, but for those that `keeps` keeps."""

    def marked(plate: LabelledPlate) -> LabelledPlate:
        return plate if plate.ignored or keeps(plate) else plate._replace(text=UNCOUNTED)

    return [
        sample if sample.plates is None else replace(sample, plates=tuple(map(marked, sample.plates)))
        for sample in samples
    ]


def steps_of(text: str) -> int:
    """Returns how many steps CTC needs for a text: one for each character, and one between two alike."""
    classes = encode(text)
    return len(classes) + sum(one == other for one, other in pairwise(classes))
