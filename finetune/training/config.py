"""Settings of a fine-tuning run, read from JSON; unknown names and values out of range are errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from edge_lpr.architectures.registry import Architecture, of_part
from edge_lpr.errors import SettingError, shown
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.plain_data import parse_json
from edge_lpr.settings import Settings, setting
from edge_lpr.types import PARTS, Part

__all__ = ["TrainConfig", "default_config", "load_config"]

MAX_CONFIG_BYTES = 1 << 20
_LEAST: dict[Part, int] = {"rec": 64, "det": 96}
"""Least side, in pixels: smaller scenes have no room for a plate that can be read."""
_MAX_SIDE = 4096


def _share(default: float, help: str) -> Any:  # noqa: A002, ANN401 - as `setting`
    return setting(default, help, low=0, high=1)


@dataclass(frozen=True)
class TrainConfig(Settings):
    """One run; a setting's help says what it does. `configs/det.json` and `configs/rec.json` are the recipes.

    Raises:
        SettingError: A value is out of its range.
    """

    part: Part
    steps: int = setting(2000, "optimizer steps of the whole run", low=1)
    batch: int = setting(64, "images per step", low=1, high=4096)
    width: int = setting(
        160, "input width in pixels, a multiple of the network's stride", low=1, high=_MAX_SIDE
    )
    height: int = setting(
        of_part("rec")[0].height or _LEAST["rec"],
        "input height in pixels: the network's own (rec), a multiple of its stride (det)",
        low=1,
        high=_MAX_SIDE,
    )
    learning_rate: float = setting(
        5e-4, "Adam's, at the first step; it falls along a half cosine", low=1e-9, high=1
    )
    final_learning_rate: float = _share(0.0, "where the cosine ends")
    weight_decay: float = _share(3e-5, "L2, on weights of convolutions and linear layers only")
    clip_norm: float = setting(5.0, "gradients are scaled down to this global norm", low=1e-9)
    ema: float = setting(
        0.998,
        "decay per step of the averaged weights, which are what is evaluated and kept",
        low=0,
        high=0.999999,
    )
    # Rendered images have other statistics than photos: this holds the network to what photos need.
    freeze_batch_norm: bool = setting(True, "keep the pretrained batch-norm statistics")
    # Edges and strokes are the same on plates as in any text, and most of a step's time is spent there.
    frozen_blocks: int = setting(
        0, "blocks at the start of the backbone that are not trained, at most as many as it has", low=0
    )
    swapped_share: float = _share(
        0.3, "share of rendered images that are photos with another plate, where there are photos"
    )
    strength: float = setting(0.8, "how strongly rendered crops are degraded", low=0, high=2)
    augment: Literal["ppocr", "camera"] = setting(
        "camera",
        "what is done to labelled images that are shown as they are: PP-OCRv3's own operators "
        "(`det_augment`, `rec_augment`), or the moves and camera of rendered ones",
        choices=("ppocr", "camera"),
    )
    # It makes texts that no plate has, and none at the recipe's width, which holds one plate.
    concat_share: float = _share(
        0.0, "rec, share of labelled plates joined with up to two others (PP-OCRv3's RecConAug, 0.5 there)"
    )
    slanted_share: float = _share(
        0.3, "rec, share of labelled plates that are cut out sheared, as a rectangle around them would do it"
    )
    mirrored_share: float = _share(
        0.03, "rec, share of plates that are mirrored, which teaches that such are none"
    )
    cut_share: float = _share(
        0.04, "rec, share of rendered plates of which an end is missing, as at the border of an image"
    )
    precision: Literal["float32", "bfloat16"] = setting(
        "float32",
        "bfloat16 for mixed precision, which pays on a GPU and on CPUs with AMX",
        choices=("float32", "bfloat16"),
    )
    real_share: float = _share(
        0.5, "share of a batch that is taken from label files where they are given along with rendering"
    )
    negative_share: float = _share(
        0.05, "share of a rendered batch that shows no plate (other text, background)"
    )
    evaluate_every: int = setting(200, "steps between evaluations", low=1)
    checkpoint_every: int = setting(100, "steps between checkpoints", low=1)
    patience: int = setting(
        0, "evaluations without a better metric after which the run ends; 0 for never", low=0
    )
    seed: int = setting(1, "of the data, the dropout and the new parameters", low=0, high=2**32 - 1)
    workers: int = setting(
        1, "processes that make batches; 0 makes them in the training process", low=0, high=64
    )
    threads: int = setting(0, "of PyTorch on a CPU; 0 leaves its choice", low=0, high=1024)

    def __post_init__(self) -> None:
        if self.part not in PARTS:
            raise SettingError(f"part is {shown(self.part)}, expected {' or '.join(PARTS)}")
        super().__post_init__()
        misfits = [self._misfit(architecture) for architecture in of_part(self.part)]
        if all(misfits):
            raise SettingError(str(misfits[0]))
        if self.final_learning_rate > self.learning_rate:
            raise SettingError(
                f"final_learning_rate is {self.final_learning_rate}, expected at most learning_rate "
                f"({self.learning_rate})"
            )

    def check(self, architecture: Architecture) -> None:
        """Sees that the settings fit the network that a run trains.

        Raises:
            SettingError: It does not take such an input, or has fewer blocks.
        """
        if misfit := self._misfit(architecture):
            raise SettingError(f"{misfit} (for {architecture.name})")

    def _misfit(self, architecture: Architecture) -> str | None:
        stride, least = architecture.stride, _LEAST[self.part]
        for name, side in (("width", self.width), ("height", self.height)):
            if name == "height" and architecture.height is not None:
                if side != architecture.height:
                    return f"height is {side}, expected {architecture.height}"
            elif side % stride or side < least:
                return f"{name} is {side}, expected a multiple of {stride} from {least} to {_MAX_SIDE}"
        blocks = len(architecture.backbone_parts()) - 1  # without the stem
        if self.frozen_blocks > blocks:
            return f"frozen_blocks is {self.frozen_blocks}, must be an integer from 0 to {blocks}"
        return None

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as JSON values."""
        return asdict(self)


