"""The two networks of PP-OCRv3 in Paddle, their parameters named as PaddleOCR names them.

Attribute names are PaddleOCR's, because Paddle makes a parameter's name of them; the sizes are those of
`architecture`. Only what inference needs is here: neither the threshold map nor an attention head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import paddle
from numpy.typing import NDArray
from paddle import nn
from paddle.nn import functional as F

from edge_lpr.errors import ModelError
from edge_lpr.export.architecture import (
    DET_BLOCKS,
    DET_LAST,
    DET_NECK,
    DET_STAGES_OUT,
    DET_STEM,
    DET_UNUSED,
    REC_BACKBONE,
    REC_BLOCKS,
    REC_DEPTH,
    REC_DIMS,
    REC_HEADS,
    REC_HIDDEN,
    REC_STEM,
    REC_UNUSED,
    SE_REDUCTION,
    DetBlock,
    RecBlock,
    check_parameters,
    ctc_classes,
    det_parameters,
    rec_parameters,
)

__all__ = ["DetNetwork", "RecNetwork", "det_network", "rec_network"]

Tensor = Any  # Paddle ships no types

_DET_GATE_SLOPE = 0.2  # the detection's hard sigmoid is clip(0.2 x + 0.5, 0, 1)
_REC_GATE_SLOPE = 1.0 / 6.0


class _Squeeze(nn.Layer):  # type: ignore[misc]
    """Squeeze-and-excitation (Hu et al. 2018) with a hard sigmoid."""

    def __init__(self, channels: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.conv1 = nn.Conv2D(channels, channels // SE_REDUCTION, 1)
        self.conv2 = nn.Conv2D(channels // SE_REDUCTION, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = F.adaptive_avg_pool2d(x, 1)
        gate = self.conv2(F.relu(self.conv1(gate)))
        return x * F.hardsigmoid(gate, slope=self.slope, offset=0.5)


class _DetConv(nn.Layer):  # type: ignore[misc]
    def __init__(
        self, inside: int, out: int, kernel: int, stride: int = 1, groups: int = 1, act: str = ""
    ) -> None:
        super().__init__()
        self.act = act
        self.conv = nn.Conv2D(inside, out, kernel, stride, kernel // 2, groups=groups, bias_attr=False)
        self.bn = nn.BatchNorm2D(out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return getattr(F, self.act)(x) if self.act else x


class _DetUnit(nn.Layer):  # type: ignore[misc]
    """Inverted residual of MobileNetV3."""

    def __init__(self, inside: int, block: DetBlock) -> None:
        super().__init__()
        act = "hardswish" if block.hard_swish else "relu"
        inner = block.expanded
        self.shortcut = block.stride == 1 and inside == block.out
        self.expand_conv = _DetConv(inside, inner, 1, act=act)
        self.bottleneck_conv = _DetConv(inner, inner, block.kernel, block.stride, inner, act)
        self.linear_conv = _DetConv(inner, block.out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear_conv(self.bottleneck_conv(self.expand_conv(x)))
        return x + y if self.shortcut else y


class _DetBackbone(nn.Layer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.conv = _DetConv(3, DET_STEM, 3, 2, act="hardswish")
        channels = DET_STEM
        for s, blocks in enumerate(DET_BLOCKS):
            units: list[nn.Layer] = []
            for block in blocks:
                units.append(_DetUnit(channels, block))
                channels = block.out
            if s == len(DET_BLOCKS) - 1:
                units.append(_DetConv(channels, DET_LAST, 1, act="hardswish"))
            self.add_sublayer(f"stage{s}", nn.Sequential(*units))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.conv(x)
        maps = []
        for s in range(len(DET_BLOCKS)):
            x = getattr(self, f"stage{s}")(x)
            maps.append(x)
        return maps


class _ResidualSqueeze(nn.Layer):  # type: ignore[misc]
    def __init__(self, inside: int, out: int, kernel: int) -> None:
        super().__init__()
        self.in_conv = nn.Conv2D(inside, out, kernel, padding=kernel // 2, bias_attr=False)
        self.se_block = _Squeeze(out, _DET_GATE_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        x = self.in_conv(x)
        return x + self.se_block(x)


def _enlarged(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="nearest")


class _DetNeck(nn.Layer):  # type: ignore[misc]
    """Feature pyramid with residual squeeze-and-excitation (RSEFPN)."""

    def __init__(self) -> None:
        super().__init__()
        self.ins_conv = nn.LayerList([_ResidualSqueeze(c, DET_NECK, 1) for c in DET_STAGES_OUT])
        self.inp_conv = nn.LayerList([_ResidualSqueeze(DET_NECK, DET_NECK // 4, 3) for _ in DET_STAGES_OUT])

    def forward(self, maps: list[Tensor]) -> Tensor:
        # Plain indices: Paddle rewrites this function into a graph and does not know every form of a loop.
        c2, c3, c4, c5 = maps
        p5 = self.ins_conv[3](c5)
        p4 = self.ins_conv[2](c4) + _enlarged(p5, 2)
        p3 = self.ins_conv[1](c3) + _enlarged(p4, 2)
        p2 = self.ins_conv[0](c2) + _enlarged(p3, 2)
        smooth = [
            _enlarged(self.inp_conv[3](p5), 8),
            _enlarged(self.inp_conv[2](p4), 4),
            _enlarged(self.inp_conv[1](p3), 2),
            self.inp_conv[0](p2),
        ]
        return paddle.concat(smooth, axis=1)


class _MapHead(nn.Layer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        quarter = DET_NECK // 4
        self.conv1 = nn.Conv2D(DET_NECK, quarter, 3, padding=1, bias_attr=False)
        self.conv_bn1 = nn.BatchNorm2D(quarter)
        self.conv2 = nn.Conv2DTranspose(quarter, quarter, 2, 2)
        self.conv_bn2 = nn.BatchNorm2D(quarter)
        self.conv3 = nn.Conv2DTranspose(quarter, 1, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv_bn1(self.conv1(x)))
        x = F.relu(self.conv_bn2(self.conv2(x)))
        return F.sigmoid(self.conv3(x))


class _DetHead(nn.Layer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.binarize = _MapHead()

    def forward(self, x: Tensor) -> Tensor:
        return self.binarize(x)


class DetNetwork(nn.Layer):  # type: ignore[misc]
    """The student of `ch_PP-OCRv3_det`: float32 N×3×H×W to N×1×H×W, sides in multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _DetBackbone()
        self.neck = _DetNeck()
        self.head = _DetHead()

    def forward(self, x: Tensor) -> Tensor:
        """Runs the network."""
        return self.head(self.neck(self.backbone(x)))


