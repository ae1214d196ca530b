"""The section `EdgeLPR` of a training's YAML: what PaddleOCR has no keys for.

A file without the section trains as PaddleOCR would: on labelled images alone, every weight of the network,
no average of them. The recipes that ship state all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from edge_lpr.errors import SettingError
from edge_lpr.finetune.recipe.node import Node
from edge_lpr.settings import Settings, setting

__all__ = ["SECTION", "OwnSettings", "read_own"]

SECTION = "EdgeLPR"


def _share(default: float, help: str) -> Any:  # noqa: A002, ANN401 - as `setting`
    return setting(default, help, low=0, high=1)


@dataclass(frozen=True)
class OwnSettings(Settings):
    """What a training does beyond PaddleOCR; a setting's help says what.

    Raises:
        SettingError: A value is out of its range.
    """

    steps_per_epoch: int = setting(
        0, "steps that count as an epoch; 0: as many as show every labelled image once", low=0
    )
    render: bool = setting(False, "train on rendered plates (too)")
    real_share: float = _share(
        0.5, "share of a batch that is taken from label files where they are given along with rendering"
    )
    swapped_share: float = _share(
        0.3, "share of rendered images that are photos with another plate, where there are photos"
    )
    negative_share: float = _share(
        0.05, "rec, share of a rendered batch that shows other text, where there is a font"
    )
    cut_share: float = _share(
        0.0, "rec, share of rendered plates of which an end is missing, as at the border of an image"
    )
    strength: float = setting(0.8, "how strongly rendered crops are degraded", low=0, high=2)
    camera: bool = setting(
        False,
        "labelled images get the moves and the camera of rendered ones, in place of IaaAugment and RecAug",
    )
    balance: bool = setting(
        False, "rec, labelled plates are drawn by the square root of how many begin alike, not by epochs"
    )
    smallest_plate: float = setting(
        40.0, "det, width in pixels of the smallest plates in scenes that are drawn or moved", low=12
    )
    corner_jitter: float = setting(
        0.0, "rec, how far the corners of labelled plates are moved; 1: as far as detectors put them", low=0
    )
    slanted_share: float = _share(
        0.0, "rec, share of labelled plates that are cut out sheared, as a rectangle around them would do it"
    )
    mirrored_share: float = _share(
        0.0, "rec, share of plates that are mirrored, which teaches that such are none"
    )
    # Rendered images have other statistics than photos: this holds the network to what photos need.
    freeze_batch_norm: bool = setting(False, "keep the pretrained batch-norm statistics")
    # Edges and strokes are the same on plates as in any text, and most of a step's time is spent there.
    frozen_blocks: int = setting(
        0, "blocks at the start of the backbone that are not trained, at most as many as it has", low=0
    )
    frozen_shared: bool = setting(
        False,
        "det, a network that begins with layers of another one: these are not trained, so that what is new "
        "learns to fit them",
    )
    distillation: float = setting(
        1.0, "det, what the teacher's maps weigh beside the labels, where there is a teacher", low=0, high=100
    )
    ema: float = setting(
        0.0,
        "decay per step of the averaged weights, which are what is evaluated and kept; 0: the weights",
        low=0,
        high=0.999999,
    )
    final_learning_rate: float = _share(0.0, "where Cosine ends")
    one_dim_param_no_weight_decay: bool = setting(
        False, "no regularizer on norms and biases, with any optimizer, as the key of AdamW has it"
    )
    ctc_per_character: bool = setting(
        False, "CTC's loss is divided by the length of each text, as the one of PyTorch is"
    )
    checkpoint_every: int = setting(100, "steps between checkpoints", low=1)
    patience: int = setting(
        0, "evaluations without a better metric after which the run ends; 0 for never", low=0
    )
    threads: int = setting(0, "of PyTorch on a CPU; 0 leaves its choice", low=0, high=1024)


def read_own(node: Node) -> tuple[OwnSettings, dict[str, str | list[str] | None]]:
    """Reads the section.

    Args:
        node: The section.

    Returns:
        The settings; and paths: `photos`, labelled photos to paint plates on, `font`, and `teacher`.

    Raises:
        SettingError: A key is unknown, or a value out of its range.
    """
    paths: dict[str, str | list[str] | None] = {
        "photos": node.texts("photos", remember=False),
        "font": node.text("font", remember=False),
        "teacher": node.text("teacher", remember=False),
    }
    values = {one.name: node.raw(one.name, one.default) for one in fields(OwnSettings)}
    node.close()
    try:
        return OwnSettings(**values), paths
    except SettingError as e:
        raise SettingError(f"{SECTION}.{e}") from e
