"""PP-OCRv3's text recognition without a guide, as its models of other languages are: `lp_PP-OCRv3_rec.yml`.

The backbone, neck and linear layer of PP-OCRv3's, under names of their own: the neck stands outside of the
head.
"""

from __future__ import annotations

from edge_lpr.architectures.heads import SequenceHead, SequenceNeck
from edge_lpr.architectures.kinds import register_recognizer
from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.necks import SVTR
from edge_lpr.architectures.tables.ppocrv3_rec import BACKBONE


def network(classes: int, training: bool) -> Network:
    """Recognition: N×3×48×W to N×W/8×classes."""
    neck = SequenceNeck(SVTR(512, 64, depth=2, hidden=120))
    return Network(BACKBONE, neck, SequenceHead(64, classes, training))


register_recognizer(
    "PP-OCRv3_rec_without_guide", "PP-OCRv3 without a guide", network, rank=4, head="head.fc.weight"
)
