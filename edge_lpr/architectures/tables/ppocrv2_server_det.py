"""ch_ppocr_server_v2.0's text detection, and the teacher of PP-OCRv2's: `ch_det_res18_db_v2.0.yml`.

ResNet-vd 18, a plain pyramid of 256 channels, DB head.
"""

from __future__ import annotations

from edge_lpr.architectures.heads import DBHead
from edge_lpr.architectures.kinds import register_detector
from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.necks import DBFPN
from edge_lpr.architectures.resnet import ResNetVd

BACKBONE = ResNetVd((2, 2, 2, 2), bottleneck=False)


def network(_classes: int, training: bool) -> Network:
    """Detection: maps of 1/4, 1/8, 1/16 and 1/32 to N×1×H×W."""
    return Network(BACKBONE, DBFPN(BACKBONE.channels, 256), DBHead(256, training))


register_detector("ch_ppocr_server_v2.0_det", "ppocr v2 server", network, rank=6)
