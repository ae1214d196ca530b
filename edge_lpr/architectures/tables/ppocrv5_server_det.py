"""PP-OCRv5's server text detection: `PP-OCRv5_server_det.yml`.

PP-HGNetV2 B4; neck and head of PP-OCRv4's server network.
"""

from __future__ import annotations

from edge_lpr.architectures.heads import PFHeadLocal
from edge_lpr.architectures.hgnet import HGNet, HGStage, HGStem
from edge_lpr.architectures.kinds import register_detector
from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.necks import LKPAN

BACKBONE = HGNet(
    stem=HGStem(32, 48, stride=2),
    stages=(
        # channels in, of a block's layers, out; stride; generation
        HGStage(48, 48, 128, None, second=True),
        HGStage(128, 96, 512, 2, second=True),
        HGStage(512, 192, 1024, 2, second=True, blocks=3, kernel=5, light=True),
        HGStage(1024, 384, 2048, 2, second=True, kernel=5, light=True),
    ),
    maps=True,
)


def network(_classes: int, training: bool) -> Network:
    """Detection: maps of 1/4, 1/8, 1/16 and 1/32 to N×1×H×W."""
    neck = LKPAN((128, 512, 1024, 2048), 256, intra=True)
    return Network(BACKBONE, neck, PFHeadLocal(256, training, middle=64))


# PP-HGNetV2 makes the end of a classifier, too, which nothing here reads.
register_detector("PP-OCRv5_server_det", "PP-OCRv5 server", network, rank=3, unused=("backbone.last_conv.",))
