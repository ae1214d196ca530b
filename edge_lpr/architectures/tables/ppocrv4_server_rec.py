"""PP-OCRv4's server text recognition: `ch_PP-OCRv4_rec_hgnet.yml`, with its CTC branch.

PP-HGNet small, whose strides leave an eighth of the width; the neck and the head of the mobile network.
"""

from __future__ import annotations

from edge_lpr.architectures.heads import CTCHead
from edge_lpr.architectures.hgnet import HGNet, HGStage
from edge_lpr.architectures.kinds import register_recognizer
from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.necks import SVTR

BACKBONE = HGNet(
    stem=(64, 64, 128),
    stages=(
        # channels in, of a block's layers, out; stride, vertical and horizontal; generation
        HGStage(128, 128, 256, (2, 1), second=False),
        HGStage(256, 160, 512, (1, 2), second=False),
        HGStage(512, 192, 768, (2, 1), second=False, blocks=2),
        HGStage(768, 224, 1024, (2, 1), second=False),
    ),
    maps=False,
)


def network(classes: int, training: bool) -> Network:
    """Recognition: N×3×48×W to N×W/8×classes."""
    neck = SVTR(1024, 120, depth=2, hidden=120, kernel=(1, 3))
    return Network(BACKBONE, None, CTCHead(neck, 120, classes, training))


register_recognizer("PP-OCRv4_server_rec", "PP-OCRv4 server", network, rank=2)
