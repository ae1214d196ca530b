"""`edge-lpr export`: fine-tuned PaddleOCR models to one verified bundle of ONNX models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.console.output import say, show
from edge_lpr.console.progress import Progress
from edge_lpr.console.tables import table
from edge_lpr.counting import counted
from edge_lpr.errors import EdgeLprError, MissingExtraError, SettingError
from edge_lpr.export.settings import BOUND, ExportSettings, load_origin
from edge_lpr.export.wheels import CHECKPOINTS, add_source, source_of
from edge_lpr.io.atomic_io import create_folder, json_text, write_json
from edge_lpr.io.claims import Named, check_outputs, files_in
from edge_lpr.io.file_names import beside
from edge_lpr.settings import Rule, add_options, given

if TYPE_CHECKING:
    from edge_lpr.export.exporter import Export
    from edge_lpr.export.parity.comparison import Comparison

DESCRIPTION = """\
Turns what PaddleOCR leaves after fine-tuning into a bundle, and proves that nothing was lost:
the bundle is written only when its ONNX models give Paddle's own probabilities, boxes and texts.

--det and --rec each take
  a training checkpoint  best_accuracy.pdparams, with or without its ending, or the folder that it
                         lies in: PP-OCRv3's networks, PP-OCRv4's and v5's, mobile and server, and
                         PP-OCRv2's detectors; PaddleOCR's code is not needed
  an inference model     the folder that PaddleOCR's tools/export_model.py wrote (inference.json or
                         inference.pdmodel, and inference.pdiparams): any DB detection or CTC
                         recognition. An inference.yml beside it is read for dictionary and sizes.

The bundle holds det.fp32.onnx, rec.fp32.onnx, bundle.json, parity.json (the comparison with Paddle)
and reference.npz (what Paddle returned for a few images, so that --verify works without Paddle).
Of --images, those that cannot be read are left out and named; the exit code is 2 then.
"""

EPILOG = """\
examples:
  edge-lpr export --det output/det/best_accuracy.pdparams --rec output/rec/best_accuracy.pdparams \\
                  --dict plate_keys.txt --out bundle/
  edge-lpr export --det det_infer/ --rec rec_infer/ --dict ppocr_keys_v1.txt --charset plate \\
                  --out bundle/
  edge-lpr export --det det_infer/ --rec rec_infer/ --dict keys.txt --images photos/ --out bundle/
  edge-lpr export --verify bundle/
  edge-lpr export --pretrained weights/      PP-OCRv3's general weights as .pdparams, to start from
  edge-lpr export --pretrained v4/ --family PP-OCRv4      likewise those of PP-OCRv4's mobile models,
                                             or of PP-OCRv5's
