"""A training's settings, read from PaddleOCR's YAML.

Each section is read in a module of its own; here they are put together. What a file says and has no effect
is told in one line (`TrainConfig.idle`); what would change the result and is not supported is an error that
names key, value and what to do instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from edge_lpr.architectures.checkpoint_files import checkpoint_file
from edge_lpr.architectures.registry import ARCHITECTURES, Architecture
from edge_lpr.errors import SettingError, shown
from edge_lpr.finetune.recipe.data import (
    STILL,
    DetData,
    LabelSource,
    RecData,
    read_det_data,
    read_eval_limit,
    read_rec_data,
    read_rec_eval,
)
from edge_lpr.finetune.recipe.losses import DBLossSettings, RecLossSettings, read_det_loss, read_rec_loss
from edge_lpr.finetune.recipe.networks import NetworkSettings, read_network
from edge_lpr.finetune.recipe.node import Node, Told
from edge_lpr.finetune.recipe.optimizing import OptimizerSettings, read_optimizer
from edge_lpr.finetune.recipe.own import SECTION, OwnSettings, read_own
from edge_lpr.finetune.recipe.scales import MAX_SIDE, MultiScale
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.types import PARTS, Part

__all__ = ["RunPaths", "TrainConfig", "read_config"]

_LEAST: dict[Part, int] = {"rec": 64, "det": 96}
"""Least side, in pixels: smaller scenes have no room for a plate that can be read."""
_ROW = 16
"""Of these many pixels of a line's height a recognizer's backbone makes a row."""
METRICS: dict[Part, dict[str, str]] = {
    "det": {"hmean": "hmean", "precision": "precision", "recall": "recall"},
    "rec": {"acc": "accuracy"},
}
"""What `Metric.main_indicator` may be, and what it is called here."""
# Of Global: what PaddleOCR prints, where it runs, and what other commands of it do.
FREE = frozenset(
    {
        "Global.eval_batch_step",
        "Train.loader.num_workers",
        *(f"{SECTION}.{name}" for name in ("checkpoint_every", "patience", "threads")),
    }
)
"""Keys that may change between a run's start and its end without making it another run."""


@dataclass(frozen=True)
class RunPaths:
    """Files that a config names; relative ones are relative to the current folder, as in PaddleOCR.

    Attributes:
        pretrained: Weights to start from, as `checkpoint_file` finds them.
        dictionary: Characters of their head.
        out: Folder of the run.
        photos: Labelled photos to paint plates on.
        font: A font with the dictionary's characters.
        teacher: Weights of a detector that is learnt from.
    """

    pretrained: Path | None = None
    dictionary: Path | None = None
    out: Path | None = None
    photos: tuple[Path, ...] = ()
    font: Path | None = None
    teacher: Path | None = None