def _from_json(text: str | bytes, part: Part, name: str, overrides: Mapping[str, float | str]) -> TrainConfig:
    values = parse_json(text, name, SettingError)
    if not isinstance(values, dict):
        raise SettingError(f"{name}: holds {type(values).__name__}, expected an object with settings")
    values = {**values, **overrides}
    unknown = sorted(set(values) - set(TrainConfig.names()))
    if unknown:
        raise SettingError(
            f"{name}: unknown setting {shown(unknown[0])}; known are {', '.join(TrainConfig.names())}"
        )
    if values.get("part", part) != part:
        raise SettingError(f"{name}: is for {shown(values['part'])}, but `finetune {part}` was asked for")
    try:
        return TrainConfig(**{**values, "part": part})
    except SettingError as e:
        raise SettingError(f"{name}: {e}") from e


def default_config(part: Part) -> str:
    """Returns the text of the recipe that ships for `part`."""
    return (files("edge_lpr.finetune") / "configs" / f"{part}.json").read_text(encoding="utf-8")


def load_config(path: Path | None, part: Part, **overrides: float | str) -> TrainConfig:
    """Reads settings from a JSON file.

    Args:
        path: The file; None for the recipe that ships.
        part: What the run is for; a file for the other part is refused.
        overrides: Settings that replace those of the file.

    Raises:
        SettingError: The file cannot be read, or a setting is unknown, of the wrong type or out of range.
    """
    if path is None:
        return _from_json(default_config(part), part, f"configs/{part}.json", overrides)
    excess = "{size} bytes, a config has less than {limit}"
    text = read_bounded(path, MAX_CONFIG_BYTES, "a config", SettingError, excess=excess)
    return _from_json(text, part, str(path), overrides)
