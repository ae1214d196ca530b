"""Makes `paddleocr_metrics.json`: what PaddleOCR's own metrics say of sets made here.

    git clone https://github.com/PaddlePaddle/PaddleOCR && python tests/golden/make_metrics.py PaddleOCR

Runs its `DetectionIoUEvaluator` and `RecMetric` (they need shapely and rapidfuzz), which no package carries.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

OUT = Path(__file__).with_name("paddleocr_metrics.json")
SETS = 300


def load(clone: Path, name: str) -> dict[str, Any]:
    """Executes one of its modules by itself."""
    space: dict[str, Any] = {}
    exec(compile((clone / "ppocr" / "metrics" / f"{name}.py").read_text(), name, "exec"), space)
    return space


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


def detections(clone: Path) -> list[dict[str, Any]]:
    """Counts of each set, and PaddleOCR's metrics of all sets of a kind."""
    evaluator = load(clone, "eval_det_iou")["DetectionIoUEvaluator"]()
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


def readings(clone: Path) -> list[dict[str, Any]]:
    """Sets of texts, with blanks in some, and PaddleOCR's metrics of each."""
    metric = load(clone, "rec_metric")["RecMetric"]()
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
    clone = Path(sys.argv[1])
    OUT.write_text(
        json.dumps({"det": detections(clone), "rec": readings(clone)}, separators=(",", ":")) + "\n"
    )
    print(f"{OUT}: {OUT.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
