"""PP-OCRv5's server text recognition: `PP-OCRv5_server_rec.yml`, with its CTC branch.

PP-HGNetV2 B4, whose strides leave an eighth of the width; the neck and the head of the mobile network.
"""

from __future__ import annotations

from edge_lpr.architectures.heads import CTCHead
from edge_lpr.architectures.hgnet import HGNet, HGStage, HGStem
from edge_lpr.architectures.kinds import register_recognizer
from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.necks import SVTR

BACKBONE = HGNet(
    stem=HGStem(32, 48, stride=1),
    stages=(
        # channels in, of a block's layers, out; stride, vertical and horizontal; generation
        HGStage(48, 48, 128, (2, 1), second=True),
        HGStage(128, 96, 512, (1, 2), second=True),
        HGStage(512, 192, 1024, (2, 1), second=True, blocks=3, kernel=5, light=True),
        HGStage(1024, 384, 2048, (2, 1), second=True, kernel=5, light=True),
    ),
    maps=False,
)


def network(classes: int, training: bool) -> Network:
    """Recognition: N×3×48×W to N×W/8×classes."""
    neck = SVTR(2048, 120, depth=2, hidden=120, kernel=(1, 3))
    return Network(BACKBONE, None, CTCHead(neck, 120, classes, training))


# PP-HGNetV2 makes the end of a classifier, too, which nothing here reads.
register_recognizer(
    "PP-OCRv5_server_rec",
    "PP-OCRv5 server",
    network,
    rank=3,
    unused=("backbone.last_conv.", "backbone.fc."),
)
