"""The two networks of PP-OCRv3 as lists of parameters, by PaddleOCR's own names.

Detection is the student of `ch_PP-OCRv3_det`: MobileNetV3-large ×0.5 without squeeze-and-excitation, RSEFPN
with 96 channels, DB head. Recognition is `ch_PP-OCRv3_rec`: MobileNetV1Enhance ×0.5, a two-block SVTR neck
of 120 channels, a CTC head. The lists say what a checkpoint must hold, without any deep-learning package:
Paddle's and PyTorch's networks, the transplant and the checks all go by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from edge_lpr.errors import ModelError

__all__ = [
    "DET_BLOCKS",
    "DET_UNUSED",
    "REC_BLOCKS",
    "REC_UNUSED",
    "DetBlock",
    "Parameter",
    "RecBlock",
    "check_parameters",
    "ctc_classes",
    "det_parameters",
    "rec_parameters",
]

Kind = Literal["conv2d", "conv2d_transpose", "batch_norm", "batch_norm2d", "layer_norm", "linear"]


@dataclass(frozen=True)
class Parameter:
    """One array of a network.

    Attributes:
        name: PaddleOCR's name, such as `backbone.conv.bn._mean`.
        shape: Its shape in Paddle's layout: convolutions (out, in / groups, kh, kw), transposed ones
            (in, out, kh, kw), linear layers (in, out).
        kind: The layer that it belongs to, as Paddle counts them in its internal names.
        slot: Its part in Paddle's internal names: w_0 weight, b_0 bias, w_1 mean, w_2 variance.
    """

    name: str
    shape: tuple[int, ...]
    kind: Kind
    slot: Literal["w_0", "b_0", "w_1", "w_2"]


@dataclass(frozen=True)
class DetBlock:
    """One inverted residual of the detection's backbone.

    Attributes:
        kernel: Side of the depthwise kernel.
        expanded: Channels inside.
        out: Channels out.
        hard_swish: Hard-swish inside; ReLU otherwise.
        stride: Of the depthwise convolution.
    """

    kernel: int
    expanded: int
    out: int
    hard_swish: bool
    stride: int


# MobileNetV3-large (Howard et al. 2019, table 1) with its channels halved and rounded to multiples of 8. A
# new stage starts with each stride of 2 but the first.
DET_BLOCKS: tuple[tuple[DetBlock, ...], ...] = (
    (DetBlock(3, 8, 8, False, 1), DetBlock(3, 32, 16, False, 2), DetBlock(3, 40, 16, False, 1)),
    (DetBlock(5, 40, 24, False, 2), DetBlock(5, 64, 24, False, 1), DetBlock(5, 64, 24, False, 1)),
    (
        DetBlock(3, 120, 40, True, 2),
        DetBlock(3, 104, 40, True, 1),
        DetBlock(3, 96, 40, True, 1),
        DetBlock(3, 96, 40, True, 1),
        DetBlock(3, 240, 56, True, 1),
        DetBlock(3, 336, 56, True, 1),
    ),
    (DetBlock(5, 336, 80, True, 2), DetBlock(5, 480, 80, True, 1), DetBlock(5, 480, 80, True, 1)),
)
DET_STEM = 8
DET_LAST = 480
DET_STAGES_OUT = (16, 24, 56, DET_LAST)
DET_NECK = 96
SE_REDUCTION = 4


@dataclass(frozen=True)
class RecBlock:
    """One depthwise-separable block of the recognition's backbone.

    Attributes:
        channels: Channels in and of the depthwise convolution.
        out: Channels out.
        kernel: Side of the depthwise kernel.
        stride: Vertical and horizontal stride.
        squeeze: Squeeze-and-excitation between the two convolutions.
    """

    channels: int
    out: int
    kernel: int
    stride: tuple[int, int]
    squeeze: bool


REC_STEM = 16
# `last_conv_stride: [1, 2]` of ch_PP-OCRv3_rec is the stride of the last block.
REC_BLOCKS: tuple[RecBlock, ...] = (
    RecBlock(16, 32, 3, (1, 1), False),
    RecBlock(32, 64, 3, (1, 1), False),
    RecBlock(64, 64, 3, (1, 1), False),
    RecBlock(64, 128, 3, (2, 1), False),
    RecBlock(128, 128, 3, (1, 1), False),
    RecBlock(128, 256, 3, (2, 1), False),
    *(RecBlock(256, 256, 5, (1, 1), False) for _ in range(5)),
    RecBlock(256, 512, 5, (2, 1), True),
    RecBlock(512, 512, 5, (1, 2), True),
)
REC_BACKBONE = 512
REC_HIDDEN = 120
REC_DEPTH = 2
REC_HEADS = 8
REC_DIMS = 64

DET_UNUSED = ("head.thresh.",)
"""Prefixes of detection parameters that only training uses: the threshold map."""
REC_UNUSED = ("head.sar_head.", "head.gtc_head.", "head.before_gtc.")
"""Prefixes of recognition parameters that only training uses: the guiding attention heads."""


def _conv(name: str, out: int, inside: int, kernel: int, bias: bool = False) -> Iterator[Parameter]:
    yield Parameter(f"{name}.weight", (out, inside, kernel, kernel), "conv2d", "w_0")
    if bias:
        yield Parameter(f"{name}.bias", (out,), "conv2d", "b_0")


def _transposed(name: str, inside: int, out: int) -> Iterator[Parameter]:
    yield Parameter(f"{name}.weight", (inside, out, 2, 2), "conv2d_transpose", "w_0")
    yield Parameter(f"{name}.bias", (out,), "conv2d_transpose", "b_0")


def _norm(name: str, channels: int, kind: Kind = "batch_norm") -> Iterator[Parameter]:
    yield Parameter(f"{name}.weight", (channels,), kind, "w_0")
    yield Parameter(f"{name}.bias", (channels,), kind, "b_0")
    if kind != "layer_norm":
        yield Parameter(f"{name}._mean", (channels,), kind, "w_1")
        yield Parameter(f"{name}._variance", (channels,), kind, "w_2")


def _linear(name: str, inside: int, out: int) -> Iterator[Parameter]:
    yield Parameter(f"{name}.weight", (inside, out), "linear", "w_0")
    yield Parameter(f"{name}.bias", (out,), "linear", "b_0")


def _squeeze(name: str, channels: int) -> Iterator[Parameter]:
    yield from _conv(f"{name}.conv1", channels // SE_REDUCTION, channels, 1, bias=True)
    yield from _conv(f"{name}.conv2", channels, channels // SE_REDUCTION, 1, bias=True)


def det_parameters(with_threshold: bool = False) -> list[Parameter]:
    """Lists the detection network's parameters in the order in which PaddleOCR makes them.

    Args:
        with_threshold: The threshold head, which only training uses, too.
    """
    found: list[Parameter] = []

    def conv_bn(name: str, out: int, inside: int, kernel: int) -> None:
        found.extend(_conv(f"{name}.conv", out, inside, kernel))
        found.extend(_norm(f"{name}.bn", out))

    conv_bn("backbone.conv", DET_STEM, 3, 3)
    channels = DET_STEM
    for s, stage in enumerate(DET_BLOCKS):
        for b, block in enumerate(stage):
            name = f"backbone.stage{s}.{b}"
            conv_bn(f"{name}.expand_conv", block.expanded, channels, 1)
            conv_bn(f"{name}.bottleneck_conv", block.expanded, 1, block.kernel)
            conv_bn(f"{name}.linear_conv", block.out, block.expanded, 1)
            channels = block.out
    conv_bn(f"backbone.stage{len(DET_BLOCKS) - 1}.{len(DET_BLOCKS[-1])}", DET_LAST, channels, 1)
    for i, inside in enumerate(DET_STAGES_OUT):
        found.extend(_conv(f"neck.ins_conv.{i}.in_conv", DET_NECK, inside, 1))
        found.extend(_squeeze(f"neck.ins_conv.{i}.se_block", DET_NECK))
        found.extend(_conv(f"neck.inp_conv.{i}.in_conv", DET_NECK // 4, DET_NECK, 3))
        found.extend(_squeeze(f"neck.inp_conv.{i}.se_block", DET_NECK // 4))
    quarter = DET_NECK // 4
    for head in ("binarize", "thresh") if with_threshold else ("binarize",):
        found.extend(_conv(f"head.{head}.conv1", quarter, DET_NECK, 3))
        found.extend(_norm(f"head.{head}.conv_bn1", quarter))
        found.extend(_transposed(f"head.{head}.conv2", quarter, quarter))
        found.extend(_norm(f"head.{head}.conv_bn2", quarter))
        found.extend(_transposed(f"head.{head}.conv3", quarter, 1))
    return found


def rec_parameters(classes: int) -> list[Parameter]:
    """Lists the recognition network's parameters in the order in which PaddleOCR makes them.

    Args:
        classes: Classes of the CTC head, the blank included.
    """
    found: list[Parameter] = []

    def conv_bn(name: str, out: int, inside: int, kernel: int) -> None:
        found.extend(_conv(f"{name}._conv", out, inside, kernel))
        found.extend(_norm(f"{name}._batch_norm", out))

    def conv_norm(name: str, out: int, inside: int, kernel: int) -> None:
        found.extend(_conv(f"{name}.conv", out, inside, kernel))
        found.extend(_norm(f"{name}.norm", out, "batch_norm2d"))

    conv_bn("backbone.conv1", REC_STEM, 3, 3)
    for b, block in enumerate(REC_BLOCKS):
        name = f"backbone.block_list.{b}"
        conv_bn(f"{name}._depthwise_conv", block.channels, 1, block.kernel)
        if block.squeeze:
            found.extend(_squeeze(f"{name}._se", block.channels))
        conv_bn(f"{name}._pointwise_conv", block.out, block.channels, 1)
    neck, reduced = "head.ctc_encoder.encoder", REC_BACKBONE // 8
    conv_norm(f"{neck}.conv1", reduced, REC_BACKBONE, 3)
    conv_norm(f"{neck}.conv2", REC_HIDDEN, reduced, 1)
    for b in range(REC_DEPTH):
        name = f"{neck}.svtr_block.{b}"
        found.extend(_norm(f"{name}.norm1", REC_HIDDEN, "layer_norm"))
        found.extend(_linear(f"{name}.mixer.qkv", REC_HIDDEN, 3 * REC_HIDDEN))
        found.extend(_linear(f"{name}.mixer.proj", REC_HIDDEN, REC_HIDDEN))
        found.extend(_norm(f"{name}.norm2", REC_HIDDEN, "layer_norm"))
        found.extend(_linear(f"{name}.mlp.fc1", REC_HIDDEN, 2 * REC_HIDDEN))
        found.extend(_linear(f"{name}.mlp.fc2", 2 * REC_HIDDEN, REC_HIDDEN))
    found.extend(_norm(f"{neck}.norm", REC_HIDDEN, "layer_norm"))
    conv_norm(f"{neck}.conv3", REC_BACKBONE, REC_HIDDEN, 1)
    conv_norm(f"{neck}.conv4", reduced, 2 * REC_BACKBONE, 3)
    conv_norm(f"{neck}.conv1x1", REC_DIMS, reduced, 1)
    found.extend(_linear("head.ctc_head.fc", REC_DIMS, classes))
    return found


def ctc_classes(arrays: Mapping[str, NDArray[Any]], label: str) -> int:
    """Returns the number of classes of a recognition checkpoint's CTC head.

    Raises:
        ModelError: It has no such head.
    """
    weight = arrays.get("head.ctc_head.fc.weight")
    if weight is None or weight.ndim != 2:
        hint = "; it is a detection checkpoint" if "head.binarize.conv1.weight" in arrays else ""
        raise ModelError(
            f"{label}: no parameter 'head.ctc_head.fc.weight', expected a PP-OCRv3 rec checkpoint{hint}"
        )
    return int(weight.shape[1])


def check_parameters(
    arrays: Mapping[str, NDArray[Any]], wanted: list[Parameter], unused: tuple[str, ...], label: str
) -> list[str]:
    """Checks that a checkpoint holds exactly what a network needs.

    Args:
        arrays: The checkpoint's arrays by name.
        wanted: What the network needs.
        unused: Prefixes of parameters that inference does not need.
        label: What error messages call the checkpoint.

    Returns:
        The names that were left unused, such as those of heads that only training has.

    Raises:
        ModelError: A parameter is missing, not known, or of another shape; the first one is named.
    """
    names = {p.name for p in wanted}
    missing = [p.name for p in wanted if p.name not in arrays]
    ignored = [n for n in arrays if n not in names and n.startswith(unused)]
    unexpected = [n for n in arrays if n not in names and not n.startswith(unused)]
    if missing:
        raise ModelError(
            f"{label}: lacks {len(missing)} of {len(wanted)} parameters, first {missing[0]!r}"
            + (f"; it has {unexpected[0]!r} instead" if unexpected else "")
            + "; export takes PP-OCRv3 checkpoints, for other networks give an inference model"
        )
    if unexpected:
        raise ModelError(
            f"{label}: {len(unexpected)} parameters that PP-OCRv3 does not have, first {unexpected[0]!r}; "
            "export takes PP-OCRv3 checkpoints, for other networks give an inference model"
        )
    for p in wanted:
        found = arrays[p.name]
        if found.shape != p.shape:
            raise ModelError(f"{label}: {p.name!r} has shape {found.shape}, expected {p.shape}")
        if found.dtype.kind != "f":
            raise ModelError(f"{label}: {p.name!r} has type {found.dtype}, expected floating point")
    return ignored
