"""Necks: from a backbone's maps to what a head reads."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lpr.architectures.layers import ConvNorm, SqueezeExcite
from edge_lpr.architectures.spec import (
    BatchNorm,
    Block,
    Built,
    Chain,
    Children,
    Conv2d,
    LayerNorm,
    Linear,
    Ops,
    Tensor,
)

__all__ = ["DBFPN", "LKPAN", "RSEFPN", "SVTR", "GlobalMixing", "ResidualSqueeze"]


@dataclass(frozen=True)
class ResidualSqueeze(Block):
    """A convolution whose channels are amplified by squeeze-and-excitation.

    Attributes:
        inside: Channels in.
        out: Channels out.
        kernel: Side of the kernel.
    """

    inside: int
    out: int
    kernel: int

    def children(self) -> Children:
        """See `Block`."""
        yield "in_conv", Conv2d(self.inside, self.out, self.kernel)
        yield "se_block", SqueezeExcite(self.out, slope=0.2)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        x = m.in_conv(x)
        return x + m.se_block(x)


@dataclass(frozen=True)
class RSEFPN(Block):
    """Feature pyramid of residual squeeze-and-excitation layers; all levels end at the finest one's size.

    Attributes:
        inside: Channels of the maps that come in, each of half the size of the one before.
        out: Channels out: an equal share of each level.
    """

    inside: tuple[int, ...]
    out: int

    def children(self) -> Children:
        """See `Block`."""
        for i, channels in enumerate(self.inside):
            yield f"ins_conv.{i}", ResidualSqueeze(channels, self.out, 1)
            yield f"inp_conv.{i}", ResidualSqueeze(self.out, self.out // len(self.inside), 3)

    def forward(self, ops: Ops, m: Built, x: list[Tensor]) -> Tensor:
        """See `Block`."""
        levels = range(len(self.inside) - 1, -1, -1)  # from the coarsest down
        merged = _merged(ops, m, x)
        return ops.concat([_grown(ops, m.inp_conv[i](merged[i]), 2**i) for i in levels])


def _merged(ops: Ops, m: Built, x: list[Tensor]) -> dict[int, Tensor]:
    """Adds to each level what the coarser ones show, from the coarsest down."""
    merged: dict[int, Tensor] = {}
    for i in range(len(x) - 1, -1, -1):
        level = m.ins_conv[i](x[i])
        merged[i] = level + ops.upsample(merged[i + 1], 2) if i + 1 in merged else level
    return merged


def _grown(ops: Ops, x: Tensor, factor: int) -> Tensor:
    return ops.upsample(x, factor) if factor > 1 else x


@dataclass(frozen=True)
class DBFPN(Block):
    """Feature pyramid of plain convolutions, as PP-OCRv2's detectors have it.

    Attributes:
        inside: Channels of the four maps that come in, each of half the size of the one before.
        out: Channels out: a quarter of each level.
    """

    inside: tuple[int, ...]
    out: int

    def children(self) -> Children:
        """See `Block`."""
        for i, channels in enumerate(self.inside, 2):
            yield f"in{i}_conv", Conv2d(channels, self.out, 1)
        for i in reversed(range(2, len(self.inside) + 2)):
            yield f"p{i}_conv", Conv2d(self.out, self.out // 4, 3)

    def forward(self, ops: Ops, m: Built, x: list[Tensor]) -> Tensor:
        """See `Block`."""
        levels = range(len(self.inside) - 1, -1, -1)  # from the coarsest down
        merged: dict[int, Tensor] = {}
        for i in levels:
            level = getattr(m, f"in{i + 2}_conv")(x[i])
            merged[i] = level + ops.upsample(merged[i + 1], 2) if i + 1 in merged else level
        return ops.concat([_grown(ops, getattr(m, f"p{i + 2}_conv")(merged[i]), 2**i) for i in levels])


@dataclass(frozen=True)
class _IntraCL(Block):
    channels: int

    def children(self) -> Children:
        inner = self.channels // 2
        yield "conv1x1_reduce_channel", Conv2d(self.channels, inner, 1, bias=True)
        yield "conv1x1_return_channel", Conv2d(inner, self.channels, 1, bias=True)
        for side in (7, 5, 3):
            yield f"v_layer_{side}x1", Conv2d(inner, inner, (side, 1), bias=True)
        for side in (7, 5, 3):
            yield f"q_layer_1x{side}", Conv2d(inner, inner, (1, side), bias=True)
        for side in (7, 5, 3):
            yield f"c_layer_{side}x{side}", Conv2d(inner, inner, side, bias=True)
        yield "bn", BatchNorm(self.channels, "batch_norm2d")

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        y = m.conv1x1_reduce_channel(x)
        y = m.c_layer_7x7(y) + m.v_layer_7x1(y) + m.q_layer_1x7(y)
        y = m.c_layer_5x5(y) + m.v_layer_5x1(y) + m.q_layer_1x5(y)
        y = m.c_layer_3x3(y) + m.v_layer_3x1(y) + m.q_layer_1x3(y)
        return x + ops.relu(ops.conv_norm(m.conv1x1_return_channel, m.bn, y))


@dataclass(frozen=True)
class LKPAN(Block):
    """Path aggregation with kernels of 9×9: down from the coarsest map, and up again from the finest.

    Attributes:
        inside: Channels of the maps that come in, each of half the size of the one before.
        out: Channels out: an equal share of each level.
        intra: Whether each level ends in a block of long, narrow kernels.
    """

    inside: tuple[int, ...]
    out: int
    intra: bool

    def children(self) -> Children:
        """See `Block`."""
        share = self.out // len(self.inside)
        for i, channels in enumerate(self.inside):
            yield f"ins_conv.{i}", Conv2d(channels, self.out, 1)
            yield f"inp_conv.{i}", Conv2d(self.out, share, 9)
            if i:
                yield f"pan_head_conv.{i - 1}", Conv2d(share, share, 3, 2)
            yield f"pan_lat_conv.{i}", Conv2d(share, share, 9)
        for i in range(len(self.inside) if self.intra else 0):
            yield f"incl{i + 1}", _IntraCL(share)

    def forward(self, ops: Ops, m: Built, x: list[Tensor]) -> Tensor:
        """See `Block`."""
        levels = range(len(self.inside) - 1, -1, -1)  # from the coarsest down
        merged = _merged(ops, m, x)
        found: dict[int, Tensor] = {}
        for i in reversed(levels):
            level = m.inp_conv[i](merged[i])
            found[i] = level + m.pan_head_conv[i - 1](found[i - 1]) if i else level
        ends = {i: m.pan_lat_conv[i](found[i]) for i in levels}
        if self.intra:
            ends = {i: getattr(m, f"incl{i + 1}")(ends[i]) for i in levels}
        return ops.concat([_grown(ops, ends[i], 2**i) for i in levels])


@dataclass(frozen=True)
class _Attention(Block):
    size: int
    heads: int
    dropout: float

    def children(self) -> Children:
        yield "qkv", Linear(self.size, 3 * self.size)
        yield "proj", Linear(self.size, self.size)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        mixed = m.proj(ops.attention(m.qkv(x), self.heads, self.dropout, m.training))
        return ops.dropout(mixed, self.dropout, m.training)


@dataclass(frozen=True)
class _Mlp(Block):
    size: int
    dropout: float

    def children(self) -> Children:
        yield "fc1", Linear(self.size, 2 * self.size)
        yield "fc2", Linear(2 * self.size, self.size)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        x = ops.dropout(ops.swish(m.fc1(x)), self.dropout, m.training)
        return ops.dropout(m.fc2(x), self.dropout, m.training)


@dataclass(frozen=True)
class GlobalMixing(Block):
    """SVTR's block of a sequence (Du et al. 2022), normalised before its two parts.

    Attributes:
        size: Channels in and out.
        heads: Attention heads.
        dropout: Share that is dropped in training.
    """

    size: int
    heads: int
    dropout: float

    def children(self) -> Children:
        """See `Block`."""
        yield "norm1", LayerNorm(self.size)
        yield "mixer", _Attention(self.size, self.heads, self.dropout)
        yield "norm2", LayerNorm(self.size)
        yield "mlp", _Mlp(self.size, self.dropout)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        x = x + m.mixer(m.norm1(x))
        return x + m.mlp(m.norm2(x))


@dataclass(frozen=True)
class SVTR(Block):
    """Global mixing over the columns of a map of height 1, joined with what came in.

    PaddleOCR's `use_guide` lets no gradient through here to the backbone, since the attention branch brings
    one. Without that branch the gradient must flow; at inference it makes no difference.

    Attributes:
        inside: Channels in.
        out: Channels out.
        depth: Blocks of global mixing.
        hidden: Channels in them.
        kernel: Side of the first and the last but one convolution, or their height and width.
    """

    inside: int
    out: int
    depth: int
    hidden: int
    kernel: int | tuple[int, int] = 3

    def children(self) -> Children:
        """See `Block`."""
        reduced = self.inside // 8
        yield "conv1", _named(self.inside, reduced, self.kernel)
        yield "conv2", _named(reduced, self.hidden)
        yield "svtr_block", Chain((GlobalMixing(self.hidden, heads=8, dropout=0.1),) * self.depth)
        yield "norm", LayerNorm(self.hidden, epsilon=1e-6)
        yield "conv3", _named(self.hidden, self.inside)
        yield "conv4", _named(2 * self.inside, reduced, self.kernel)
        yield "conv1x1", _named(reduced, self.out)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        sequence = m.norm(m.svtr_block(ops.to_sequence(m.conv2(m.conv1(x)))))
        return m.conv1x1(m.conv4(ops.concat([x, m.conv3(ops.to_map(sequence))])))


def _named(inside: int, out: int, kernel: int | tuple[int, int] = 1) -> ConvNorm:
    """A convolution under the names that PaddleOCR gives its parts in SVTR."""
    return ConvNorm(inside, out, kernel, act="swish", names=("conv", "norm"), norm="batch_norm2d")
