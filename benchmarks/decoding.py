"""What decoding costs, with the shortcut and by the search alone, and that both read the same.

    python -m edge_lpr.benchmarks.decoding ../shared/data --json decoding.json

Each image is read once, and from then on the networks give again what they gave, in no time: what is left is
the CPU time around them. Both ways take turns over each image, and the shortest time of each counts. Then
each posterior is decoded alone, in the same manner. Ratios are what to compare between machines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends import Backend, open_models
from edge_lpr.backends.wrapping import WrappedBackend
from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.console.progress import Progress
from edge_lpr.console.tables import table
from edge_lpr.datasets.labels import Sample, label_inputs, load_labels
from edge_lpr.environment import machine
from edge_lpr.errors import SettingError
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs
from edge_lpr.pipeline.crop import Crop
from edge_lpr.pipeline.crop_reader import CropReader
from edge_lpr.pipeline.ctc import PlateDecoder, Reading
from edge_lpr.pipeline.detector import Detector
from edge_lpr.pipeline.plate_search import PlateSearch
from edge_lpr.pipeline.recognizer import Recognizer
from edge_lpr.pipeline.settings import DetectorSettings, ReadSettings
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image, Probs

WAYS = {"shortcut": True, "search": False}


class TapedBackend(WrappedBackend):
    """Runs another backend once for each run of an image, and gives the same again whenever it is rewound."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.tape: list[dict[str, NDArray[Any]]] = []
        self._at = 0

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Gives what the run of this number gave; see `Backend.run`."""
        if self._at == len(self.tape):
            self.tape.append(super().run(inputs))
        self._at += 1
        return self.tape[self._at - 1]

    def rewind(self) -> None:
        """Begins again with the first run."""
        self._at = 0


class Bench:
    """Reads images in both ways.

    Args:
        bundle: The models.
        threads: Threads of ONNX Runtime.
    """

    def __init__(self, bundle: Bundle, threads: int) -> None:
        self.models = open_models(bundle, backend="onnxruntime", options={"threads": threads})
        self._det, self._rec = TapedBackend(self.models.det), TapedBackend(self.models.rec)
        self._output = bundle.rec.output_name
        detector = Detector(self._det, bundle.det, DetectorSettings.for_model(bundle.det))
        recognizer = Recognizer(self._rec, bundle.rec)
        settings = ReadSettings()
        self.decoders = {
            name: PlateDecoder(
                bundle.rec.charset, bundle.rec.unknown_class, settings.format_prior, shortcut=shortcut
            )
            for name, shortcut in WAYS.items()
        }
        self._crops = {name: CropReader(recognizer, settings, d) for name, d in self.decoders.items()}
        self._scenes = {name: PlateSearch(detector, c, settings) for name, c in self._crops.items()}

    def read(self, image: Image, way: str, crop: bool) -> list[PlateRead]:
        """Reads an image, a scene or a plate cut out, in one of `WAYS`."""
        self._det.rewind()
        self._rec.rewind()
        if crop:
            return [read for read in self._crops[way].read([[Crop.of_whole(image)]]) if read is not None]
        return self._scenes[way].read([image], None)[0]

    def next_image(self) -> list[Probs]:
        """Forgets what the networks gave for an image; returns the posteriors of its crops."""
        posteriors = [probs for run in self._rec.tape for probs in run[self._output]]
        for backend in (self._det, self._rec):
            backend.tape.clear()
        return posteriors


def fastest(work: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns the least CPU time of each of several works, in milliseconds; they take turns."""
    least = dict.fromkeys(work, np.inf)
    for _ in range(repeats):
        for name, one in work.items():
            start = time.thread_time()
            one()
            least[name] = min(least[name], 1000 * (time.thread_time() - start))
    return least


def measure(bench: Bench, samples: Sequence[Sample], repeats: int) -> dict[str, Any]:
    """Reads all samples in both ways, and decodes all posteriors that came up.

    Returns:
        What was measured, ready for JSON: times in milliseconds of CPU time, summed up over the images and
        posteriors.
    """
    around = dict.fromkeys(WAYS, 0.0)
    decoding = dict.fromkeys(WAYS, 0.0)
    posteriors = shortcuts = unlike = 0
    with Progress("decoding", len(samples), "images") as progress:
        for sample in samples:
            image = sample.read()
            reading = {way: partial(bench.read, image, way, sample.crop) for way in WAYS}
            reads = {way: [read.to_dict() for read in reading[way]()] for way in WAYS}
            unlike += reads["shortcut"] != reads["search"]
            for way, ms in fastest(reading, repeats).items():
                around[way] += ms
            for probs in bench.next_image():
                readings = {way: decoder.decode(probs) for way, decoder in bench.decoders.items()}
                unlike += not same(readings["shortcut"], readings["search"])
                decodings = {way: partial(d.decode, probs) for way, d in bench.decoders.items()}
                for way, ms in fastest(decodings, repeats).items():
                    decoding[way] += ms
                posteriors += 1
                shortcuts += bench.decoders["shortcut"].takes_shortcut(probs)
            progress.update()
    return {
        "images": len(samples),
        "posteriors": posteriors,
        "shortcuts": shortcuts,
        "unlike": unlike,
        "ms_per_posterior": {way: ms / max(1, posteriors) for way, ms in decoding.items()},
        "ms_around_the_networks": {way: ms / max(1, len(samples)) for way, ms in around.items()},
        "decoding_ratio": decoding["shortcut"] / decoding["search"],
        "around_ratio": around["shortcut"] / around["search"],
    }


def same(one: Reading, other: Reading) -> bool:
    """Tells whether two readings are equal to the last bit."""
    scores = one.char_scores == other.char_scores and np.array_equal(one.log_probs, other.log_probs)
    return (one.text, one.format) == (other.text, other.format) and scores


@module_main("benchmarks.decoding")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; see the module's text."""
    parser = Parser(prog="python -m edge_lpr.benchmarks.decoding", description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="labelled images")
    parser.add_argument("--limit", type=int, metavar="N", help="images, at most, drawn with a fixed seed")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="of ONNX Runtime (default: 2)")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="times each is read (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    args = parser.parse_args(argv)
    check_outputs([("--json", args.json)], label_inputs("DATA", args.data))
    samples = load_labels(args.data).samples
    drawn = np.random.default_rng(0).permutation(len(samples))[: args.limit]
    if not len(drawn):
        raise SettingError(f"--limit {args.limit}: leaves no image to read; expected 1 or more")
    bench = Bench(load_bundle(), args.threads)
    try:
        result = measure(bench, [samples[i] for i in sorted(drawn)], args.repeats)
    finally:
        bench.models.close()
    around, each = result["ms_around_the_networks"], result["ms_per_posterior"]
    show(
        table(
            [
                ["CPU-ms", *WAYS, "ratio"],
                ["a posterior", *[f"{each[w]:.2f}" for w in WAYS], f"{result['decoding_ratio']:.2f}"],
                ["around the networks", *[f"{around[w]:.1f}" for w in WAYS], f"{result['around_ratio']:.2f}"],
            ]
        )
    )
    say(
        f"{result['shortcuts']} of {result['posteriors']} posteriors took the shortcut; "
        f"{result['unlike']} were read otherwise"
    )
    if args.json:
        write_json(args.json, {"machine": machine(), **result})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