"""

_STEPS = 5  # two conversions, folding, two comparisons
_OF_BUNDLE = ("rec_resize_mode", "det_limit", "det_max", "det_box_thresh")
_OF_COMPARISON = ("limit", "bound")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    models = parser.add_argument_group("models")
    models.add_argument("--det", type=Path, metavar="PATH", help="detection model")
    models.add_argument("--rec", type=Path, metavar="PATH", help="recognition model")
    add_options(models.add_argument, ExportSettings, ["branch"])
    models.add_argument(
        "--dict", type=Path, metavar="FILE", help="the dictionary that the recognition was trained with"
    )
    models.add_argument(
        "--use-space-char",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether PaddleOCR added a space to the dictionary (default: what fits the head)",
    )
    made = parser.add_argument_group("bundle")
    made.add_argument("--out", type=Path, metavar="DIR", help="the bundle's folder")
    made.add_argument(
        "--charset",
        metavar="plate|FILE",
        help="cut the recognition's head to the characters of plates, or of a file with one per line; "
        "one more class then holds the probability of all others",
    )
    made.add_argument(
        "--rec-width",
        type=Rule("", 16, 4096, whole=True).parse,
        action="append",
        metavar="W",
        help="width of the recognition's input in pixels, once for each (default: the model's own, or 320)",
    )
    add_options(made.add_argument, ExportSettings, _OF_BUNDLE)
    made.add_argument("--name", default="", help="the bundle's name (default: its folder's)")
    made.add_argument("--licence", default="unknown", help="SPDX identifier of the weights' licence")
    made.add_argument(
        "--origin",
        type=Path,
        metavar="FILE",
        help="JSON object that the bundle's origin is to hold, too",
    )
    check = parser.add_argument_group("comparison with Paddle")
    check.add_argument(
        "--images", type=Path, metavar="DIR", help="images to compare on (default: drawn ones)"
    )
    add_options(check.add_argument, ExportSettings, _OF_COMPARISON)
    check.add_argument(
        "--report", type=Path, metavar="FILE", help="also write the comparison here; it is kept when it fails"
    )
    other = parser.add_argument_group("instead of an export")
    other.add_argument("--verify", type=Path, metavar="BUNDLE", help="repeat the comparison of a bundle")
    other.add_argument(
        "--pretrained", type=Path, metavar="DIR", help="write PaddleOCR's general weights as .pdparams"
    )
    add_source(other, "--pretrained: ")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    for package, extra in (("onnx", "export"), ("onnxruntime", "cpu")):
        if find_spec(package) is None:
            raise MissingExtraError(package, extra, "`edge-lpr export`")
    modes = [m for m in ("verify", "pretrained", "out") if getattr(args, m) is not None]
    if len(modes) != 1:
        raise SettingError(
            "give one of --out BUNDLE (with --det and --rec), --verify BUNDLE, --pretrained DIR; see: "
            "edge-lpr export --help"
        )
    for option in ("family", "wheel"):
        if getattr(args, option) is not None and args.pretrained is None:
            raise SettingError(f"--{option} goes with --pretrained alone")
    if args.origin is not None and args.out is None:
        raise SettingError("--origin goes with --out alone")
    check_outputs(_outputs(args), _inputs(args))
    if args.verify is not None:
        return _verify(args)
    if args.pretrained is not None:
        return _pretrained(args)
    return _export(args)


def _outputs(args: argparse.Namespace) -> Iterator[Named]:
    """Gives the files that are written; of a bundle that is replaced, all that it holds."""
    if args.out is not None:
        yield from files_in("--out", args.out)
        yield "--out", _kept_report(args.out)
    if args.pretrained is not None:
        yield from (("--pretrained", args.pretrained / name) for name in CHECKPOINTS)
    yield "--report", args.report


def _inputs(args: argparse.Namespace) -> Iterator[Named]:
    for name in ("det", "rec"):
        path = getattr(args, name)
        yield from files_in(f"--{name}", path)
        if path is not None and not path.is_dir():  # an inference model is given by one of its files
            yield from ((f"--{name}", file) for file in path.parent.glob("*") if file.stem == path.stem)
            yield f"--{name}", path.parent / "inference.yml"
    for name in ("images", "verify"):
        yield from files_in(f"--{name}", getattr(args, name))
    yield from ((f"--{name}", getattr(args, name)) for name in ("dict", "charset", "origin", "wheel"))


def _kept_report(bundle: Path) -> Path:
    """Returns where the comparison is kept of a bundle that is not written."""
    return beside(bundle, ".parity.json")


def _pretrained(args: argparse.Namespace) -> int:
    from edge_lpr.export.onnx_to_pdparams import report, write_checkpoints

    report(args.pretrained, write_checkpoints(args.pretrained, source_of(args.family), args.wheel))
    return 0


def _settings(args: argparse.Namespace, unread: list[str]) -> ExportSettings:
    from edge_lpr.datasets.dictionary import check_charset, load_charset_file
    from edge_lpr.export.parity.images import read_images
    from edge_lpr.plates import PLATE_CHARSET

    for option in ("det", "rec"):
        if getattr(args, option) is None:
            raise SettingError(
                f"--{option} is missing: the {option} model, a .pdparams or an inference model"
            )
    keep: tuple[str, ...] | None = None
    if args.charset is not None:
        keep = PLATE_CHARSET if args.charset == "plate" else load_charset_file(args.charset)
        check_charset(keep, args.charset)
    settings = ExportSettings(
        det=args.det,
        rec=args.rec,
        charset=None if args.dict is None else load_charset_file(args.dict),
        charset_label=str(args.dict),
        use_space_char=args.use_space_char,
        keep=keep,
        rec_widths=tuple(sorted(set(args.rec_width))) if args.rec_width else None,
        name=args.name or (args.out or args.verify).resolve().name,
        licence=args.licence,
        origin={} if args.origin is None else load_origin(args.origin),
        **given(args, ExportSettings, ("branch", *_OF_BUNDLE, *_OF_COMPARISON)),
    )
    if args.images is None:
        return settings

    def skip(line: str) -> None:
        unread.append(line)
        say(f"skipped: {line}", stream=sys.stderr)

    images = read_images(args.images, settings.limit, skip)
    return replace(settings, images=images)


def _run_export(args: argparse.Namespace, bundle: Path | None, unread: list[str]) -> Export:
    from edge_lpr.export.exporter import export_bundle

    settings = _settings(args, unread)
    with Progress("export", total=_STEPS, unit="steps", quiet=args.json) as progress:

        def notify(step: str) -> None:
            progress.update(1, step=step)

        return export_bundle(settings, notify, None if bundle is None else load_bundle(bundle))


def _export(args: argparse.Namespace) -> int:
    from edge_lpr.bundle.writer import check_replaceable

    check_replaceable(args.out)
    unread: list[str] = []
    exported = _run_export(args, None, unread)
    if args.report is not None:
        _save(args.report, exported.report)
    if not exported.passed:
        kept = args.report or _kept_report(args.out)
        _save(kept, exported.report)
        _print(args, exported.report, exported.comparisons, args.out)
        raise EdgeLprError(f"the ONNX models do not give what Paddle gives; no bundle is written, see {kept}")
    bundle = exported.write(args.out, json_text(exported.report))
    _print(args, exported.report, exported.comparisons, bundle.path)
    return 2 if unread else 0


def _verify(args: argparse.Namespace) -> int:
    unread: list[str] = []
    if args.det is not None or args.rec is not None:
        exported = _run_export(args, args.verify, unread)
        report, comparisons = exported.report, exported.comparisons
    else:
        from edge_lpr.export.parity.reference import check_reference

        det, rec = check_reference(load_bundle(args.verify))
        comparisons = {"det": [det], "rec": [rec]}
        bound = BOUND if args.bound is None else args.bound
        report = {
            "passed": det.passed(bound) and rec.passed(bound),
            "bound": bound,
            "compared_with": "Paddle's output recorded when the bundle was made",
            **{part: {c.stage: c.as_json(bound) for c in found} for part, found in comparisons.items()},
        }
    if args.report is not None:
        _save(args.report, report)
    _print(args, report, comparisons, args.verify)
    if not report["passed"]:
        raise EdgeLprError(f"{args.verify}: does not give what Paddle gives; export the bundle again")
    return 2 if unread else 0


def _save(path: Path, report: dict[str, Any]) -> None:
    create_folder(path.parent)
    write_json(path, report)


def _print(
    args: argparse.Namespace,
    report: dict[str, Any],
    comparisons: dict[str, list[Comparison]],
    bundle: Path,
) -> None:
    if args.json:
        write_json("-", report)
        return
    stages = [(part, c) for part, found in comparisons.items() for c in found]
    rows = [["", "largest difference", "own rounding", "mean", "compared", "differing"]]
    for part, c in stages:
        what = f"{c.compared} {'boxes' if part == 'det' else 'texts'}"
        own = f"{c.rounding:.1e}" if c.rounding else "-"
        rows.append(
            [f"{part} {c.stage}", f"{c.maximum:.1e}", own, f"{c.mean:.1e}", what, str(len(c.differing))]
        )
    show(table(rows))
    for part in ("det", "rec"):
        if not any(c.compared for c in comparisons[part]):
            what = "box" if part == "det" else "text"
            say(f"{part}: no {what} in these images, so probabilities alone were compared; see --images")
    drawn = False
    for part, c in stages:
        if c.differing:
            say(f"{part} {c.stage} differs:")
            _print_some(c.differing)
        beyond = c.beyond(report["bound"])
        if beyond:
            say(f"{part} {c.stage}, beyond the bound:")
            _print_some(beyond)
            drawn = drawn or report.get("images", {}).get("source") == "drawn"
    if drawn:
        say(
            "these images are drawn; what shows no plate amplifies the last bit: compare photos, --images DIR"
        )
    ignored = [name for names in report.get("ignored_parameters", {}).values() for name in names]
    if ignored:
        heads = sorted({".".join(name.split(".")[:2]) for name in ignored})
        say(
            f"ignored: {counted(len(ignored), 'parameters')} of heads that only training uses "
            f"({', '.join(heads)})"
        )
    if "seconds" in report:
        say(f"{report['seconds']} s, at most {report['peak_memory_mb']} MB")
    say(f"{bundle}: {'as Paddle' if report['passed'] else 'NOT as Paddle'} (bound {report['bound']:g})")


def _print_some(lines: Sequence[str]) -> None:
    for line in lines[:5]:
        say(f"    {line}")
    if len(lines) > 5:
        say(f"    and {len(lines) - 5} more")
    sys.stdout.flush()
