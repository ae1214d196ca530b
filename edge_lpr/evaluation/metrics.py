"""Accuracy of detection, recognition and the whole pipeline, by PaddleOCR's definitions and exactly.

- `DetScore` counts as PaddleOCR's ``DetMetric`` does (``ppocr/metrics/eval_det_iou.py``, IoU > 0.5). In their
  order, labels take the first free box that overlaps them enough, not the best one; labels and boxes whose
  corners cross count neither way.
- `RecScore` counts as its ``RecMetric`` does (``ppocr/metrics/rec_metric.py``) by default: without blanks.
- `EndToEndScore` pairs as its ``tools/end2end/eval_end2end.py`` does (IoU ≥ 0.5, pairs taken in falling
  order of IoU). Its recall, precision and F are the script's where all labels have corners, and also hold for
  images whose labels have none: there a plate is found when its text is.

Different on purpose: where nothing was to be found and nothing was, F and hmean are 1, there 0; and what is
counted of texts is divided by the number of plates, there by 1e-5 more.

`undefined` of a score names the metrics that nothing was counted for; their value, 0, says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from edge_lpr.datasets.labels import LabelledPlate
from edge_lpr.geometry import (
    area_and_perimeter,
    convex_parts,
    iou_matrix,
    is_simple,
    overlap_area,
    side_lengths,
)
from edge_lpr.types import Quad

IOU = 0.5


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def f_measure(right: int, found: int, labelled: int) -> float:
    """Harmonic mean of precision and recall, 0 to 1; 1 where nothing was to be found or was."""
    return 2 * right / (found + labelled) if found or labelled else 1.0


def _groundless(**grounds: float) -> frozenset[str]:
    """Returns the names of the metrics whose counts are 0."""
    return frozenset(name for name, ground in grounds.items() if not ground)


def countable(plate: LabelledPlate) -> bool:
    """Tells whether `DetScore` counts a labelled plate: it is not marked, and its corners do not cross."""
    return not plate.ignored and plate.corners is not None and is_simple(plate.corners)


@dataclass
class DetScore:
    """Counts of ``DetMetric``; add images with `add`.

    Attributes:
        labelled: Labelled plates that count.
        found: Boxes that count.
        matched: Plates that have a box.
        crossed: Labels that do not count because their corners cross.
        corner_distance: Sum of the distances of found plates' corners, as shares of the plates' heights.
    """

    labelled: int = 0
    found: int = 0
    matched: int = 0
    crossed: int = 0
    corner_distance: float = 0.0

    def add(self, plates: Sequence[LabelledPlate], boxes: Sequence[Quad]) -> int:
        """Counts one image whose labels all have corners.

        A box that lies by more than half in a label that is not to count is not counted.

        Returns:
            How many of its plates were found.
        """
        marked = [p.corners for p in plates if p.ignored and p.corners is not None and is_simple(p.corners)]
        truths = [p.corners for p in plates if countable(p) and p.corners is not None]
        kept = [b for b in boxes if is_simple(b) and not any(_share_inside(b, m) > IOU for m in marked)]
        taken: set[int] = set()
        for truth in truths:
            for j, box in enumerate(kept):
                if j not in taken and _iou(truth, box) > IOU:
                    taken.add(j)
                    self.corner_distance += _corner_distance(truth, box)
                    break
        self.labelled += len(truths)
        self.crossed += sum(not p.ignored and not countable(p) for p in plates)
        self.found += len(kept)
        self.matched += len(taken)
        return len(taken)

    @property
    def precision(self) -> float:
        """Share of the boxes that are plates, 0 to 1."""
        return _ratio(self.matched, self.found)

    @property
    def recall(self) -> float:
        """Share of the plates that have a box, 0 to 1."""
        return _ratio(self.matched, self.labelled)

    @property
    def hmean(self) -> float:
        """Harmonic mean of precision and recall, 0 to 1."""
        return f_measure(self.matched, self.found, self.labelled)

    @property
    def corner_err(self) -> float:
        """Mean distance of found plates' corners from their labels, as a share of the plate's height."""
        return _ratio(self.corner_distance, self.matched)

    def undefined(self) -> frozenset[str]:
        """Returns the names of the metrics that nothing was counted for."""
        return _groundless(
            precision=self.found + self.labelled, recall=self.labelled, corner_err=self.matched
        )


def _corner_distance(truth: Quad, box: Quad) -> float:
    _, right, _, left = side_lengths(truth)
    away = float(np.linalg.norm(box - truth, axis=1).mean())
    return _ratio(2 * away, float(right + left))


def _shared(first: Quad, second: Quad) -> float:
    """Returns the area that two simple quadrilaterals have in common, as they are, not their hulls."""
    return sum(overlap_area(a, b) for a in convex_parts(first) for b in convex_parts(second))


def _iou(first: Quad, second: Quad) -> float:
    shared = _shared(first, second)
    return _ratio(shared, area_and_perimeter(first)[0] + area_and_perimeter(second)[0] - shared)


def _share_inside(box: Quad, region: Quad) -> float:
    return _ratio(_shared(box, region), area_and_perimeter(box)[0])


@dataclass
class RecScore:
    """Counts of ``RecMetric``; add plates with `add`."""

    plates: int = 0
    exact: int = 0
    distance: float = 0.0

    def add(self, truth: str, text: str) -> bool:
        """Counts one plate; `text` is empty where nothing was read. Returns whether it was read exactly."""
        truth, text = truth.replace(" ", ""), text.replace(" ", "")
        self.plates += 1
        self.exact += truth == text
        self.distance += Levenshtein.distance(truth, text) / max(len(truth), len(text), 1)
        return truth == text

    @property
    def acc(self) -> float:
        """Share of the plates whose whole text is right, 0 to 1."""
        return _ratio(self.exact, self.plates)

    @property
    def norm_edit_dis(self) -> float:
        """One minus the mean of edit distance by the longer text's length, 0 to 1."""
        return 1 - self.distance / self.plates if self.plates else 0.0

    def undefined(self) -> frozenset[str]:
        """Returns the names of the metrics that nothing was counted for."""
        return _groundless(acc=self.plates, norm_edit_dis=self.plates)


