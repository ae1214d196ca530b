"""ResNet-vd, the backbone of the teachers that PP-OCRv2's and v3's detectors are distilled from."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lpr.architectures.layers import Activation, ConvNorm
from edge_lpr.architectures.spec import Block, Built, Children, Ops, Tensor

__all__ = ["ResNetVd"]

_WIDTHS = (64, 128, 256, 512)


def _conv(
    inside: int, out: int, kernel: int = 1, stride: int = 1, act: Activation | None = "relu"
) -> ConvNorm:
    return ConvNorm(inside, out, kernel, stride, act=act, names=("_conv", "_batch_norm"))


@dataclass(frozen=True)
class _Residual(Block):
    """Two layers, or three through a bottleneck, beside the input itself or what brings it to their shape."""

    inside: int
    width: int
    stride: int
    bottleneck: bool
    kept: bool

    @property
    def out(self) -> int:
        return self.width * 4 if self.bottleneck else self.width

    def children(self) -> Children:
        if self.bottleneck:
            yield "conv0", _conv(self.inside, self.width)
            yield "conv1", _conv(self.width, self.width, 3, self.stride)
            yield "conv2", _conv(self.width, self.out, act=None)
        else:
            yield "conv0", _conv(self.inside, self.width, 3, self.stride)
            yield "conv1", _conv(self.width, self.width, 3, act=None)
        if not self.kept:
            yield "short", _conv(self.inside, self.out, act=None)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        y = m.conv1(m.conv0(x))
        if self.bottleneck:
            y = m.conv2(y)
        if not self.kept:
            # Averaged first, where the others take every second pixel: ResNet-vd's variant "d".
            x = m.short(x if self.stride == 1 else ops.average_pool(x, self.stride))
        return ops.relu(x + y)


@dataclass(frozen=True)
class ResNetVd(Block):
    """Three convolutions, a maximum, four stages; out go the maps of all stages, the finest first.

    Attributes:
        depths: Blocks of each stage.
        bottleneck: Whether a block has three layers, of which the first and the last mix channels alone.
    """

    depths: tuple[int, int, int, int]
    bottleneck: bool

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the maps."""
        return tuple(width * 4 if self.bottleneck else width for width in _WIDTHS)

    def children(self) -> Children:
        """See `Block`."""
        yield "conv1_1", _conv(3, 32, 3, 2)
        yield "conv1_2", _conv(32, 32, 3)
        yield "conv1_3", _conv(32, 64, 3)
        inside = 64
        for stage, (depth, width) in enumerate(zip(self.depths, _WIDTHS, strict=True)):
            for i in range(depth):
                stride = 2 if stage and not i else 1
                block = _Residual(inside, width, stride, self.bottleneck, i > 0)
                yield f"bb_{stage}_{i}", block
                inside = block.out

    def forward(self, ops: Ops, m: Built, x: Tensor) -> list[Tensor]:
        """See `Block`."""
        x = ops.max_pool(m.conv1_3(m.conv1_2(m.conv1_1(x))), 3, 2)
        maps = []
        for stage, depth in enumerate(self.depths):
            for i in range(depth):
                x = getattr(m, f"bb_{stage}_{i}")(x)
            maps.append(x)
        return maps