@dataclass(frozen=True)
class TrainConfig:
    """One run.

    Attributes:
        part: What is trained.
        network: Which network, and which branch guides it.
        optimizer: How it is trained.
        loss: What by.
        data: On what.
        validation: On what it is measured.
        postprocess: By which thresholds a detector is.
        metric: Which metric decides the best weights.
        own: What PaddleOCR has no keys for.
        epochs: How often everything is shown.
        epoch_steps: Steps in an epoch; 0 until `sized`, where labels decide it.
        first_evaluation: Steps before evaluations begin.
        evaluate_every: Steps between evaluations; 0: so many epochs.
        evaluate_epochs: Epochs between evaluations.
        seed: Of the data, the dropout and the new parameters.
        precision: Of the arithmetic.
        paths: Files of the run.
        document: What all of it was read from.
        effective: Every value that has an effect, by its key.
        idle: Keys that have none.
    """

    part: Part
    network: NetworkSettings
    optimizer: OptimizerSettings
    loss: DBLossSettings | RecLossSettings
    data: DetData | RecData
    validation: LabelSource
    postprocess: DetectorSettings
    metric: str
    own: OwnSettings
    epochs: int
    epoch_steps: int
    first_evaluation: int
    evaluate_every: int
    evaluate_epochs: int
    seed: int
    precision: Literal["float32", "bfloat16"]
    paths: RunPaths = field(default_factory=RunPaths)
    document: Mapping[str, Any] = field(default_factory=dict)
    effective: Mapping[str, Any] = field(default_factory=dict)
    idle: Sequence[str] = ()

    @property
    def det(self) -> DetData:
        """The data of a detector."""
        assert isinstance(self.data, DetData)
        return self.data

    @property
    def rec(self) -> RecData:
        """The data of a recognizer."""
        assert isinstance(self.data, RecData)
        return self.data

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.epochs * self.epoch_steps

    def sized(self, labelled: int) -> TrainConfig:
        """Returns the config of a run on a number of labelled images, once through which is an epoch.

        Raises:
            SettingError: There are none, and no other length of an epoch is given; or they fill no batch.
        """
        if self.epoch_steps:
            return self
        batch = self.data.batch
        steps = labelled // batch if self.data.source.drop_last else -(-labelled // batch)
        if isinstance(self.data, RecData) and self.data.sampler is not None:
            steps = len(self.data.sampler.sizes(labelled))
        if not labelled:
            raise SettingError(
                f"{SECTION}.steps_per_epoch is 0, expected a number of steps without labelled images"
            )
        if not steps:
            raise SettingError(
                f"{labelled} labelled images fill no batch of {batch}: set Train.loader.drop_last to false"
            )
        return replace(self, epoch_steps=steps)

    def is_measured(self, step: int) -> bool:
        """Tells whether there is an evaluation after a step, the first of which is 1."""
        every = self.evaluate_every or self.evaluate_epochs * self.epoch_steps
        after = step - self.first_evaluation
        return step == self.steps or (after > 0 and after % every == 0)

    def architecture(self) -> Architecture:
        """Returns the network that is trained; of several that are built alike, the first."""
        return ARCHITECTURES[self.network.names[0]]

    def check(self, architecture: Architecture, source: str) -> None:
        """Sees that weights are of the network that the config describes.

        Args:
            architecture: What the weights were found to be of.
            source: What messages call them.

        Raises:
            SettingError: They are of another one.
        """
        if architecture.name not in self.network.names:
            taught = ", or a teacher to learn from with --teacher" if self.part == "det" else ""
            raise SettingError(
                f"{source}: weights of {architecture.name}, but Architecture describes "
                f"{' or '.join(self.network.names)}; give the config of the one or the weights of the other"
                f"{taught}"
            )


def read_config(document: Mapping[str, Any], part: Part, name: str) -> TrainConfig:
    """Reads a training's settings.

    Args:
        document: A YAML file's content, see `document`.
        part: What is to be trained.
        name: What messages call the document.

    Raises:
        SettingError: A key is not supported, a value not allowed, or sections do not fit each other.
    """
    if part not in PARTS:
        raise SettingError(f"part is {shown(part)}, expected {' or '.join(PARTS)}")
    try:
        return _read(document, part)
    except SettingError as e:
        raise SettingError(f"{name}: {e}") from e


