"""Made-up networks: a recognizer, written as an engineer would add one, and detectors of the large blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from edge_lpr.architectures.backbones import DepthwiseSeparable, InvertedResidual
from edge_lpr.architectures.heads import CTCHead, DBHead, PFHeadLocal
from edge_lpr.architectures.hgnet import HGNet, HGStage, HGStem
from edge_lpr.architectures.layers import ConvNorm, Network, SqueezeExcite
from edge_lpr.architectures.necks import DBFPN, LKPAN, SVTR
from edge_lpr.architectures.registry import Architecture
from edge_lpr.architectures.resnet import ResNetVd
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


def _detector(name: str, network: Callable[[int, bool], Network]) -> Architecture:
    return replace(
        TINY,
        name=name,
        part="det",
        network=network,
        head="head.binarize.conv1.weight",
        training_only=("head.thresh.",),
        stride=32,
        height=None,
    )


def _server(second: bool) -> Callable[[int, bool], Network]:
    """PP-OCRv4's server detector in small, or PP-OCRv5's."""
    light = {"kernel": 5, "light": True} if second else {}
    backbone = HGNet(
        stem=HGStem(8, 8, 2) if second else (8, 8),
        stages=(
            HGStage(8, 4, 8, None, second, layers=2),
            HGStage(8, 4, 16, 2, second, blocks=2, layers=2, **light),  # type: ignore[arg-type]
            HGStage(16, 4, 16, 2, second, layers=2),
            HGStage(16, 4, 24, 2, second, layers=2),
        ),
        maps=True,
    )

    def network(_classes: int, training: bool) -> Network:
        neck = LKPAN((8, 16, 16, 24), 16, intra=second)
        return Network(backbone, neck, PFHeadLocal(16, training, middle=4))

    return network


def _teacher(_classes: int, training: bool) -> Network:
    backbone = ResNetVd((1, 2, 1, 1), bottleneck=True)
    return Network(backbone, DBFPN(backbone.channels, 16), DBHead(16, training, kernel=7))


TINY_DETECTORS = (
    _detector("tiny_v4_server_det", _server(second=False)),
    _detector("tiny_v5_server_det", _server(second=True)),
    _detector("tiny_teacher_det", _teacher),
)
