"""Backbones: from an image to feature maps."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lpr.architectures.layers import Activation, ConvNorm, SqueezeExcite
from edge_lpr.architectures.spec import Block, Built, Chain, Children, Ops, Tensor

__all__ = ["DepthwiseSeparable", "InvertedResidual", "MobileNetV1Enhance", "MobileNetV3"]


@dataclass(frozen=True)
class InvertedResidual(Block):
    """Widens, convolves each channel by itself, narrows (Sandler et al. 2018; Howard et al. 2019).

    Attributes:
        inside: Channels in.
        expanded: Channels in between.
        out: Channels out; where they are those that came in and the stride is 1, the input is added.
        kernel: Side of the depthwise kernel.
        stride: Of the depthwise convolution.
        act: Activation in between.
    """

    inside: int
    expanded: int
    out: int
    kernel: int
    stride: int
    act: Activation

    def children(self) -> Children:
        """See `Block`."""
        wide = self.expanded
        yield "expand_conv", ConvNorm(self.inside, wide, act=self.act)
        yield "bottleneck_conv", ConvNorm(wide, wide, self.kernel, self.stride, groups=wide, act=self.act)
        yield "linear_conv", ConvNorm(wide, self.out)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        y = m.linear_conv(m.bottleneck_conv(m.expand_conv(x)))
        return x + y if self.stride == 1 and self.inside == self.out else y


@dataclass(frozen=True)
class MobileNetV3(Block):
    """A first convolution, then stages; out goes the map of every stage, the finest first.

    Attributes:
        stem: The first convolution.
        stages: The blocks of each stage.
    """

    stem: Block
    stages: tuple[tuple[Block, ...], ...]

    def children(self) -> Children:
        """See `Block`."""
        yield "conv", self.stem
        for i, blocks in enumerate(self.stages):
            yield f"stage{i}", Chain(blocks)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> list[Tensor]:
        """See `Block`."""
        x = m.conv(x)
        maps = []
        for i in range(len(self.stages)):
            x = getattr(m, f"stage{i}")(x)
            maps.append(x)
        return maps


@dataclass(frozen=True)
class DepthwiseSeparable(Block):
    """Convolves each channel by itself, then mixes the channels (Howard et al. 2017).

    Attributes:
        inside: Channels in.
        out: Channels out.
        kernel: Side of the depthwise kernel.
        stride: Vertical and horizontal, of the depthwise convolution.
        squeeze: Squeeze-and-excitation in between.
    """

    inside: int
    out: int
    kernel: int
    stride: tuple[int, int]
    squeeze: bool = False

    def children(self) -> Children:
        """See `Block`."""
        yield "_depthwise_conv", _named(self.inside, self.inside, self.kernel, self.stride, self.inside)
        if self.squeeze:
            yield "_se", SqueezeExcite(self.inside, slope=1 / 6)
        yield "_pointwise_conv", _named(self.inside, self.out)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        x = m._depthwise_conv(x)
        return m._pointwise_conv(m._se(x) if self.squeeze else x)


@dataclass(frozen=True)
class MobileNetV1Enhance(Block):
    """PP-LCNet's forerunner: a first convolution, blocks, and a mean over 2×2 pixels.

    Attributes:
        channels: Channels of the first convolution.
        blocks: What follows; strides of (2, 1) keep the width, which becomes time.
    """

    channels: int
    blocks: tuple[Block, ...]

    def children(self) -> Children:
        """See `Block`."""
        yield "conv1", _named(3, self.channels, 3, 2)
        yield "block_list", Chain(self.blocks)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        return ops.average_pool(m.block_list(m.conv1(x)), 2)


def _named(
    inside: int, out: int, kernel: int = 1, stride: int | tuple[int, int] = 1, groups: int = 1
) -> ConvNorm:
    """A convolution under the names that PaddleOCR gives its parts in MobileNetV1Enhance."""
    return ConvNorm(inside, out, kernel, stride, groups, "hardswish", ("_conv", "_batch_norm"))
