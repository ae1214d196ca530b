"""A made-up recognizer, written as an engineer would add one: a block of its own, and a table."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lpr.architectures.backbones import DepthwiseSeparable, InvertedResidual
from edge_lpr.architectures.heads import CTCHead
from edge_lpr.architectures.layers import ConvNorm, Network, SqueezeExcite
from edge_lpr.architectures.necks import SVTR
from edge_lpr.architectures.registry import Architecture
from edge_lpr.architectures.spec import Block, Built, Chain, Children, Conv2d, Ops, Tensor


@dataclass(frozen=True)
class TwoPaths(Block):
    """A gated and a plain path, side by side, down to a height of 1."""

    channels: int
    blocks: tuple[Block, ...]

    def children(self) -> Children:
        yield "stem", ConvNorm(3, self.channels, 3, stride=2, act="relu")
        yield "body", Chain(self.blocks)
        yield "paths.0", SqueezeExcite(self.channels, slope=0.25)
        yield "paths.1", Conv2d(self.channels, self.channels, 3, stride=2, bias=True)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        x = m.body(m.stem(x))
        gated = ops.average_pool(m.paths[0](x), 2)
        plain = m.paths[1](ops.upsample(ops.average_pool(x, 2), 2))
        return ops.average_pool(ops.concat([gated, plain]), 3)


def network(classes: int, training: bool) -> Network:
    backbone = TwoPaths(
        16,
        (
            InvertedResidual(16, 32, 16, 3, 1, "hardswish"),
            DepthwiseSeparable(16, 16, 5, (2, 1), squeeze=True),
            DepthwiseSeparable(16, 16, 3, (2, 1)),
        ),
    )
    return Network(backbone, None, CTCHead(SVTR(32, 8, depth=1, hidden=16), 8, classes, training))


TINY = Architecture(
    name="tiny_rec",
    family="Tiny",
    part="rec",
    network=network,
    head="head.ctc_head.fc.weight",
    training_only=("head.extra.",),
    mean=(0.5, 0.4, 0.3),
    std=(0.5, 0.25, 0.125),
    stride=12,
    height=48,
)
