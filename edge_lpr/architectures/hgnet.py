"""PP-HGNet and PP-HGNetV2, the backbones of PP-OCRv4's and v5's server models."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lpr.architectures.layers import Activation, ConvNorm
from edge_lpr.architectures.spec import Block, Built, Chain, Children, Conv2d, Ops, Tensor

__all__ = ["HGNet", "HGStage", "HGStem"]

Stride = int | tuple[int, int]


def _conv(
    inside: int,
    out: int,
    kernel: int = 1,
    stride: Stride = 1,
    groups: int = 1,
    act: Activation | None = "relu",
) -> ConvNorm:
    return ConvNorm(inside, out, kernel, stride, groups, act, norm="batch_norm2d")


@dataclass(frozen=True)
class _Attention(Block):
    channels: int

    def children(self) -> Children:
        yield "conv", Conv2d(self.channels, self.channels, 1, bias=True)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        return x * ops.sigmoid(m.conv(ops.global_average(x)))


@dataclass(frozen=True)
class _LightConv(Block):
    inside: int
    out: int
    kernel: int

    def children(self) -> Children:
        yield "conv1", _conv(self.inside, self.out, act=None)
        yield "conv2", _conv(self.out, self.out, self.kernel, groups=self.out)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        return m.conv2(m.conv1(x))


@dataclass(frozen=True)
class _HGBlock(Block):
    """Layers that follow each other; what each returns is joined, and its channels are mixed."""

    inside: int
    middle: int
    out: int
    layers: int
    kernel: int
    light: bool
    second: bool
    residual: bool

    def children(self) -> Children:
        for i in range(self.layers):
            inside = self.middle if i else self.inside
            kind = _LightConv if self.light else _conv
            yield f"layers.{i}", kind(inside, self.middle, self.kernel)
        total = self.inside + self.layers * self.middle
        if self.second:
            yield "aggregation_squeeze_conv", _conv(total, self.out // 2)
            yield "aggregation_excitation_conv", _conv(self.out // 2, self.out)
        else:
            yield "aggregation_conv", _conv(total, self.out)
            yield "att", _Attention(self.out)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        seen = [x]
        for i in range(self.layers):
            seen.append(m.layers[i](seen[-1]))
        y = ops.concat(seen)
        if self.second:
            y = m.aggregation_excitation_conv(m.aggregation_squeeze_conv(y))
        else:
            y = m.att(m.aggregation_conv(y))
        return y + x if self.residual else y


@dataclass(frozen=True)
class HGStage(Block):
    """Halves the map where it has a stride, then runs its blocks.

    Attributes:
        inside: Channels in.
        middle: Channels of the layers in a block.
        out: Channels out.
        stride: Of the depthwise convolution before the blocks; None for none.
        second: Whether it is of the second generation: two mixing layers in place of one and a gate.
        blocks: How many blocks.
        kernel: Side of the layers' kernels.
        light: Whether a layer mixes the channels first, and then convolves each by itself.
        layers: Layers in a block.
    """

    inside: int
    middle: int
    out: int
    stride: Stride | None
    second: bool
    blocks: int = 1
    kernel: int = 3
    light: bool = False
    layers: int = 6

    def children(self) -> Children:
        """See `Block`."""
        if self.stride is not None:
            yield "downsample", _conv(self.inside, self.inside, 3, self.stride, self.inside, None)
        yield "blocks", Chain(tuple(self._block(i) for i in range(self.blocks)))

    def _block(self, i: int) -> _HGBlock:
        inside = self.out if i else self.inside
        return _HGBlock(
            inside, self.middle, self.out, self.layers, self.kernel, self.light, self.second, i > 0
        )

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        return m.blocks(x if self.stride is None else m.downsample(x))


@dataclass(frozen=True)
class HGStem(Block):
    """The second generation's start: a path of small kernels beside a maximum, joined.

    Attributes:
        middle: Channels in between.
        out: Channels out.
        stride: Of the convolution after the two are joined.
    """

    middle: int
    out: int
    stride: int

    def children(self) -> Children:
        """See `Block`."""
        half = self.middle // 2
        yield "stem1", _conv(3, self.middle, 3, 2)
        yield "stem2a", _conv(self.middle, half, 2)
        yield "stem2b", _conv(half, self.middle, 2)
        yield "stem3", _conv(2 * self.middle, self.middle, 3, self.stride)
        yield "stem4", _conv(self.middle, self.out)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        x = m.stem1(x)
        path = m.stem2b(m.stem2a(x))
        return m.stem4(m.stem3(ops.concat([ops.max_pool(x, 2, 1), path])))


@dataclass(frozen=True)
class HGNet(Block):
    """Four stages after a start.

    For a recognizer the last map is averaged over 3×2 pixels, in training over all rows, which leaves a
    height of 1; for a detector the maps of all stages go out, the finest first.

    Attributes:
        stem: Channels of the first generation's convolutions, or the second one's start.
        stages: The stages.
        maps: Whether it is a detector's.
    """

    stem: tuple[int, ...] | HGStem
    stages: tuple[HGStage, ...]
    maps: bool

    def children(self) -> Children:
        """See `Block`."""
        if isinstance(self.stem, HGStem):
            yield "stem", self.stem
        else:
            inside = (3, *self.stem)
            convs = (_conv(inside[i], out, 3, 1 if i else 2) for i, out in enumerate(self.stem))
            yield "stem", Chain(tuple(convs))
        for i, stage in enumerate(self.stages):
            yield f"stages.{i}", stage

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        x = m.stem(x)
        if self.maps and not isinstance(self.stem, HGStem):
            x = ops.max_pool(x, 3, 2)
        found = []
        for i in range(len(self.stages)):
            x = m.stages[i](x)
            found.append(x)
        return found if self.maps else ops.average_pool(x, (x.shape[2] if m.training else 3, 2))