class _RecConv(nn.Layer):  # type: ignore[misc]
    def __init__(
        self, inside: int, out: int, kernel: int, stride: int | tuple[int, int] = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self._conv = nn.Conv2D(inside, out, kernel, stride, kernel // 2, groups=groups, bias_attr=False)
        self._batch_norm = nn.BatchNorm2D(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(self._batch_norm(self._conv(x)))


class _RecUnit(nn.Layer):  # type: ignore[misc]
    def __init__(self, block: RecBlock) -> None:
        super().__init__()
        channels = block.channels
        self._depthwise_conv = _RecConv(channels, channels, block.kernel, block.stride, channels)
        self._se = _Squeeze(channels, _REC_GATE_SLOPE) if block.squeeze else None
        self._pointwise_conv = _RecConv(channels, block.out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self._depthwise_conv(x)
        if self._se is not None:
            x = self._se(x)
        return self._pointwise_conv(x)


class _RecBackbone(nn.Layer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _RecConv(3, REC_STEM, 3, 2)
        self.block_list = nn.Sequential(*(_RecUnit(b) for b in REC_BLOCKS))

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.block_list(self.conv1(x)), 2, 2)


class _NeckConv(nn.Layer):  # type: ignore[misc]
    def __init__(self, inside: int, out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2D(inside, out, kernel, padding=kernel // 2, bias_attr=False)
        self.norm = nn.BatchNorm2D(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.swish(self.norm(self.conv(x)))


class _Attention(nn.Layer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(REC_HIDDEN, 3 * REC_HIDDEN)
        self.proj = nn.Linear(REC_HIDDEN, REC_HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        width = REC_HIDDEN // REC_HEADS
        qkv = self.qkv(x).reshape((0, -1, 3, REC_HEADS, width)).transpose((2, 0, 3, 1, 4))
        weights = F.softmax((qkv[0] * width**-0.5).matmul(qkv[1].transpose((0, 1, 3, 2))), axis=-1)
        return self.proj(weights.matmul(qkv[2]).transpose((0, 2, 1, 3)).reshape((0, -1, REC_HIDDEN)))


class _Mlp(nn.Layer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(REC_HIDDEN, 2 * REC_HIDDEN)
        self.fc2 = nn.Linear(2 * REC_HIDDEN, REC_HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.swish(self.fc1(x)))


class _NeckBlock(nn.Layer):  # type: ignore[misc]
    """Global mixing block of SVTR (Du et al. 2022), normalised before its two parts."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(REC_HIDDEN, epsilon=1e-5)
        self.mixer = _Attention()
        self.norm2 = nn.LayerNorm(REC_HIDDEN, epsilon=1e-5)
        self.mlp = _Mlp()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class _Neck(nn.Layer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        reduced = REC_BACKBONE // 8
        self.conv1 = _NeckConv(REC_BACKBONE, reduced, 3)
        self.conv2 = _NeckConv(reduced, REC_HIDDEN, 1)
        self.svtr_block = nn.LayerList([_NeckBlock() for _ in range(REC_DEPTH)])
        self.norm = nn.LayerNorm(REC_HIDDEN, epsilon=1e-6)
        self.conv3 = _NeckConv(REC_HIDDEN, REC_BACKBONE, 1)
        self.conv4 = _NeckConv(2 * REC_BACKBONE, reduced, 3)
        self.conv1x1 = _NeckConv(reduced, REC_DIMS, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x)).squeeze(2).transpose((0, 2, 1))
        for block in self.svtr_block:
            y = block(y)
        y = self.conv3(self.norm(y).transpose((0, 2, 1)).unsqueeze(2))
        return self.conv1x1(self.conv4(paddle.concat([x, y], axis=1)))


class _CtcEncoder(nn.Layer):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.encoder = _Neck()

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x).squeeze(2).transpose((0, 2, 1))


class _CtcHead(nn.Layer):  # type: ignore[misc]
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(REC_DIMS, classes)

    def forward(self, x: Tensor) -> Tensor:
        return F.softmax(self.fc(x), axis=2)


class _RecHead(nn.Layer):  # type: ignore[misc]
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.ctc_encoder = _CtcEncoder()
        self.ctc_head = _CtcHead(classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.ctc_head(self.ctc_encoder(x))


class RecNetwork(nn.Layer):  # type: ignore[misc]
    """`ch_PP-OCRv3_rec` with its CTC head: float32 N×3×48×W to class probabilities N×W/8×classes.

    Args:
        classes: Classes of the CTC head, the blank included.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = _RecBackbone()
        self.head = _RecHead(classes)

    def forward(self, x: Tensor) -> Tensor:
        """Runs the network."""
        return self.head(self.backbone(x))


def det_network(arrays: Mapping[str, NDArray[Any]], label: str) -> tuple[DetNetwork, list[str]]:
    """Builds the detection network from a checkpoint's arrays.

    Args:
        arrays: Arrays by PaddleOCR's parameter names, one branch of a distillation checkpoint at most.
        label: What error messages call the checkpoint.

    Returns:
        The network in inference mode, and the names of the parameters that only training uses.

    Raises:
        ModelError: The checkpoint does not hold exactly what the network needs.
    """
    if "head.ctc_head.fc.weight" in arrays:
        raise ModelError(f"{label}: a recognition checkpoint, expected one of a detection network")
    ignored = check_parameters(arrays, det_parameters(), DET_UNUSED, label)
    network = DetNetwork()
    _fill(network, arrays, ignored)
    return network, ignored


def rec_network(arrays: Mapping[str, NDArray[Any]], label: str) -> tuple[RecNetwork, list[str]]:
    """Builds the recognition network from a checkpoint's arrays; see `det_network`."""
    classes = ctc_classes(arrays, label)
    ignored = check_parameters(arrays, rec_parameters(classes), REC_UNUSED, label)
    network = RecNetwork(classes)
    _fill(network, arrays, ignored)
    return network, ignored


def _fill(network: Any, arrays: Mapping[str, NDArray[Any]], ignored: list[str]) -> None:  # noqa: ANN401
    state = {
        name: paddle.to_tensor(a.astype("float32")) for name, a in arrays.items() if name not in set(ignored)
    }
    missing, unexpected = network.set_state_dict(state)
    assert not missing and not unexpected, (missing, unexpected)  # checked before, by name
    network.eval()
