"""`edge-lpr compare`: what each precision of a bundle costs and brings."""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path

from edge_lpr.backends import AUTO, backend_choices
from edge_lpr.cli.options import add_backend_options, backend_arguments
from edge_lpr.console.output import say, show
from edge_lpr.errors import MissingExtraError
from edge_lpr.io.claims import check_outputs, files_in

REPORT = "report.json"
DESCRIPTION = """\
Runs every precision of a bundle over the same labelled images, each in a process of its own,
and sets it against FP32: detection (precision, recall, hmean), recognition (exact text,
normalised edit distance), end to end (recall, precision, F, character accuracy), latency,
size and peak memory; with confidence intervals of the paired differences, since one per cent
of 500 plates is 5 plates. Latencies are those of single runs, one image or one plate each.

--gate P:N holds where precision P loses no more than N points, and where enough was seen to
rule out that it does: of 183 images none may be lost for 2 points, of 736 for 0.5. Where too
little was seen, it fails and says how many images it would take.

--out writes report.html, which needs no other file, with plots as PNG and report.json beside
it: by subset, the characters confused, the images that changed from right to wrong, and the
machine and date of the figures.

INT8's accuracy should carry over from a CPU to a GPU, which reads the same file with the same
scales; its speed does not: on a CPU ONNX Runtime computes its convolutions in float, with
conversions between them.
"""

EPILOG = """\
exit codes: 0; 1 where a precision loses more than its --gate, or too little was seen to tell; else
2 where images could not be read, and were left out

examples:
  edge-lpr compare mybundle --data plates/ --out report
  edge-lpr compare mybundle --data plates/ --gate int8:0.5 --gate fp16:0.1
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("bundle", metavar="BUNDLE", help="folder of the bundle")
    parser.add_argument("--data", nargs="+", required=True, metavar="DATA", help="labelled images")
    parser.add_argument(
        "--backend",
        nargs="+",
        default=[AUTO],
        choices=backend_choices(),
        help="backends to run on (default: auto)",
    )
    add_backend_options(parser.add_argument)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for report.html, report.json and plots"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON, '-' for standard output")
    parser.add_argument(
        "--gate",
        action="append",
        default=[],
        metavar="P:N",
        help="fail unless precision P is shown to lose no more than N points",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    try:
        from edge_lpr.bundle.manifest import load_bundle
        from edge_lpr.calib.comparison import compare as stage
        from edge_lpr.calib.comparison.report import differences, report_files, summary, write_report
        from edge_lpr.datasets.labels import label_inputs
        from edge_lpr.io.atomic_io import check_writable, create_folder, write_json
    except ImportError as e:
        raise MissingExtraError(e.name or "rapidfuzz", "calib", "`edge-lpr compare`") from e
    outputs = [("--out", path) for path in (report_files(args.out) if args.out else ())]
    outputs += [("--out", args.out / REPORT)] if args.out else []
    inputs = chain(files_in("BUNDLE", args.bundle), label_inputs("--data", args.data))
    check_outputs([*outputs, ("--json", args.json)], inputs)
    check_writable(args.json)
    if args.out:
        create_folder(args.out)
    limits = stage.gates(args.gate)
    bundle = load_bundle(args.bundle)
    unread: list[str] = []

    def leave_out(line: str) -> None:
        unread.append(line)
        say(line, stream=sys.stderr)

    measured = stage.compare_precisions(
        args.bundle,
        args.data,
        args.backend,
        backend_arguments(args),
        lambda line: say(line, stream=sys.stderr),
        leave_out,
    )
    if args.json != "-":
        show(str(summary(measured)))
        if len(measured) > 1:
            say()
            show(str(differences(measured)))
    data = stage.to_json(measured, args.data, bundle)
    if args.out:
        write_report(args.out, measured, f"{bundle.name}: precisions compared")
        write_json(args.out / REPORT, data)
    if args.json:
        write_json(args.json, data)
    failed = stage.check_gates(measured, limits)
    for line in failed:
        say(f"gate: {line}", stream=sys.stderr)
    return 1 if failed else 2 if unread else 0
