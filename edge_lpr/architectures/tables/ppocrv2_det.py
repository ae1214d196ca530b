"""PP-OCRv2's text detection, and ch_ppocr_mobile_v2.0's: the student of `ch_PP-OCRv2_det_cml.yml`.

The backbone of PP-OCRv3's, a plain pyramid of 96 channels, DB head.
"""

from __future__ import annotations

from edge_lpr.architectures.heads import DBHead
from edge_lpr.architectures.kinds import register_detector
from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.necks import DBFPN
from edge_lpr.architectures.tables.ppocrv3_det import BACKBONE


def network(_classes: int, training: bool) -> Network:
    """Detection: maps of 1/4, 1/8, 1/16 and 1/32 to N×1×H×W."""
    return Network(BACKBONE, DBFPN((16, 24, 56, 480), 96), DBHead(96, training))


register_detector("ch_PP-OCRv2_det", "PP-OCRv2", network, rank=5)
