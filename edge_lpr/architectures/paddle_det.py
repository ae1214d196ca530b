"""PP-OCRv3's detection in Paddle, its parameters named as PaddleOCR names them.

Attribute names are PaddleOCR's, because Paddle makes a parameter's name of them; the sizes are those of
`architecture`. Only what inference needs is here: no threshold map.
"""

from __future__ import annotations

import paddle
from paddle import nn
from paddle.nn import functional as F

from edge_lpr.architectures.paddle_layers import Squeeze, Tensor
from edge_lpr.architectures.parameters import (
    DET_BLOCKS,
    DET_LAST,
    DET_NECK,
    DET_STAGES_OUT,
    DET_STEM,
    DetBlock,
)

__all__ = ["DetNetwork"]

_DET_GATE_SLOPE = 0.2  # the detection's hard sigmoid is clip(0.2 x + 0.5, 0, 1)


class _DetConv(nn.Layer):
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


class _DetUnit(nn.Layer):
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


class _DetBackbone(nn.Layer):
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


class _ResidualSqueeze(nn.Layer):
    def __init__(self, inside: int, out: int, kernel: int) -> None:
        super().__init__()
        self.in_conv = nn.Conv2D(inside, out, kernel, padding=kernel // 2, bias_attr=False)
        self.se_block = Squeeze(out, _DET_GATE_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        x = self.in_conv(x)
        return x + self.se_block(x)


def _enlarged(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="nearest")


class _DetNeck(nn.Layer):
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


class _MapHead(nn.Layer):
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


class _DetHead(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.binarize = _MapHead()

    def forward(self, x: Tensor) -> Tensor:
        return self.binarize(x)


class DetNetwork(nn.Layer):
    """The student of `ch_PP-OCRv3_det`: float32 N×3×H×W to N×1×H×W, sides in multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _DetBackbone()
        self.neck = _DetNeck()
        self.head = _DetHead()

    def forward(self, x: Tensor) -> Tensor:
        """Runs the network."""
        return self.head(self.neck(self.backbone(x)))
