"""Settings of a fine-tuning run, read from JSON; unknown names and values out of range are errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from edge_lpr.errors import SettingError

__all__ = ["TrainConfig", "default_config", "load_config"]

Part = Literal["det", "rec"]
MAX_CONFIG_BYTES = 1 << 20


@dataclass(frozen=True)
class TrainConfig:
    """One run. The default files `configs/det.json` and `configs/rec.json` hold the recipe.

    Attributes:
        part: "det" or "rec".
        steps: Optimizer steps of the whole run.
        batch: Images per step.
        width: Input width in pixels, a multiple of 8 (rec) or 32 (det).
        height: Input height in pixels: 48 (rec), a multiple of 32 (det).
        learning_rate: Adam's, at the first step; it falls along a half cosine.
        final_learning_rate: Where the cosine ends.
        weight_decay: L2, on weights of convolutions and linear layers only.
        clip_norm: Gradients are scaled down to this global norm.
        ema: Decay per step of the averaged weights, which are what is evaluated and kept.
        freeze_batch_norm: Keep the pretrained batch-norm statistics. Rendered images have other statistics
            than photos, so this holds the network to what photos need.
        frozen_blocks: Blocks at the start of the backbone that are not trained (rec 0 to 13): edges and
            strokes are the same on plates as in any text, and most of a step's time is spent there.
        swapped_share: Share of rendered images that are photos with another plate, where there are photos.
        strength: How strongly rendered crops are degraded, 0 to 2.
        augment: What is done to labelled images that are shown as they are: "ppocr", PP-OCRv3's own
            operators (`augment_scene`, `augment_crop`), or "camera", the moves and camera of rendered ones.
        concat_share: rec, share of labelled plates joined with up to two others (PP-OCRv3's RecConAug, 0.5
            there). It makes texts that no plate has, and none at the recipe's width, which holds one plate.
        precision: "float32", or "bfloat16" for mixed precision (pays on a GPU and on CPUs with AMX).
        real_share: Share of a batch that is taken from label files where they are given along with rendering.
        negative_share: Share of a rendered batch that shows no plate (other text, background).
        evaluate_every: Steps between evaluations.
        checkpoint_every: Steps between checkpoints.
        patience: Evaluations without a better metric after which the run ends; 0 for never.
        seed: Of the data, the dropout and the new parameters.
        workers: Processes that make batches; 0 makes them in the training process.
        threads: Of PyTorch on a CPU; 0 leaves its choice.
    """

    part: Part
    steps: int = 2000
    batch: int = 64
    width: int = 160
    height: int = 48
    learning_rate: float = 5e-4
    final_learning_rate: float = 0.0
    weight_decay: float = 3e-5
    clip_norm: float = 5.0
    ema: float = 0.998
    freeze_batch_norm: bool = True
    frozen_blocks: int = 0
    swapped_share: float = 0.3
    strength: float = 0.8
    augment: Literal["ppocr", "camera"] = "camera"
    concat_share: float = 0.0
    precision: Literal["float32", "bfloat16"] = "float32"
    real_share: float = 0.5
    negative_share: float = 0.05
    evaluate_every: int = 200
    checkpoint_every: int = 100
    patience: int = 0
    seed: int = 1
    workers: int = 1
    threads: int = 0

    def __post_init__(self) -> None:
        stride = {"rec": 8, "det": 32}.get(self.part)
        if stride is None:
            raise SettingError(f"config: part is {self.part!r}, expected 'det' or 'rec'")
        # Smaller scenes have no room for a plate that can be read.
        least = {"rec": 64, "det": 96}[self.part]
        side = f"a multiple of {stride}, {least} to 4096"
        height = self.height == 48 if self.part == "rec" else _is_side(self.height, stride, least)
        checks: tuple[tuple[str, bool, str], ...] = (
            ("steps", self.steps >= 1, "1 or more"),
            ("batch", 1 <= self.batch <= 4096, "1 to 4096"),
            ("width", _is_side(self.width, stride, least), side),
            ("height", height, "48" if self.part == "rec" else side),
            ("learning_rate", 0 < self.learning_rate <= 1, "above 0, at most 1"),
            (
                "final_learning_rate",
                0 <= self.final_learning_rate <= self.learning_rate,
                "0 to learning_rate",
            ),
            ("weight_decay", 0 <= self.weight_decay <= 1, "0 to 1"),
            ("clip_norm", self.clip_norm > 0, "above 0"),
            ("ema", 0 <= self.ema < 1, "0 to below 1"),
            ("frozen_blocks", 0 <= self.frozen_blocks <= 13, "0 to 13"),
            ("swapped_share", 0 <= self.swapped_share <= 1, "0 to 1"),
            ("strength", 0 <= self.strength <= 2, "0 to 2"),
            ("augment", self.augment in ("ppocr", "camera"), "'ppocr' or 'camera'"),
            ("concat_share", 0 <= self.concat_share <= 1, "0 to 1"),
            ("precision", self.precision in ("float32", "bfloat16"), "'float32' or 'bfloat16'"),
            ("real_share", 0 <= self.real_share <= 1, "0 to 1"),
            ("negative_share", 0 <= self.negative_share <= 1, "0 to 1"),
            ("evaluate_every", self.evaluate_every >= 1, "1 or more"),
            ("checkpoint_every", self.checkpoint_every >= 1, "1 or more"),
            ("patience", self.patience >= 0, "0 or more"),
            ("seed", 0 <= self.seed < 2**32, "0 to 2^32-1"),
            ("workers", 0 <= self.workers <= 64, "0 to 64"),
            ("threads", 0 <= self.threads <= 1024, "0 to 1024"),
        )
        for name, holds, expected in checks:
            if not holds:
                raise SettingError(f"config: {name} is {getattr(self, name)!r}, expected {expected}")

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as JSON values."""
        return asdict(self)


def _is_side(value: int, stride: int, least: int) -> bool:
    return value % stride == 0 and least <= value <= 4096


def _from_json(text: str, part: Part, name: str, overrides: Mapping[str, float | str]) -> TrainConfig:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as e:
        raise SettingError(f"{name}: not JSON: {e.msg} at line {e.lineno}, column {e.colno}") from e
    if not isinstance(values, dict):
        raise SettingError(f"{name}: holds {type(values).__name__}, expected an object with settings")
    values = {**values, **overrides}
    types = {f.name: str(f.type) for f in fields(TrainConfig)}
    for key, value in values.items():
        if key not in types:
            raise SettingError(f"{name}: unknown setting {key!r}; known are {', '.join(types)}")
        kind = types[key]
        ok = {
            "int": isinstance(value, int) and not isinstance(value, bool),
            "float": isinstance(value, int | float) and not isinstance(value, bool),
            "bool": isinstance(value, bool),
        }.get(kind, isinstance(value, str))
        if not ok:
            raise SettingError(
                f"{name}: {key} is {value!r}, expected {'a string' if kind[0].isupper() else kind}"
            )
    if values.get("part", part) != part:
        raise SettingError(f"{name}: is for {values['part']!r}, but `finetune {part}` was asked for")
    return TrainConfig(**{**values, "part": part})


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
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise SettingError(
                f"{path}: {path.stat().st_size} bytes, a config has less than {MAX_CONFIG_BYTES}"
            )
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise SettingError(f"{path}: cannot be read as a config: {e}") from e
    return _from_json(text, part, str(path), overrides)
