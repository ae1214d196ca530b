"""The teacher that PP-OCRv3's and v4's detectors are distilled from: `ch_PP-OCRv3_det_cml.yml`, its Teacher.

ResNet-vd 50, LKPAN of 256 channels, a DB head whose branches begin with kernels of 7×7.
"""

from __future__ import annotations

from edge_lpr.architectures.heads import DBHead
from edge_lpr.architectures.kinds import register_detector
from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.necks import LKPAN
from edge_lpr.architectures.resnet import ResNetVd

BACKBONE = ResNetVd((3, 4, 6, 3), bottleneck=True)


def network(_classes: int, training: bool) -> Network:
    """Detection: maps of 1/4, 1/8, 1/16 and 1/32 to N×1×H×W."""
    return Network(BACKBONE, LKPAN(BACKBONE.channels, 256, intra=False), DBHead(256, training, kernel=7))


register_detector("ch_PP-OCRv3_det_teacher", "PP-OCRv3 teacher", network, rank=4)
