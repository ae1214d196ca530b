"""Makes a bundle of one bundle's detector and another one's recognizer, with what proves each of them.

    python -m edge_lpr.export.join --det slim/ --rec edge_lpr/bundles/default --out my-bundle/

For a detector that was trained anew beside a recognizer whose checkpoint is not at hand. Both are taken as
they are, the recognizer in all its precisions, the detector in FP32: `edge-lpr calibrate --part det` makes
its others. `reference.npz` and `parity.json`, each part's of the bundle that it comes from, come along where
both bundles have them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from edge_lpr.bundle.manifest import MAX_JSON_BYTES, Bundle, load_bundle
from edge_lpr.bundle.writer import (
    BundleParts,
    NewModel,
    add_precisions,
    calibration_key,
    check_replaceable,
    create_bundle,
)
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say
from edge_lpr.errors import BundleError
from edge_lpr.export.parity.reference import REFERENCE_FILE, pack_reference, read_reference
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.io.plain_data import parse_json
from edge_lpr.precisions import PRECISIONS, REFERENCE, Target
from edge_lpr.types import Part

__all__ = ["join"]

PARITY = "parity.json"


def join(detector: Bundle, recognizer: Bundle, out: Path, name: str | None = None) -> Bundle:
    """Writes a bundle of one bundle's detector and another one's recognizer.

    Args:
        detector: Whose detector it gets, in FP32.
        recognizer: Whose recognizer it gets, in all precisions.
        out: The bundle's folder; see `create_bundle`.
        name: The bundle's name; None takes the recognizer's.

    Returns:
        The bundle.

    Raises:
        BundleError: A model is missing or damaged, or a bundle's proof is.
        OutputError: The folder cannot be written, or holds something that is no bundle.
    """
    det, rec = detector.raw["det"], recognizer.raw["rec"]
    licences = dict.fromkeys((detector.licence, recognizer.licence))
    parts = BundleParts(
        name=name or recognizer.name,
        licence=" AND ".join(licences),
        origin={
            "det": detector.origin.get("det", detector.name),
            "rec": recognizer.origin.get("rec", recognizer.name),
            "made": {"det": detector.origin.get("made"), "rec": recognizer.origin.get("made")},
        },
        det=detector.model("det", REFERENCE).read(),
        rec=recognizer.model("rec", REFERENCE).read(),
        charset=recognizer.rec.charset,
        unknown_class=recognizer.rec.unknown_class,
        det_arch=str(det.get("arch", "")),
        rec_arch=str(rec.get("arch", "")),
        rec_height=recognizer.rec.height,
        det_size=det["size"],
        postprocess=detector.det.postprocess,
        rec_widths=recognizer.rec.widths,
        rec_resize_mode=recognizer.rec.resize_mode,
    )
    made = create_bundle(parts, out, _proof(detector, recognizer))
    for target in get_args(Target):
        models: dict[tuple[Part, str], NewModel] = {
            ("rec", name): NewModel(model.read(), model.extra)
            for name, model in recognizer.rec.precisions.items()
            if name != REFERENCE and PRECISIONS[name].target == target
        }
        if models:
            told = dict(recognizer.raw.get(calibration_key(target), {}))
            told.pop("end_to_end", None)  # measured with another detector
            add_precisions(load_bundle(out), models, told)
    return load_bundle(made.path)


def _proof(detector: Bundle, recognizer: Bundle) -> dict[str, bytes]:
    files = [bundle.path / file for bundle in (detector, recognizer) for file in (REFERENCE_FILE, PARITY)]
    if not all(path.is_file() for path in files):
        return {}
    det, rec = _report(detector), _report(recognizer)
    # What both comparisons have in common stands once; else the recognizer's stands beside.
    own = {key: rec[key] for key in rec if key not in ("det", "rec") and rec[key] != det.get(key)}
    told = {**det, "passed": det.get("passed") is True and rec.get("passed") is True}
    told |= {"rec": rec.get("rec"), "of_rec": own}
    pairs = read_reference(detector.path / REFERENCE_FILE)["det"]
    plates = read_reference(recognizer.path / REFERENCE_FILE)["rec"]
    return {
        PARITY: (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode(),
        REFERENCE_FILE: pack_reference(pairs, plates),
    }


def _report(bundle: Bundle) -> dict[str, Any]:
    path = bundle.path / PARITY
    data = read_bounded(path, MAX_JSON_BYTES, "a comparison with Paddle", BundleError)
    found = parse_json(data, str(path), BundleError)
    if not isinstance(found, dict):
        raise BundleError(
            f"{path}: holds {type(found).__name__}, expected an object; export the bundle again"
        )
    return found


@module_main("join")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command of this module."""
    parser = Parser(prog="python -m edge_lpr.export.join", description=__doc__)
    parser.add_argument("--det", type=Path, required=True, metavar="DIR", help="the detector's bundle")
    parser.add_argument("--rec", type=Path, required=True, metavar="DIR", help="the recognizer's bundle")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the new bundle's folder")
    parser.add_argument("--name", help="the new bundle's name (default: that of the recognizer's bundle)")
    args = parser.parse_args(argv)
    detector, recognizer = load_bundle(args.det), load_bundle(args.rec)
    inputs = [*files_in("--det", args.det), *files_in("--rec", args.rec)]
    check_outputs((("--out", path) for _, path in files_in("", args.out)), inputs)
    check_replaceable(args.out)
    made = join(detector, recognizer, args.out, args.name)
    if (made.path / REFERENCE_FILE).is_file():
        say(f"{made.path}: {made.name}; verify it with: edge-lpr export --verify {made.path}")
    else:
        say(f"{made.path}: {made.name}; not both bundles have what it could be verified by")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
