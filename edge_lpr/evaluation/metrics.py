"""Accuracy of detection, recognition and the whole pipeline, by PaddleOCR's definitions and exactly.

- `DetScore` counts as PaddleOCR's ``DetMetric`` does (``ppocr/metrics/eval_det_iou.py``, IoU > 0.5).
- `RecScore` counts as its ``RecMetric`` does (``ppocr/metrics/rec_metric.py``).
- `EndToEndScore` pairs as its ``tools/end2end/eval_end2end.py`` does (IoU ≥ 0.5, pairs taken in falling
  order of IoU). Its recall, precision and F are the script's where all labels have corners, and also hold for
  images whose labels have none: there a plate is found when its text is.

`undefined` of a score names the metrics that nothing was counted for; their value, 0, says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from edge_lpr.datasets.labels import LabelledPlate
from edge_lpr.geometry import area_and_perimeter, convex_hull, iou_matrix, overlap_area, side_lengths
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


@dataclass
class DetScore:
    """Counts of ``DetMetric``; add images with `add`."""

    labelled: int = 0
    found: int = 0
    matched: int = 0
    corner_distance: float = 0.0

    def add(self, plates: Sequence[LabelledPlate], boxes: Sequence[Quad]) -> int:
        """Counts one image whose labels all have corners.

        A box that lies by more than half in an ignored label is not counted. Pairs are formed in the order of
        labels and boxes, as there.

        Returns:
            How many of its plates were found.
        """
        ignored = [convex_hull(p.corners) for p in plates if p.ignored and p.corners is not None]
        truths = [p.corners for p in plates if not p.ignored and p.corners is not None]
        kept = [b for b in boxes if not any(_share_inside(convex_hull(b), i) > IOU for i in ignored)]
        overlap = iou_matrix(truths, kept)
        taken: set[int] = set()
        for truth, row in zip(truths, overlap, strict=True):
            free = [j for j in np.flatnonzero(row > IOU).tolist() if j not in taken]
            taken.update(free[:1])
            for j in free[:1]:
                self.corner_distance += _corner_distance(truth, kept[j])
        self.labelled += len(truths)
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


def _share_inside(box: NDArray[np.float32], region: NDArray[np.float32]) -> float:
    return _ratio(overlap_area(box, region), area_and_perimeter(box)[0])


@dataclass
class RecScore:
    """Counts of ``RecMetric``; add plates with `add`."""

    plates: int = 0
    exact: int = 0
    distance: float = 0.0

    def add(self, truth: str, text: str) -> bool:
        """Counts one plate; `text` is empty where nothing was read. Returns whether it was read exactly."""
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
