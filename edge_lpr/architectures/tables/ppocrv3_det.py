"""PP-OCRv3's text detection: the student of PaddleOCR's `configs/det/ch_PP-OCRv3/ch_PP-OCRv3_det_cml.yml`.

MobileNetV3-large ×0.5 without its gates, RSEFPN of 96 channels, DB head. The table is that of Howard et al.
(2019), table 1, with the channels halved and rounded to multiples of 8; a new stage begins with each stride
of 2 but the first.
"""

from __future__ import annotations

from edge_lpr.architectures.backbones import InvertedResidual as Block
from edge_lpr.architectures.backbones import MobileNetV3
from edge_lpr.architectures.heads import DBHead
from edge_lpr.architectures.kinds import register_detector
from edge_lpr.architectures.layers import ConvNorm, Network
from edge_lpr.architectures.necks import RSEFPN

BACKBONE = MobileNetV3(
    stem=ConvNorm(3, 8, 3, stride=2, act="hardswish"),
    stages=(
        # channels in, in between, out; kernel, stride, activation
        (
            Block(8, 8, 8, 3, 1, "relu"),
            Block(8, 32, 16, 3, 2, "relu"),
            Block(16, 40, 16, 3, 1, "relu"),
        ),
        (
            Block(16, 40, 24, 5, 2, "relu"),
            Block(24, 64, 24, 5, 1, "relu"),
            Block(24, 64, 24, 5, 1, "relu"),
        ),
        (
            Block(24, 120, 40, 3, 2, "hardswish"),
            Block(40, 104, 40, 3, 1, "hardswish"),
            Block(40, 96, 40, 3, 1, "hardswish"),
            Block(40, 96, 40, 3, 1, "hardswish"),
            Block(40, 240, 56, 3, 1, "hardswish"),
            Block(56, 336, 56, 3, 1, "hardswish"),
        ),
        (
            Block(56, 336, 80, 5, 2, "hardswish"),
            Block(80, 480, 80, 5, 1, "hardswish"),
            Block(80, 480, 80, 5, 1, "hardswish"),
            ConvNorm(80, 480, act="hardswish"),
        ),
    ),
)


def network(_classes: int, training: bool) -> Network:
    """Detection: maps of 1/4, 1/8, 1/16 and 1/32 to N×1×H×W."""
    return Network(BACKBONE, RSEFPN((16, 24, 56, 480), 96), DBHead(96, training))


register_detector("ch_PP-OCRv3_det", "PP-OCRv3", network, rank=0)
