"""Makes `paddleocr_metrics.json`: what PaddleOCR's own metrics say of sets made here.

    pip download --no-deps unstructured-paddleocr==2.10.0
    python tests/golden/make_metrics.py unstructured_paddleocr-2.10.0-py3-none-any.whl

Runs its `DetectionIoUEvaluator` and `RecMetric` (they need shapely and rapidfuzz).
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from own_paddleocr import use

OUT = Path(__file__).with_name("paddleocr_metrics.json")
SETS = 300


def quad(rng: np.random.Generator, kind: str) -> np.ndarray:
    """Draws corners in eighths of a pixel: tilted, concave, crossing, or without an area."""
    centre, size = rng.uniform(20, 100, 2), rng.uniform((20, 8), (60, 24))
    angle = rng.normal(0, 0.3)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 * size @ turn + centre
    corners += rng.normal(0, 1.5, (4, 2))
    if kind == "concave":
        corners[2] = corners.mean(axis=0) + (corners[0] - corners.mean(axis=0)) * rng.uniform(0.1, 0.6)
    elif kind == "crossing":
        corners[[1, 2]] = corners[[2, 1]]
    elif kind == "flat":
        corners[2:] = corners[[1, 0]]
    return np.round(corners * 8) / 8


def scene(rng: np.random.Generator, kinds: list[str]) -> dict[str, Any]:
    """Draws labels, some not to be counted, and predictions, up to three near each label."""
    labels = [quad(rng, kinds[int(rng.integers(len(kinds)))]) for _ in range(int(rng.integers(0, 5)))]
    found = [quad(rng, kinds[int(rng.integers(len(kinds)))]) for _ in range(int(rng.integers(0, 3)))]
    for label in labels:
        for _ in range(int(rng.integers(0, 4))):
            moved = label + rng.normal(0, 4, 2) + rng.normal(0, 1, (4, 2))
            found.append(np.round(moved * 8) / 8)
    order = rng.permutation(len(found))
    return {
        "labels": [label.tolist() for label in labels],
        "ignored": [bool(rng.random() < 0.2) for _ in labels],
        "found": [found[i].tolist() for i in order],
    }


def detections() -> list[dict[str, Any]]:
    """Counts of each set, and PaddleOCR's metrics of all sets of a kind."""
    evaluator = importlib.import_module("ppocr.metrics.eval_det_iou").DetectionIoUEvaluator()
    told = []
    for seed, kinds in enumerate((["tilted"], ["tilted", "concave"], ["tilted", "crossing", "flat"])):
        rng = np.random.default_rng(seed)
        sets = [scene(rng, kinds) for _ in range(SETS // 3)]
        results = []
        for one in sets:
            truths = [
                {"points": points, "text": "", "ignore": ignored}
                for points, ignored in zip(one["labels"], one["ignored"], strict=True)
            ]
            result = evaluator.evaluate_image(truths, [{"points": p, "text": ""} for p in one["found"]])
            one["counts"] = [int(result[name]) for name in ("gtCare", "detCare", "detMatched")]
            results.append(result)
        told.append({"sets": sets, "metrics": evaluator.combine_results(results)})
    return told


def readings() -> list[dict[str, Any]]:
    """Sets of texts, with blanks in some, and PaddleOCR's metrics of each."""
    metric = importlib.import_module("ppocr.metrics.rec_metric").RecMetric()
    rng = np.random.default_rng(9)
    told = []
    for _ in range(SETS):
        pairs = []
        for _ in range(int(rng.integers(1, 6))):
            truth = "".join(rng.choice(list("AB12 "), int(rng.integers(0, 9))))
            text = "".join(c for c in truth if rng.random() < 0.9)
            at = int(rng.integers(0, len(text) + 1))
            pairs.append((truth, text[:at] + rng.choice(["", "", " ", "C", "  "]) + text[at:]))
        metric(([(text, 1.0) for _, text in pairs], [(truth, 1.0) for truth, _ in pairs]))
        told.append({"pairs": pairs, "metrics": metric.get_metric()})
    return told


def main() -> None:
    """Writes the file."""
    use(sys.argv[1])
    OUT.write_text(json.dumps({"det": detections(), "rec": readings()}, separators=(",", ":")) + "\n")
    print(f"{OUT}: {OUT.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
