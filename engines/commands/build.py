"""`edge-lpr build`: TensorRT engines of a bundle, for the GPU of this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_lpr.backends.tensorrt.engine_folder import FOLDER_VARIABLE, engines_folder
from edge_lpr.backends.tensorrt.engine_manifest import ENGINE, EngineManifest
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.console.output import say, say_json
from edge_lpr.console.progress import Progress
from edge_lpr.console.text import duration, pad
from edge_lpr.devices import add_device_option
from edge_lpr.engines.commands._options import add_build_options, settings_from
from edge_lpr.errors import EdgeLprError, SettingError
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.precisions import engine_precisions
from edge_lpr.signatures import load_public_key

if TYPE_CHECKING:
    from edge_lpr.backends.tensorrt.engine_manifest import Machine
    from edge_lpr.bundle.manifest import Bundle
    from edge_lpr.engines.build import BuildJob
    from edge_lpr.engines.build_settings import BuildSettings

DESCRIPTION = """\
Build TensorRT engines of a bundle, on the machine that will run them: an engine belongs to one
GPU and one TensorRT version. It takes minutes per model, once; edge-lpr then uses the engines
by itself, and says so. What is there and still fits is not built again. Each profile is built in
a process of its own: a build that was killed goes on from there."""
EXAMPLES = """\
examples:
  edge-lpr build                                  the default bundle, in all its precisions
  edge-lpr build my-bundle --precision fp16       one precision
  edge-lpr build --det-size 1120x640 --batch 1    one camera of 16:9, frame by frame
  edge-lpr build --batch 1 8 32                   fast for one image, for 8 and for 32
  edge-lpr build --rebuild never --json           only tell what is missing or stale
  edge-lpr build --dry-run                        show what would be built; needs no GPU
  edge-lpr build --triton repository/             both models for NVIDIA Triton, as ONNX

