"""Runs a detector, a recognizer or the whole pipeline over labelled images and counts.

What is measured is a function from images to results, so that the same counting serves the command, the
search for a precision and any other reader.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any, Generic, Literal, TypeVar

from edge_lpr.counting import counted
from edge_lpr.datasets.labels import LabelledPlate, Sample, clean_text
from edge_lpr.errors import InputError
from edge_lpr.evaluation.metrics import DetScore, EndToEndScore, RecScore, countable
from edge_lpr.geometry import crop_quad
from edge_lpr.pipeline.ctc import greedy
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.types import EvaluationTask, Image, Quad, Tick

AnyScore = DetScore | RecScore | EndToEndScore
Score = TypeVar("Score", DetScore, RecScore, EndToEndScore)
Decoder = Literal["plate", "greedy"]
ALL = "all"
BATCH = 32

METRICS: dict[type, tuple[str, ...]] = {
    DetScore: ("precision", "recall", "hmean", "corner_err"),
    RecScore: ("acc", "norm_edit_dis"),
    EndToEndScore: ("recall", "precision", "f", "character_acc", "text_recall"),
}
# Counts that are only there to compute a metric from.
_HIDDEN = ("distance", "corner_distance", "edits", "characters")


@dataclass(frozen=True)
class Miss:
    """One image (or plate of it) that was not read as labelled.

    Attributes:
        item: Its name in `Evaluation.right`.
        image: The image's path.
        subset: Its group.
        expected: The labelled texts.
        found: The texts that were read; for detection, how many boxes were found.
        corners: Where in the image the plate lies; None for the whole image.
    """

    item: str
    image: str
    subset: str
    expected: tuple[str, ...]
    found: tuple[str, ...]
    corners: tuple[tuple[float, float], ...] | None = None


@dataclass
class Evaluation(Generic[Score]):
    """Counts by subset and over all.

    Attributes:
        scores: The counts of each subset, in the order of first appearance; the last is "all".
        misses: What was not read as labelled.
        right: For each image or plate, whether it was read as labelled: what paired statistics compare.
        problems: Images that could not be read, with the reason.
        calls: Seconds and number of images (plates for recognition) of each call of the reader, without
            decoding images from disk.
    """

    scores: dict[str, Score] = field(default_factory=dict)
    misses: list[Miss] = field(default_factory=list)
    right: dict[str, bool] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    calls: list[tuple[float, int]] = field(default_factory=list)

    @property
    def all(self) -> Score:
        """The counts over all subsets."""
        return self.scores[ALL]

    @property
    def items(self) -> int:
        """Images, or plates for recognition, that were read."""
        return sum(items for _, items in self.calls)

    @property
    def fps(self) -> float:
        """Images (plates for recognition) per second of the reader's time."""
        seconds = sum(seconds for seconds, _ in self.calls)
        return self.items / seconds if seconds else 0.0

    def to_json(self) -> dict[str, Any]:
        """Returns counts and metrics by subset, speed, misses and problems, ready for JSON."""
        return {
            "subsets": {name: score_json(score) for name, score in self.scores.items()},
            "items": self.items,
            "per_second": round(self.fps, 2),
            "misses": [asdict(miss) for miss in self.misses],
            "problems": self.problems,
        }


def score_json(score: AnyScore) -> dict[str, float | None]:
    """Returns a score's counts and metrics by name; None for a metric that nothing was counted for."""
    undefined = score.undefined()
    metrics = {
        name: None if name in undefined else round(getattr(score, name), 6) for name in METRICS[type(score)]
    }
    return {**asdict(score), **metrics}


def metric_text(score: AnyScore, name: str) -> str:
    """Words a metric for a table: four places, "-" where nothing was counted for it."""
    return "-" if name in score.undefined() else f"{getattr(score, name):.4f}"


def score_rows(scores: Mapping[str, AnyScore]) -> list[list[str]]:
    """Returns scores by subset as rows of a table, the names of the columns first; counts follow metrics."""
    kind = type(next(iter(scores.values())))
    counts = [f.name for f in fields(kind) if f.name not in _HIDDEN]
    rows = [["subset", *METRICS[kind], *counts]]
    for subset, score in scores.items():
        metrics = [metric_text(score, name) for name in METRICS[kind]]
        rows.append([subset, *metrics, *(str(getattr(score, name)) for name in counts)])
    return rows


def evaluate_det(
    find: Callable[[Image], Sequence[Quad]], samples: Sequence[Sample], tick: Tick | None = None
) -> Evaluation[DetScore]:
    """Counts boxes against labels, over the scenes whose plates all have corners.

    Args:
        find: From a uint8 H×W×3 BGR image to its boxes, each float32 4×2.
        samples: The samples; crops and images without corners are left out.
        tick: Called with 1 after each image.
    """
    result: Evaluation[DetScore] = Evaluation()
    located = [s for s in samples if s.located]
    whole = DetScore()
    for sample, image in _images(located, result, tick):
        boxes = _timed(result, 1, partial(find, image))
        plates = sample.plates or ()
        matched = result.scores.setdefault(sample.subset, DetScore()).add(plates, boxes)
        whole.add(plates, boxes)
        wanted = [p.text for p in plates if countable(p)]
        if wanted:  # elsewhere nothing can be lost
            result.right[str(sample.path)] = matched == len(wanted)
        if matched < len(wanted):
            found = (f"{counted(len(boxes), 'boxes', 'box')}, {matched} on a plate",)
            result.misses.append(_miss(sample, tuple(wanted), found))
    return _close(result, whole)


