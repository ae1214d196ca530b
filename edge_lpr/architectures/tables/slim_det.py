"""A detector for plates that takes a third of PP-OCRv3's time on a CPU, and learns from it.

Of PP-OCRv3's detector two thirds of the time are its neck and head, 96 channels at a quarter of the image's
size, and a sixth is what the backbone does at half the size. Both are other ones here; the stages behind are
PP-OCRv3's own, so that its weights for them are where a training starts. Channels are multiples of 16 where
maps are large, which is what runtimes pad them to.
"""

from __future__ import annotations

from edge_lpr.architectures.backbones import MobileNetV3
from edge_lpr.architectures.heads import DBHead
from edge_lpr.architectures.kinds import register_detector
from edge_lpr.architectures.layers import ConvNorm, Network
from edge_lpr.architectures.slim import TopDownFPN
from edge_lpr.architectures.tables import ppocrv3_det

BACKBONE = MobileNetV3(
    stem=ConvNorm(3, 16, 3, stride=2, act="hardswish"),
    stages=(
        (ConvNorm(16, 32, 3, stride=2, act="relu"), ConvNorm(32, 16)),
        *ppocrv3_det.BACKBONE.stages[1:],
    ),
)


def network(_classes: int, training: bool) -> Network:
    """Detection: maps of 1/4, 1/8, 1/16 and 1/32 to N×1×H×W."""
    neck = TopDownFPN((16, 24, 56, 480), (32, 32, 48, 96))
    return Network(BACKBONE, neck, DBHead(32, training, inner=16, last=8))


register_detector("slim_det", "slim", network, rank=2)
