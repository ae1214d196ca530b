"""Which characters of plates are read for each other.

    python -m edge_lpr.benchmarks.lookalikes ../shared/data

Plates that are cut out are read as they are and made smaller, which takes the strokes that tell characters
apart. Of those that are read with the right number of characters, each character that is another counts for
its pair, in whichever direction; provinces are left out. The pairs that are most of the errors are those of
`edge_lpr.serve.matching.LOOKALIKES`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.console.tables import table
from edge_lpr.counting import counted
from edge_lpr.datasets.labels import label_inputs, load_labels
from edge_lpr.environment import machine
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.serve.matching import same_plate
from edge_lpr.types import Image

HEIGHTS = (None, 16, 12, 10, 8)
"""Pixels that plates are made high; None leaves them as they are."""
_AT_ONCE = 32
_SHOWN = 20


def shrunk(image: Image, height: int | None) -> Image:
    """Returns a plate as it would be seen so many pixels high, at the size that it had."""
    if height is None or image.shape[0] <= height:
        return image
    size = (max(1, round(image.shape[1] * height / image.shape[0])), height)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    back = cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(back, np.uint8)


def confusions(pairs: Iterable[tuple[str, str]]) -> Counter[str]:
    """Counts characters that were read as others, both of a pair in the order of the alphabet.

    Args:
        pairs: What plates are, and what was read of each; those of another length are passed over.
    """
    found: Counter[str] = Counter()
    for truth, text in pairs:
        if len(truth) == len(text):
            wrong = (a + b if a < b else b + a for a, b in zip(truth[1:], text[1:], strict=True) if a != b)
            found.update(wrong)
    return found


@module_main("benchmarks.lookalikes")
def main(argv: Sequence[str] | None = None) -> int:
    """Prints the pairs."""
    parser = Parser(prog="python -m edge_lpr.benchmarks.lookalikes", description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="labelled images")
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="model bundle (default: the package's)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of ONNX Runtime (default: 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    args = parser.parse_args(argv)
    check_outputs([("--json", args.json)], label_inputs("DATA", args.data))
    samples = [s for s in load_labels(args.data).crops if s.plates and not s.plates[0].ignored]
    texts = [plates[0].text for sample in samples if (plates := sample.plates)]
    images = [sample.read() for sample in samples]
    pairs: list[tuple[str, str]] = []
    # All that is a plate is told, however unsure.
    with PlateReader(args.bundle, threads=args.threads, settings={"min_score": 0.0}) as reader:
        for height in HEIGHTS:
            for at in range(0, len(images), _AT_ONCE):
                reads = reader.read_crops([shrunk(image, height) for image in images[at : at + _AT_ONCE]])
                known = zip(texts[at : at + _AT_ONCE], reads, strict=True)
                pairs += [(truth, read.text) for truth, read in known if read is not None]
    found = confusions(pairs)
    alike = sum(count for pair, count in found.items() if same_plate(pair[0], pair[1]))
    rows = [[pair, str(n), "yes" if same_plate(pair[0], pair[1]) else ""] for pair, n in found.most_common()]
    say(f"{counted(len(images), 'plates')} at {len(HEIGHTS)} sizes: {counted(len(pairs), 'readings')}")
    say(
        f"{counted(found.total(), 'characters')} wrong, {alike} of them look-alikes "
        "by the table of edge-lpr serve"
    )
    show(table([["pair", "count", "in the table"], *rows[:_SHOWN]]))
    if args.json:
        result = {"plates": len(images), "heights": HEIGHTS, "readings": len(pairs), "lookalikes": alike}
        write_json(args.json, {"machine": machine(), **result, "pairs": dict(found.most_common())})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