@dataclass
class EndToEndScore:
    """Counts of plates read exactly, and of characters; add images with `add`.

    Attributes:
        labelled: Labelled plates.
        reported: Plates that were reported.
        hits: Labelled plates with a report of the same text at IoU ≥ 0.5 (of the same text where the label
            has no corners).
        text_hits: The same by text alone: what the asked overlap costs is the difference to `hits`.
        edits, characters: The script's counts, over images whose labels all have corners (images without
            plates among them).
    """

    labelled: int = 0
    reported: int = 0
    hits: int = 0
    text_hits: int = 0
    edits: int = 0
    characters: int = 0

    def add(self, plates: Sequence[LabelledPlate], reads: Sequence[tuple[str, Quad]]) -> bool:
        """Counts one image.

        Args:
            plates: Its labels.
            reads: Text and corners (float32 4×2) of each reported plate.

        Returns:
            Whether every plate was read and nothing else was reported.
        """
        counted = [p for p in plates if not p.ignored]
        if all(p.corners is not None for p in plates):
            hits, reported = self._add_located(plates, reads)
        else:
            hits = _text_hits(counted, reads)
            # Where a plate that is not to be counted lies is not known: any read may be of it.
            reported = max(hits, len(reads) - (len(plates) - len(counted)))
        self.labelled += len(counted)
        self.reported += reported
        self.hits += hits
        self.text_hits += _text_hits(counted, reads)
        return hits == len(counted) == reported

    def _add_located(
        self, plates: Sequence[LabelledPlate], reads: Sequence[tuple[str, Quad]]
    ) -> tuple[int, int]:
        overlap = iou_matrix([p.corners for p in plates if p.corners is not None], [c for _, c in reads])
        order = np.argsort(-overlap, axis=None, kind="stable")
        pairs: dict[int, int] = {}
        for flat in order.tolist():
            i, j = divmod(flat, overlap.shape[1])
            if overlap[i, j] < IOU:
                break
            if i not in pairs and j not in pairs.values():
                pairs[i] = j
        hits = 0
        reported = len(reads)
        for i, plate in enumerate(plates):
            text = reads[pairs[i]][0] if i in pairs else ""
            if plate.ignored:
                reported -= i in pairs
                continue
            hits += i in pairs and text == plate.text
            self.edits += Levenshtein.distance(plate.text, text)
            self.characters += len(plate.text)
        self.edits += sum(len(text) for j, (text, _) in enumerate(reads) if j not in pairs.values())
        return hits, reported

    @property
    def recall(self) -> float:
        """Share of the labelled plates that were read exactly, 0 to 1."""
        return _ratio(self.hits, self.labelled)

    @property
    def precision(self) -> float:
        """Share of the reported plates that are right, 0 to 1."""
        return _ratio(self.hits, self.reported)

    @property
    def text_recall(self) -> float:
        """`recall` by text alone, 0 to 1."""
        return _ratio(self.text_hits, self.labelled)

    @property
    def f(self) -> float:
        """Harmonic mean of precision and recall, 0 to 1."""
        return f_measure(self.hits, self.reported, self.labelled)

    @property
    def character_acc(self) -> float:
        """The script's character accuracy: one minus edits by labelled characters (below 0 is possible)."""
        return 1 - self.edits / self.characters if self.characters else 0.0

    def undefined(self) -> frozenset[str]:
        """Returns the names of the metrics that nothing was counted for."""
        return _groundless(
            precision=self.reported + self.labelled,
            recall=self.labelled,
            text_recall=self.labelled,
            character_acc=self.characters,
        )


def _text_hits(plates: Sequence[LabelledPlate], reads: Sequence[tuple[str, Quad]]) -> int:
    left = [text for text, _ in reads]
    hits = 0
    for plate in plates:
        if plate.text in left:
            left.remove(plate.text)
            hits += 1
    return hits
