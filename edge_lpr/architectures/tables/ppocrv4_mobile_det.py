"""PP-OCRv4's and v5's mobile text detection: `ch_PP-OCRv4_det_student.yml` and `PP-OCRv5_mobile_det.yml`.

The two are one network: PP-LCNetV3 ×0.75, its channels rounded to multiples of 16; RSEFPN of 96 channels, DB
head.
"""

from __future__ import annotations

from edge_lpr.architectures.heads import DBHead
from edge_lpr.architectures.kinds import register_detector
from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.lcnet import LCNetV3
from edge_lpr.architectures.lcnet import LCNetV3Block as Block
from edge_lpr.architectures.necks import RSEFPN

MAPS = (12, 18, 42, 360)
BACKBONE = LCNetV3(
    channels=16,
    stages=(
        # channels in and out, kernel, stride
        (Block(16, 32, 3, 1),),
        (Block(32, 48, 3, 2), Block(48, 48, 3, 1)),
        (Block(48, 96, 3, 2), Block(96, 96, 3, 1)),
        (
            Block(96, 192, 3, 2),
            Block(192, 192, 5, 1),
            Block(192, 192, 5, 1),
            Block(192, 192, 5, 1),
            Block(192, 192, 5, 1),
        ),
        (
            Block(192, 384, 5, 2, squeeze=True),
            Block(384, 384, 5, 1, squeeze=True),
            Block(384, 384, 5, 1),
            Block(384, 384, 5, 1),
        ),
    ),
    maps=MAPS,
)


def network(_classes: int, training: bool) -> Network:
    """Detection: maps of 1/4, 1/8, 1/16 and 1/32 to N×1×H×W."""
    return Network(BACKBONE, RSEFPN(MAPS, 96), DBHead(96, training))


register_detector("PP-OCRv4_mobile_det", "PP-OCRv4/v5 mobile", network, rank=1)