def evaluate_rec(
    read: Callable[[Sequence[Image]], Sequence[str]],
    samples: Sequence[Sample],
    tick: Tick | None = None,
    batch: int = BATCH,
) -> Evaluation[RecScore]:
    """Counts texts against labels, over crops and over plates cut out of scenes along their labelled corners.

    Args:
        read: From uint8 H×W×3 BGR crops to their texts, "" where nothing is read.
        samples: The samples; plates without corners in scenes are left out.
        tick: Called with the number of images after each batch.
        batch: Plates that are read at once.
    """
    result: Evaluation[RecScore] = Evaluation()
    whole = RecScore()
    waiting: list[tuple[Sample, str, LabelledPlate, Image]] = []

    def flush() -> None:
        texts = _timed(result, len(waiting), lambda: read([image for *_, image in waiting]))
        for (sample, key, plate, _), text in zip(waiting, texts, strict=True):
            right = result.scores.setdefault(sample.subset, RecScore()).add(plate.text, text)
            whole.add(plate.text, text)
            result.right[key] = right
            if not right:
                corners = (
                    None if plate.corners is None else tuple((float(x), float(y)) for x, y in plate.corners)
                )
                path = str(sample.path)
                result.misses.append(Miss(key, path, sample.subset, (plate.text,), (text,), corners))
        waiting.clear()

    for sample, image in _images([s for s in samples if s.plates], result, tick):
        for i, plate in enumerate(sample.plates or ()):
            if plate.ignored or (plate.corners is None and not sample.crop):
                continue
            crop = image if plate.corners is None else crop_quad(image, plate.corners)
            key = str(sample.path) if sample.crop else f"{sample.path}#{i}"
            waiting.append((sample, key, plate, crop))
            if len(waiting) >= batch:
                flush()
    if waiting:
        flush()
    return _close(result, whole)


def evaluate_e2e(
    read: Callable[[Image], Sequence[tuple[str, Quad]]], samples: Sequence[Sample], tick: Tick | None = None
) -> Evaluation[EndToEndScore]:
    """Counts reported plates against labels, over all scenes.

    Args:
        read: From a uint8 H×W×3 BGR image to text and corners (float32 4×2) of each plate.
        samples: The samples; crops are left out.
        tick: Called with 1 after each image.
    """
    result: Evaluation[EndToEndScore] = Evaluation()
    whole = EndToEndScore()
    scenes = [s for s in samples if not s.crop and s.plates is not None]
    for sample, image in _images(scenes, result, tick):
        reads = _timed(result, 1, partial(read, image))
        plates = sample.plates or ()
        right = result.scores.setdefault(sample.subset, EndToEndScore()).add(plates, reads)
        whole.add(plates, reads)
        result.right[str(sample.path)] = right
        if not right:
            expected = tuple(p.text for p in plates if not p.ignored)
            found = tuple(text for text, _ in reads)
            result.misses.append(_miss(sample, expected, found))
    return _close(result, whole)


def evaluate_reader(
    task: EvaluationTask,
    reader: PlateReader,
    samples: Sequence[Sample],
    decoder: Decoder = "plate",
    tick: Tick | None = None,
    batch: int = BATCH,
) -> Evaluation[Any]:
    """Evaluates a `PlateReader`.

    Args:
        task: "det", "rec" or "e2e".
        reader: What is measured.
        samples: The samples; those without the labels that the task needs are left out.
        decoder: For "rec": the plate decoder, or greedy CTC decoding as PaddleOCR does it.
        tick: Called with a number of images as they are done.
        batch: For "rec": plates that are read at once.

    Raises:
        InputError: No sample has the labels that the task needs.
    """
    if task == "det":
        return evaluate_det(lambda image: [b.corners for b in reader.detector.detect(image)], samples, tick)
    if task == "e2e":
        return evaluate_e2e(lambda image: [(r.text, r.corners) for r in reader.read(image)], samples, tick)
    model = reader.bundle.rec

    def read_greedily(crops: Sequence[Image]) -> list[str]:
        found = reader.recognizer.probabilities(crops)
        return [clean_text(greedy(p, model.charset, model.unknown_class)[0]) for p in found]

    def read_plates(crops: Sequence[Image]) -> list[str]:
        return [read.text if read else "" for read in reader.read_crops(crops)]

    return evaluate_rec(read_greedily if decoder == "greedy" else read_plates, samples, tick, batch)


def _miss(sample: Sample, expected: tuple[str, ...], found: tuple[str, ...]) -> Miss:
    return Miss(str(sample.path), str(sample.path), sample.subset, expected, found)


Result = TypeVar("Result")


def _timed(result: Evaluation[Any], items: int, work: Callable[[], Result]) -> Result:
    if not result.calls:
        work()  # the first run allocates; it is not what an image costs
    start = time.perf_counter()
    value = work()
    result.calls.append((time.perf_counter() - start, items))
    return value


def _images(
    samples: Sequence[Sample], result: Evaluation[Any], tick: Tick | None
) -> Iterator[tuple[Sample, Image]]:
    for sample in samples:
        try:
            image = sample.read()
        except InputError as e:
            result.problems.append(str(e))
        else:
            yield sample, image
        if tick is not None:
            tick(1)


def _close(result: Evaluation[Score], whole: Score) -> Evaluation[Score]:
    if not result.calls:
        why = f"; the first image: {result.problems[0]}" if result.problems else ""
        raise InputError(f"nothing to evaluate: none of the samples has the labels that this task needs{why}")
    result.scores[ALL] = whole
    return result