def _read(document: Mapping[str, Any], part: Part) -> TrainConfig:
    told = Told()
    top = Node(document, "", told)
    own, paths = read_own(top.child(SECTION))
    general = top.child("Global")
    found = _read_global(general, part)
    network = read_network(top.child("Architecture"), part)
    loss: DBLossSettings | RecLossSettings
    data: DetData | RecData
    if part == "det":
        loss, data = read_det_loss(top.child("Loss")), read_det_data(top.child("Train"))
        validation, limit = read_eval_limit(top.child("Eval"))
        postprocess = _read_db(top.child("PostProcess"), limit)
    else:
        loss, data = (
            read_rec_loss(top.child("Loss"), network.guide),
            read_rec_data(top.child("Train"), network.guide, ARCHITECTURES[network.names[0]].height),
        )
        validation, postprocess = read_rec_eval(top.child("Eval"), data, network.guide), DetectorSettings()
        decode = top.child("PostProcess")
        decode.only("name", "CTCLabelDecode")
        decode.rest_is_idle()
    metric = _read_metric(top.child("Metric"), part)
    optimizer = read_optimizer(top.child("Optimizer"))
    if own.one_dim_param_no_weight_decay:
        optimizer = replace(optimizer, one_dim_param_no_weight_decay=True)
    top.rest_is_idle()
    _check_size(network, data, part)
    _check_own(own, network.names, optimizer, data)
    return TrainConfig(
        part=part,
        network=network,
        optimizer=optimizer,
        loss=loss,
        data=data,
        validation=validation,
        postprocess=postprocess,
        metric=metric,
        own=own,
        epoch_steps=own.steps_per_epoch,
        paths=RunPaths(
            **found.pop("paths"),
            photos=tuple(map(Path, paths["photos"] or ())),
            font=None if paths["font"] is None else Path(str(paths["font"])),
            teacher=None if paths["teacher"] is None else _checkpoint(str(paths["teacher"])),
        ),
        document=document,
        effective=told.effective,
        idle=told.idle,
        **found,
    )


def _read_global(node: Node, part: Part) -> dict[str, Any]:
    found: dict[str, Any] = {
        "epochs": node.whole("epoch_num", 1, low=1),
        "seed": node.whole("seed", 1, low=0, high=2**32 - 1),
        "first_evaluation": 0,
        "evaluate_every": 0,
        "evaluate_epochs": 1,
    }
    when = node.raw("eval_batch_step", [0, 200] if not node.has("eval_batch_epoch") else None)
    if isinstance(when, list) and len(when) == 2 and all(_is_count(v) for v in when) and when[1]:
        found["first_evaluation"], found["evaluate_every"] = when
    elif _is_count(when) and when:
        found["evaluate_every"] = when
    elif when is not None:
        node.refuse(
            "eval_batch_step", when, "expected [steps before the first, steps between], or the latter alone"
        )
    if node.has("eval_batch_epoch"):
        found["evaluate_epochs"] = node.whole("eval_batch_epoch", 1, low=1)
    amp, kind = node.flag("use_amp", False), "bfloat16"
    if amp:
        kind = node.choice(
            "amp_dtype", "float16", ("bfloat16",), "only bfloat16 is supported: it needs no scaling"
        )
    node.idle("amp_level", "amp_dtype", "scale_loss", "use_dynamic_loss_scaling")
    found["precision"] = kind if amp else "float32"
    node.only("checkpoints", None, "a PaddleOCR training to go on with; give its weights as pretrained_model")
    pretrained = node.text("pretrained_model", remember=False)
    if pretrained and "://" in pretrained:
        node.refuse(
            "pretrained_model", pretrained, "an address, from which nothing is fetched: give a file, or null"
        )
    dictionary = node.text("character_dict_path", remember=False)
    out = node.text("save_model_dir", remember=False)
    found["paths"] = {
        "pretrained": _checkpoint(pretrained) if pretrained else None,
        "dictionary": Path(dictionary) if dictionary and part == "rec" else None,
        "out": Path(out) if out else None,
    }
    node.rest_is_idle()
    return found


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _checkpoint(path: str) -> Path:
    """Returns the file of a checkpoint, by any of the names that it has in PaddleOCR's configs."""
    file = Path(path)
    missing = file if file.suffix == ".pdparams" else file.with_name(f"{file.name}.pdparams")
    return checkpoint_file(file) or missing


