"""PP-OCRv4's server text detection: `ch_PP-OCRv4_det_teacher.yml`.

PP-HGNet small, LKPAN of 256 channels with blocks of long, narrow kernels, PFHeadLocal in its large form.
"""

from __future__ import annotations

from edge_lpr.architectures.heads import PFHeadLocal
from edge_lpr.architectures.hgnet import HGNet, HGStage
from edge_lpr.architectures.kinds import register_detector
from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.necks import LKPAN

BACKBONE = HGNet(
    stem=(64, 64, 128),
    stages=(
        # channels in, of a block's layers, out; stride; generation
        HGStage(128, 128, 256, None, second=False),
        HGStage(256, 160, 512, 2, second=False),
        HGStage(512, 192, 768, 2, second=False, blocks=2),
        HGStage(768, 224, 1024, 2, second=False),
    ),
    maps=True,
)


def network(_classes: int, training: bool) -> Network:
    """Detection: maps of 1/4, 1/8, 1/16 and 1/32 to N×1×H×W."""
    neck = LKPAN((256, 512, 768, 1024), 256, intra=True)
    return Network(BACKBONE, neck, PFHeadLocal(256, training, middle=64))


register_detector("PP-OCRv4_server_det", "PP-OCRv4 server", network, rank=2)