Engines lie in ~/.cache/edge-lpr/engines, or where $EDGE_LPR_ENGINES or --out says; edge-lpr takes
those of --out with --engines."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EXAMPLES
    add = parser.add_argument
    add("bundle", nargs="?", metavar="BUNDLE", help="a bundle's folder (default: the one of the package)")
    add(
        "--precision",
        nargs="+",
        choices=engine_precisions(),
        default=(),
        help="(default: all that the bundle has for engines)",
    )
    add("--out", metavar="DIR", help="where the engines go")
    add_device_option(add)
    add("--verify-key", metavar="KEY", help="build only from a bundle signed by this public key")
    add_build_options(parser, "what the bundle makes of 1920x1080, lying and upright")
    parser.add_argument(
        "--rebuild",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto builds what is missing or stale (default)",
    )
    parser.add_argument(
        "--quick-first",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="where a model has no engine yet, one that is built in seconds and runs slower is there until "
        "the real one is (default)",
    )
    add = parser.add_argument_group("NVIDIA Triton").add_argument
    add(
        "--triton",
        metavar="DIR",
        help="write a model repository for Triton instead: ONNX of one --precision (default fp32), which "
        "needs no GPU; --batch is the most that are joined",
    )
    add(
        "--triton-plans",
        action="store_true",
        help="with --triton: engines that were built with --float-map, in place of ONNX",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be built, and stop")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Builds the engines; one that fails does not stop the others."""
    from edge_lpr.engines.build import build_jobs
    from edge_lpr.engines.build_process import drop_quick

    bundle = load_bundle(args.bundle, load_public_key(args.verify_key))
    if args.triton is not None:
        return _write_repository(args, bundle)
    if args.triton_plans:
        raise SettingError("--triton-plans goes with --triton")
    settings = settings_from(args)
    jobs = list(build_jobs(bundle, args.precision, settings))
    folder = engines_folder(args.out)
    if args.dry_run:
        return _show(jobs, folder, settings, args.json)
    from edge_lpr.backends.tensorrt.api import TensorRT

    api = TensorRT.open(args.device)
    machine = api.machine
    manifests = [job.path(folder, machine) for job in jobs]
    outputs = [("--out", path) for m in manifests for path in (m, m.with_suffix(ENGINE))]
    check_outputs(outputs, chain(files_in("BUNDLE", bundle.path), [("--verify-key", args.verify_key)]))
    code = 0
    report: list[dict[str, Any]] = []
    if args.quick_first and args.rebuild != "never":
        _build_quick(jobs, folder, machine, args)
    for number, job in enumerate(jobs, 1):
        manifest = None if args.rebuild == "always" else job.existing(folder, machine)
        state, error = "there", ""
        if manifest is None and args.rebuild == "never":
            state, code = "missing", 1
        elif manifest is None:
            try:
                label = f"{job.label} ({number} of {len(jobs)})"
                manifest = _build(job, folder, machine, args.device, label)
                drop_quick(job, folder, machine)
                state = "built"
            except EdgeLprError as e:
                state, error, code = "failed", str(e), max(code, e.exit_code)
                say(f"edge-lpr build: {job.label}: {error}", stream=sys.stderr)
        entry = {"part": job.part, "precision": job.model.precision, "state": state, "error": error}
        report.append({**entry, "manifest": manifest.to_json() if manifest else None})
        if not args.json:
            _say(job, state, manifest)
    if args.json:
        say_json({"folder": str(folder), "engines": report})
    elif any(entry["state"] == "missing" for entry in report):
        place = f" --out {args.out}" if args.out else ""
        say(f"build them: edge-lpr build{' ' + args.bundle if args.bundle else ''}{place}")
    elif folder != engines_folder():
        say(
            f"edge-lpr reads with them: edge-lpr --engines {folder} SOURCE, or export {FOLDER_VARIABLE}="
            f"{folder.absolute()}"
        )
    return code


def _write_repository(args: argparse.Namespace, bundle: Bundle) -> int:
    from edge_lpr.engines.triton import engines_for, models_of, write_repository

    if len(args.precision) > 1:
        raise SettingError("--triton: a repository has one precision of each model; give one --precision")
    precision = args.precision[0] if args.precision else "fp32"
    folder = Path(args.triton)
    models = models_of(bundle, precision, max(args.batches or (8,)))
    if args.triton_plans:
        models = engines_for(models, engines_folder(args.out))
    inputs = chain(files_in("BUNDLE", bundle.path), [("--verify-key", args.verify_key)])
    check_outputs((("--triton", path) for model in models for path in model.paths(folder)), inputs)
    for path in write_repository(folder, models):
        say(str(path))
    return 0


def _build_quick(jobs: Sequence[BuildJob], folder: Path, machine: Machine, args: argparse.Namespace) -> None:
    """Builds an engine of each model that has none here, in seconds, until the real one is there."""
    from edge_lpr.engines.build_process import is_served, quick_job

    for number, job in enumerate(jobs, 1):
        quick = quick_job(job)
        if quick is None or is_served(job, folder, machine):
            continue
        try:
            label = f"{job.label}, a quick one first ({number} of {len(jobs)})"
            manifest = _build(quick, folder, machine, args.device, label)
        except EdgeLprError:  # the real one fails as well, and tells why
            continue
        if not args.json:
            _say(job, "quick", manifest)


def _build(job: BuildJob, folder: Path, machine: Machine, device: int | None, label: str) -> EngineManifest:
    from edge_lpr.engines.build_process import build_in_processes

    with Progress(label, unit="steps") as progress:

        def tell(stage: str, phase: str, steps: int) -> None:
            progress.update(steps - progress.count, **{"": f"{stage} {phase}".strip()})

        return build_in_processes(job, folder, machine, device=device, tell=tell)


def _say(job: BuildJob, state: str, manifest: EngineManifest | None) -> None:
    detail = ""
    if manifest is not None:
        size = f"{manifest.engine_bytes / 1e6:6.1f} MB"
        detail = f"  {size}  {duration(manifest.seconds):>7}  {manifest.engine_path}"
    # One by one as they are done, minutes apart: no table.
    say((pad(state, 8), "green" if manifest else "yellow"), f"{pad(job.label, 9)}{detail}")


def _show(jobs: list[BuildJob], folder: Path, settings: BuildSettings, as_json: bool) -> int:
    if as_json:
        engines = [
            {
                "part": job.part,
                "precision": job.model.precision,
                "model": str(job.model.path),
                "profiles": [{"min": p.min, "opt": p.opt, "max": p.max} for p in job.profiles],
            }
            for job in jobs
        ]
        shown = {"folder": str(folder), "flags": settings.flags(), "engines": engines}
        say_json(shown)
        return 0
    for job in jobs:
        say(f"{job.label:<9} {job.model.path}")
        for profile in job.profiles:
            say(f"          batch×height×width×3: {profile}, fastest at {'×'.join(map(str, profile.opt))}")
    say(f"into {folder}")
    return 0
