"""PP-OCRv3's recognition in Paddle, its parameters named as PaddleOCR names them.

Attribute names are PaddleOCR's, because Paddle makes a parameter's name of them; the sizes are those of
`architecture`. Only what inference needs is here: no attention head.
"""

from __future__ import annotations

import paddle
from paddle import nn
from paddle.nn import functional as F

from edge_lpr.architectures.paddle_layers import Squeeze, Tensor
from edge_lpr.architectures.parameters import (
    REC_BACKBONE,
    REC_BLOCKS,
    REC_DEPTH,
    REC_DIMS,
    REC_HEADS,
    REC_HIDDEN,
    REC_STEM,
    RecBlock,
)

__all__ = ["RecNetwork"]

_REC_GATE_SLOPE = 1.0 / 6.0


class _RecConv(nn.Layer):
    def __init__(
        self, inside: int, out: int, kernel: int, stride: int | tuple[int, int] = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self._conv = nn.Conv2D(inside, out, kernel, stride, kernel // 2, groups=groups, bias_attr=False)
        self._batch_norm = nn.BatchNorm2D(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.hardswish(self._batch_norm(self._conv(x)))


class _RecUnit(nn.Layer):
    def __init__(self, block: RecBlock) -> None:
        super().__init__()
        channels = block.channels
        self._depthwise_conv = _RecConv(channels, channels, block.kernel, block.stride, channels)
        self._se = Squeeze(channels, _REC_GATE_SLOPE) if block.squeeze else None
        self._pointwise_conv = _RecConv(channels, block.out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self._depthwise_conv(x)
        if self._se is not None:
            x = self._se(x)
        return self._pointwise_conv(x)


class _RecBackbone(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _RecConv(3, REC_STEM, 3, 2)
        self.block_list = nn.Sequential(*(_RecUnit(b) for b in REC_BLOCKS))

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.block_list(self.conv1(x)), 2, 2)


class _NeckConv(nn.Layer):
    def __init__(self, inside: int, out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2D(inside, out, kernel, padding=kernel // 2, bias_attr=False)
        self.norm = nn.BatchNorm2D(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.swish(self.norm(self.conv(x)))


class _Attention(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(REC_HIDDEN, 3 * REC_HIDDEN)
        self.proj = nn.Linear(REC_HIDDEN, REC_HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        width = REC_HIDDEN // REC_HEADS
        qkv = self.qkv(x).reshape((0, -1, 3, REC_HEADS, width)).transpose((2, 0, 3, 1, 4))
        weights = F.softmax((qkv[0] * width**-0.5).matmul(qkv[1].transpose((0, 1, 3, 2))), axis=-1)
        return self.proj(weights.matmul(qkv[2]).transpose((0, 2, 1, 3)).reshape((0, -1, REC_HIDDEN)))


class _Mlp(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(REC_HIDDEN, 2 * REC_HIDDEN)
        self.fc2 = nn.Linear(2 * REC_HIDDEN, REC_HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.swish(self.fc1(x)))


class _NeckBlock(nn.Layer):
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


class _Neck(nn.Layer):
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


class _CtcEncoder(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = _Neck()

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x).squeeze(2).transpose((0, 2, 1))


class _CtcHead(nn.Layer):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(REC_DIMS, classes)

    def forward(self, x: Tensor) -> Tensor:
        return F.softmax(self.fc(x), axis=2)


class _RecHead(nn.Layer):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.ctc_encoder = _CtcEncoder()
        self.ctc_head = _CtcHead(classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.ctc_head(self.ctc_encoder(x))


class RecNetwork(nn.Layer):
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
