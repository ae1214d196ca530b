"""PP-LCNetV3, the mobile backbone of PP-OCRv4 and v5, and its layers that are trained as sums of branches."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lpr.architectures.layers import ConvNorm, SqueezeExcite
from edge_lpr.architectures.spec import (
    Affine,
    BatchNorm,
    Block,
    Built,
    Chain,
    Children,
    Conv2d,
    Ops,
    Tensor,
)

__all__ = ["BRANCHES", "FUSED", "LCNetV3", "LCNetV3Block", "RepConv"]

BRANCHES = 4
"""How many convolutions of the full kernel a layer is trained with."""
FUSED = "reparam_conv"
"""What PaddleOCR calls the one convolution that a layer's branches become in an inference model."""


@dataclass(frozen=True)
class RepConv(Block):
    """A convolution that is trained as a sum of several (Ding et al. 2021), an activation, and two factors.

    In the sum are four convolutions, one of a single pixel where the others have more, and the input itself
    where its shape is kept; each of them has a norm of its own.

    Attributes:
        inside: Channels in.
        out: Channels out.
        kernel: Side of the kernel.
        stride: Of both directions, or vertical and horizontal.
        groups: Of all convolutions.
    """

    inside: int
    out: int
    kernel: int
    stride: int | tuple[int, int] = 1
    groups: int = 1

    @property
    def keeps(self) -> bool:
        """Whether the input itself is in the sum."""
        return self.inside == self.out and self.stride == 1

    @property
    def activated(self) -> bool:
        """Whether the activation is computed; halving layers of PaddleOCR have one and go round it."""
        return self.stride != 2

    def children(self) -> Children:
        """See `Block`."""
        if self.keeps:
            yield "identity", BatchNorm(self.inside, "batch_norm2d")
        for i in range(BRANCHES):
            yield f"conv_kxk.{i}", self._branch(self.kernel)
        if self.kernel > 1:
            yield "conv_1x1", self._branch(1)
        yield "lab", Affine()
        yield "act", _ScaledActivation()

    def fused_children(self) -> Children:
        """See `Block`."""
        yield FUSED, Conv2d(self.inside, self.out, self.kernel, self.stride, self.groups, bias=True)
        yield "lab", Affine()
        if self.activated:
            yield "act", _ScaledActivation()

    def _branch(self, kernel: int) -> ConvNorm:
        return ConvNorm(
            self.inside, self.out, kernel, self.stride, self.groups, names=("conv", "bn"), norm="batch_norm2d"
        )

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        branches = [*m.conv_kxk, *([m.conv_1x1] if self.kernel > 1 else [])]
        x = ops.branches([(b.conv, b.bn) for b in branches], m.identity if self.keeps else None, x)
        x = m.lab(x)
        return m.act(x) if self.activated else x


@dataclass(frozen=True)
class _ScaledActivation(Block):
    def children(self) -> Children:
        yield "lab", Affine("whswish_b")

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        return m.lab(ops.hardswish(x))


@dataclass(frozen=True)
class LCNetV3Block(Block):
    """Convolves each channel by itself, then mixes the channels.

    Attributes:
        inside: Channels in.
        out: Channels out.
        kernel: Side of the depthwise kernel.
        stride: Of the depthwise convolution: of both directions, or vertical and horizontal.
        squeeze: Squeeze-and-excitation in between.
    """

    inside: int
    out: int
    kernel: int
    stride: int | tuple[int, int]
    squeeze: bool = False

    def children(self) -> Children:
        """See `Block`."""
        yield "dw_conv", RepConv(self.inside, self.inside, self.kernel, self.stride, self.inside)
        if self.squeeze:
            yield "se", SqueezeExcite(self.inside, slope=1 / 6)
        yield "pw_conv", RepConv(self.inside, self.out, 1)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        x = m.dw_conv(x)
        return m.pw_conv(m.se(x) if self.squeeze else x)


@dataclass(frozen=True)
class LCNetV3(Block):
    """PP-LCNetV3: a first convolution of stride 2, then five stages.

    For a recognizer the last map is averaged over 3×2 pixels, in training over all rows, which leaves a
    height of 1. For a detector the maps of the last four stages go out, the finest first, each with its
    channels mixed to fewer.

    Attributes:
        channels: Channels of the first convolution.
        stages: The blocks of each stage.
        maps: Channels of the maps that go out of a detector's; none for a recognizer's.
    """

    channels: int
    stages: tuple[tuple[LCNetV3Block, ...], ...]
    maps: tuple[int, ...] = ()

    def children(self) -> Children:
        """See `Block`."""
        yield "conv1", ConvNorm(3, self.channels, 3, 2, norm="batch_norm2d")
        for i, blocks in enumerate(self.stages, 2):
            yield f"blocks{i}", Chain(blocks)
        last = self.stages[len(self.stages) - len(self.maps) :]
        for i, (blocks, channels) in enumerate(zip(last, self.maps, strict=True)):
            yield f"layer_list.{i}", Conv2d(blocks[-1].out, channels, 1, bias=True)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        x = m.conv1(x)
        maps = []
        for i in range(len(self.stages)):
            x = getattr(m, f"blocks{i + 2}")(x)
            maps.append(x)
        if not self.maps:
            return ops.average_pool(x, (x.shape[2] if m.training else 3, 2))
        first = len(maps) - len(self.maps)
        return [m.layer_list[i](maps[first + i]) for i in range(len(self.maps))]
