"""PP-OCRv3's text recognition: PaddleOCR's `configs/rec/PP-OCRv3/ch_PP-OCRv3_rec.yml`, with its CTC branch.

MobileNetV1Enhance ×0.5, whose `last_conv_stride: [1, 2]` is the stride of the last block; a neck of two SVTR
blocks with 120 channels; a CTC head. The attention branch, which guides PaddleOCR's training, is left out.
"""

from __future__ import annotations

from edge_lpr.architectures.backbones import DepthwiseSeparable as Block
from edge_lpr.architectures.backbones import MobileNetV1Enhance
from edge_lpr.architectures.heads import CTCHead
from edge_lpr.architectures.kinds import register_recognizer
from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.necks import SVTR

BACKBONE = MobileNetV1Enhance(
    channels=16,
    blocks=(
        # channels in and out, kernel, stride (vertical, horizontal)
        Block(16, 32, 3, (1, 1)),
        Block(32, 64, 3, (1, 1)),
        Block(64, 64, 3, (1, 1)),
        Block(64, 128, 3, (2, 1)),
        Block(128, 128, 3, (1, 1)),
        Block(128, 256, 3, (2, 1)),
        Block(256, 256, 5, (1, 1)),
        Block(256, 256, 5, (1, 1)),
        Block(256, 256, 5, (1, 1)),
        Block(256, 256, 5, (1, 1)),
        Block(256, 256, 5, (1, 1)),
        Block(256, 512, 5, (2, 1), squeeze=True),
        Block(512, 512, 5, (1, 2), squeeze=True),
    ),
)


def network(classes: int, training: bool) -> Network:
    """Recognition: N×3×48×W to N×W/8×classes."""
    neck = SVTR(512, 64, depth=2, hidden=120)
    return Network(BACKBONE, None, CTCHead(neck, 64, classes, training))


register_recognizer("ch_PP-OCRv3_rec", "PP-OCRv3", network, rank=0)