def _read_db(node: Node, limit: Mapping[str, Any]) -> DetectorSettings:
    node.only("name", "DBPostProcess")
    node.only("box_type", "quad", "not supported; plates have four corners: set it to quad")
    names = ("thresh", "box_thresh", "max_candidates", "unclip_ratio", "use_dilation", "score_mode")
    default = DetectorSettings()
    values = {name: node.raw(name, getattr(default, name)) for name in names}
    node.close()
    try:
        return DetectorSettings(**values, **limit)
    except SettingError as e:
        raise SettingError(f"{node.path}.{e}") from e


def _read_metric(node: Node, part: Part) -> str:
    node.only("name", "DetMetric" if part == "det" else "RecMetric")
    metrics = METRICS[part]
    indicator = node.choice("main_indicator", next(iter(metrics)), tuple(metrics))
    if part == "rec":
        node.only("is_filter", False, "not supported; a text counts with all its characters: set it to false")
        node.idle("ignore_space")  # the texts of plates have none
    node.close()
    return metrics[indicator]


def _check_size(network: NetworkSettings, data: DetData | RecData, part: Part) -> None:
    architecture = ARCHITECTURES[network.names[0]]
    operator = "EastRandomCropData.size" if part == "det" else "RecResizeImg.image_shape"
    key = f"Train.dataset.transforms.{operator}"
    stride, least = architecture.stride, _LEAST[part]
    if isinstance(data, RecData) and data.sampler is not None:
        _check_scales(architecture, data.sampler, any_height=network.any_height)
    for name, pixels in (("width", data.width), ("height", data.height)):
        if name == "height" and architecture.height is not None:
            if pixels != architecture.height:
                raise SettingError(
                    f"{key}: height is {pixels}, expected {architecture.height} (for {architecture.name})"
                )
        elif pixels % stride or pixels < least:
            raise SettingError(
                f"{key}: {name} is {pixels}, expected a multiple of {stride} from {least} to {MAX_SIDE} "
                f"(for {architecture.name})"
            )


def _check_scales(architecture: Architecture, sampler: MultiScale, *, any_height: bool) -> None:
    key, height = "Train.sampler.scales", architecture.height
    assert height is not None
    stride, least = architecture.stride, _LEAST["rec"]
    for scale in sampler.scales:
        if scale.width % stride or scale.width < least:
            raise SettingError(f"{key}: width {scale.width}, expected a multiple of {stride} from {least}")
        if any_height and scale.height % _ROW:
            raise SettingError(f"{key}: height {scale.height}, expected a multiple of {_ROW}")
        if not any_height and scale.height != height:
            only = f"{height}, the only height of {architecture.name}"
            raise SettingError(f"{key}: height {scale.height}, expected {only}")


def _check_own(
    own: OwnSettings, names: Sequence[str], optimizer: OptimizerSettings, data: DetData | RecData
) -> None:
    blocks = len(ARCHITECTURES[names[0]].backbone_parts()) - 1  # without the stem
    if own.frozen_blocks > blocks:
        raise SettingError(
            f"{SECTION}.frozen_blocks is {own.frozen_blocks}, must be an integer from 0 to {blocks}"
        )
    if own.frozen_shared and isinstance(data, RecData):
        raise SettingError(f"{SECTION}.frozen_shared is for detectors: set it to false")
    rate = optimizer.schedule.learning_rate
    if own.final_learning_rate > rate:
        raise SettingError(
            f"{SECTION}.final_learning_rate is {own.final_learning_rate}, expected at most {rate}"
        )
    if own.final_learning_rate and optimizer.schedule.name != "Cosine":
        raise SettingError(
            f"{SECTION}.final_learning_rate is for Cosine; Optimizer.lr is {optimizer.schedule.name}"
        )
    augmented = (
        data.augment is not None if isinstance(data, RecData) else (data.view, data.paste) != (STILL, None)
    )
    if own.camera and augmented:
        name = "RecAug" if isinstance(data, RecData) else "IaaAugment"
        raise SettingError(
            f"{SECTION}.camera stands in place of {name}: take it out, Train.dataset.transforms.{name}=false"
        )
