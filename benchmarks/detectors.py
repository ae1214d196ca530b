"""Detectors of several bundles side by side: what is found of a scene and read, and the time that it takes.

    python -m edge_lpr.benchmarks.detectors ../shared/data --bundle edge_lpr/bundles/default --bundle slim/

The recognizer is the first bundle's for all of them, so that what differs is the detectors'. Scenes are
those that the recipe of record holds out (every fourth); the bundles take turns scene by scene, so that what
else the machine does meets them alike. Time is that of the processor: of the whole picture, and of the
networks alone on what the picture is brought to. All run in FP32.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import cv2

from edge_lpr.backends.lending import lend
from edge_lpr.benchmarks.pairs import ratio
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.console.tables import table
from edge_lpr.counting import counted
from edge_lpr.datasets.labels import Sample, label_inputs, load_labels
from edge_lpr.environment import machine
from edge_lpr.errors import InputError, SettingError
from edge_lpr.evaluation.evaluate import score_json
from edge_lpr.evaluation.metrics import DetScore, EndToEndScore
from edge_lpr.export.join import join
from edge_lpr.finetune.division import is_for, split
from edge_lpr.finetune.stages import load_recipe
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.precisions import REFERENCE
from edge_lpr.types import Image

__all__ = ["Measured", "measure"]


@dataclass
class Measured:
    """What one detector finds, and what it takes.

    Attributes:
        boxes: Its boxes beside the labelled plates'.
        reads: What is read of them beside what is labelled.
        picture: Processor milliseconds of each scene, from image to text.
        network: Those of the network alone.
    """

    boxes: DetScore = field(default_factory=DetScore)
    reads: EndToEndScore = field(default_factory=EndToEndScore)
    picture: list[float] = field(default_factory=list)
    network: list[float] = field(default_factory=list)


def measure(readers: Mapping[str, PlateReader], scenes: Sequence[Sample]) -> dict[str, Measured]:
    """Reads each scene with each reader, one after the other.

    Args:
        readers: By name.
        scenes: Labelled scenes whose plates have corners.
    """
    found = {name: Measured() for name in readers}
    for number, sample in enumerate(scenes):
        image, plates = sample.read(), sample.plates or ()
        for name, reader in readers.items():
            if not number:
                reader.read(image)  # the first run allocates; it is not what an image costs
            one = found[name]
            begun = time.process_time()
            reads = reader.read(image)
            one.picture.append(1000 * (time.process_time() - begun))
            one.network.append(_network_alone(reader, image))
            one.reads.add(plates, [(read.text, read.corners) for read in reads])
            one.boxes.add(plates, [box.corners for box in reader.detector.detect(image)])
    return found


def _network_alone(reader: PlateReader, image: Image) -> float:
    """Returns the processor's milliseconds of the detector's network on an image of the size it gets."""
    detector = reader.detector
    height, width = detector.input_size(*image.shape[:2])
    with lend(detector.backend, detector.model.input_name, (1, height, width, 3)) as loan:
        cv2.resize(image, (width, height), dst=loan.batch[0])
        begun = time.process_time()
        loan.run()
        return 1000 * (time.process_time() - begun)


def _rows(found: Mapping[str, Measured]) -> list[list[str]]:
    first = next(iter(found.values()))
    rows = [["detector", "boxes: recall", "precision", "read: recall", "precision", "picture", "network"]]
    for name, one in found.items():
        figures = [one.boxes.recall, one.boxes.precision, one.reads.recall, one.reads.precision]
        ratios = ratio(one.picture, first.picture), ratio(one.network, first.network)
        rows.append([name, *(f"{figure:.4f}" for figure in figures), *(f"{r:.2f}" for r in ratios)])
    return rows


def _json(found: Mapping[str, Measured]) -> dict[str, Any]:
    first = next(iter(found.values()))
    return {
        name: {
            "boxes": score_json(one.boxes),
            "reads": score_json(one.reads),
            "ratios": {
                "picture": round(ratio(one.picture, first.picture), 4),
                "network": round(ratio(one.network, first.network), 4),
            },
            "ms": {"picture": round(median(one.picture), 2), "network": round(median(one.network), 2)},
        }
        for name, one in found.items()
    }


@module_main("benchmarks.detectors")
def main(argv: Sequence[str] | None = None) -> int:
    """Prints a table of the detectors."""
    parser = Parser(prog="python -m edge_lpr.benchmarks.detectors", description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="labelled images")
    parser.add_argument(
        "--bundle",
        type=Path,
        action="append",
        required=True,
        metavar="DIR",
        help="a bundle; once for each, the first is what the others are compared with",
    )
    parser.add_argument("--all", action="store_true", help="those scenes too that are trained on")
    parser.add_argument("--limit", type=int, metavar="N", help="scenes, at most (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    args = parser.parse_args(argv)
    inputs = [named for bundle in args.bundle for named in files_in("--bundle", bundle)]
    check_outputs([("--json", args.json)], [*label_inputs("DATA", args.data), *inputs])
    if len(set(args.bundle)) < len(args.bundle):
        raise SettingError("--bundle: the same folder is given twice; give each bundle once")
    scenes = [s for s in load_labels(args.data).samples if is_for("det", s)]
    if not args.all:
        scenes = split(scenes, load_recipe()["held_out"])[1]
    scenes = scenes[: args.limit]
    if not scenes:
        raise InputError("no scene is held out: the data need four labelled scenes with corners, or more")
    bundles = {str(path): load_bundle(path) for path in args.bundle}
    recognizer, readers = next(iter(bundles.values())), dict[str, PlateReader]()
    with tempfile.TemporaryDirectory(prefix="edge-lpr-") as temporary:
        try:
            for number, (name, bundle) in enumerate(bundles.items()):
                both = join(bundle, recognizer, Path(temporary) / str(number))
                readers[name] = PlateReader(both.path, precision=REFERENCE, threads=1)
            found = measure(readers, scenes)
        finally:
            for reader in readers.values():
                reader.close()
    which = "labelled" if args.all else "held out"
    say(
        f"{counted(len(scenes), 'scenes')} {which}; times as shares of the first's, "
        "medians of pairs; one thread"
    )
    show(table(_rows(found)))
    if args.json:
        result = {"machine": machine(), "scenes": len(scenes), "which": which, "detectors": _json(found)}
        write_json(args.json, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
