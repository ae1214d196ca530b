"""PP-OCRv4's and v5's mobile text recognition: `ch_PP-OCRv4_rec.yml` and `PP-OCRv5_mobile_rec.yml`.

The two are one network with other dictionaries: PP-LCNetV3 ×0.95, its channels rounded to multiples of 16; a
neck of two SVTR blocks with 120 channels, its kernels one pixel high; a CTC head. The attention branch, which
guides PaddleOCR's training, is left out.
"""

from __future__ import annotations

from edge_lpr.architectures.heads import CTCHead
from edge_lpr.architectures.kinds import register_recognizer
from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.lcnet import LCNetV3
from edge_lpr.architectures.lcnet import LCNetV3Block as Block
from edge_lpr.architectures.necks import SVTR

BACKBONE = LCNetV3(
    channels=16,
    stages=(
        # channels in and out, kernel, stride: of both directions, or vertical and horizontal
        (Block(16, 32, 3, 1),),
        (Block(32, 64, 3, 1), Block(64, 64, 3, 1)),
        (Block(64, 128, 3, (2, 1)), Block(128, 128, 3, 1)),
        (
            Block(128, 240, 3, (1, 2)),
            Block(240, 240, 5, 1),
            Block(240, 240, 5, 1),
            Block(240, 240, 5, 1),
            Block(240, 240, 5, 1),
        ),
        (
            Block(240, 480, 5, (2, 1), squeeze=True),
            Block(480, 480, 5, 1, squeeze=True),
            Block(480, 480, 5, (2, 1)),
            Block(480, 480, 5, 1),
        ),
    ),
)


def network(classes: int, training: bool) -> Network:
    """Recognition: N×3×48×W to N×W/8×classes."""
    neck = SVTR(480, 120, depth=2, hidden=120, kernel=(1, 3))
    return Network(BACKBONE, None, CTCHead(neck, 120, classes, training))


register_recognizer("PP-OCRv4_mobile_rec", "PP-OCRv4/v5 mobile", network, rank=1)
