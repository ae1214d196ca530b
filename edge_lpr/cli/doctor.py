"""`edge-lpr doctor`: what this machine has, and what to install for what is missing."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import platform
import sys
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from edge_lpr.cli import COMMANDS
from edge_lpr.console.log_level import shows
from edge_lpr.console.output import say, say_json, show
from edge_lpr.console.streams import libraries_apart
from edge_lpr.console.tables import Cell, table
from edge_lpr.console.text import Style, pad
from edge_lpr.devices import add_device_option, check_device
from edge_lpr.environment import cache_folder, cores, versions
from edge_lpr.errors import BackendError, EdgeLprError, one_line
from edge_lpr.installing import install_command

if TYPE_CHECKING:
    from edge_lpr.bundle.manifest import Bundle

DESCRIPTION = """\
Looks at this machine: Python and packages, video back ends, GPU, TensorRT, the model bundle and
its engines; and reads one image to see that it all works. Looks for what runs that were killed
left half written: in the folder at hand, or in those given. Exit code 0 where plates can be
read, 1 where they cannot."""

EPILOG = """\
examples:
  edge-lpr doctor
  edge-lpr doctor --bundle my-bundle/
  edge-lpr doctor /var/lib/plates                with what killed runs left there
  edge-lpr doctor --json | jq '.checks[] | select(.state != "ok")'
"""

_MARKS: dict[str, tuple[str, Style]] = {
    "ok": ("ok", "green"),
    "missing": ("--", "yellow"),
    "left over": ("??", "yellow"),
    "broken": ("!!", "red"),
}
_EXTRAS = {
    "evaluate": ("rapidfuzz",),
    "export": ("paddle", "paddle2onnx", "onnx", "yaml"),
    "finetune": ("torch", "onnx", "rapidfuzz", "matplotlib", "yaml"),
    "calib": ("onnx", "rapidfuzz", "matplotlib", "jinja2", "scipy"),
    "tensorrt": ("pycuda", "tensorrt"),
    "sign": ("cryptography",),
    "completion": ("shtab",),
}
"""Extras that commands come with, and the modules to look for."""
_ADVICE = "of a run that was killed: give it a name where it is of use, else delete it"
_MODEL_FILE = Path("/proc/device-tree/model")  # names a Jetson


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        group: Which part of the machine.
        name: What was looked at.
        state: "ok", "missing" (an option that is not there), "left over" (what a killed run did not complete)
            or "broken" (plates cannot be read like this).
        found: What was found.
        advice: What to do about it; empty where there is nothing to do.
    """

    group: str
    name: str
    state: str
    found: str
    advice: str = ""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument(
        "folders",
        nargs="*",
        metavar="DIR",
        type=Path,
        default=[Path()],
        help="where to look for what killed runs left (default: the folder at hand)",
    )
    parser.add_argument("--bundle", metavar="DIR", help="model bundle (default: the one in the package)")
    parser.add_argument("--verify-key", metavar="KEY", help="public key that models are to be signed by")
    add_device_option(parser.add_argument)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    check_device(args.device)
    with libraries_apart(shown=shows("debug")):
        machine = [*_system(), *_packages(), *_pictures(), *_video(), *_gpu(args.device or 0)]
        models = _models(args.bundle, args.verify_key, args.device)
        checks = [*machine, *models, *_extras(), *_files(args.folders)]
    able = not any(check.state == "broken" for check in checks)
    if args.json:
        answer = {"version": 1, "able": able, "checks": [asdict(check) for check in checks]}
        say_json(answer)
    else:
        _print(checks, able)
    return 0 if able else 1


def _system() -> list[Check]:
    machine = f"{platform.system()} {platform.release()}, {platform.machine()}, {cores()} CPU cores"
    with contextlib.suppress(OSError):
        machine = f"{_MODEL_FILE.read_text(encoding='utf-8', errors='replace').strip(chr(0))}, {machine}"
    return [
        Check("system", "edge-lpr", "ok", versions("edge-lpr").get("edge-lpr", "from source, not installed")),
        Check("system", "Python", "ok", f"{platform.python_version()} ({sys.executable})"),
        Check("system", "machine", "ok", machine),
    ]


def _packages() -> list[Check]:
    checks = []
    for module, package in (
        ("numpy", "numpy"),
        ("cv2", "opencv-python-headless"),
        ("pyclipper", "pyclipper"),
        ("av", "av"),
        ("PIL", "pillow"),
    ):
        try:
            imported = importlib.import_module(module)
            checks.append(Check("packages", module, "ok", str(getattr(imported, "__version__", "found"))))
        except Exception as e:  # a package for another numpy or glibc fails with anything
            found = one_line(e, named=True)
            checks.append(Check("packages", module, "broken", found, f"pip install {package}"))
    try:
        import onnxruntime as ort

        providers = [p.removesuffix("ExecutionProvider") for p in ort.get_available_providers()]
        found = f"{ort.__version__}, providers {', '.join(providers)}"
        checks.append(Check("packages", "onnxruntime", "ok", found))
    except ModuleNotFoundError:
        advice = f"{install_command('cpu')}, or the extra 'gpu' with an NVIDIA GPU"
        checks.append(Check("packages", "onnxruntime", "missing", "not installed", advice))
    except Exception as e:
        checks.append(
            Check(
                "packages",
                "onnxruntime",
                "broken",
                one_line(e, named=True),
                "pip install --upgrade onnxruntime",
            )
        )
    return checks


def _extras() -> list[Check]:
    """What is there for the commands beside reading; nothing of it is imported."""
    checks = []
    for extra, modules in _EXTRAS.items():
        lacking = [module for module in modules if importlib.util.find_spec(module) is None]
        commands = ", ".join(name for name, command in COMMANDS.items() if command.extra == extra)
        if lacking:
            missing = f"no {', '.join(lacking)}"
            checks.append(Check("commands", commands, "missing", missing, install_command(extra)))
        else:
            checks.append(Check("commands", commands, "ok", f"extra {extra}"))
    return checks


def _pictures() -> list[Check]:
    """The formats of pictures that are not everywhere; what is missing is no reason to read none."""
    heic = importlib.util.find_spec("pillow_heif") is not None
    avif = False
    with contextlib.suppress(ImportError):  # reported under packages
        from PIL import features

        avif = bool(features.check("avif"))
    rows = (
        ("AVIF", avif, "by Pillow", "pip install --upgrade pillow"),
        ("HEIC", heic, "pictures of phones, by pillow-heif", install_command("heif")),
    )
    return [
        Check("pictures", name, "ok" if there else "missing", found, "" if there else advice)
        for name, there, found, advice in rows
    ]


def _video() -> list[Check]:
    try:
        import cv2
    except Exception:  # reported under packages
        return []
    system = "pip's OpenCV has none; use the system's: pip uninstall opencv-python-headless, and"
    kinds = (
        ("FFMPEG", cv2.CAP_FFMPEG, "rtsp:// and other addresses", "pip install opencv-python-headless"),
        ("V4L2", cv2.CAP_V4L2, "cameras on Linux", ""),
        ("GStreamer", cv2.CAP_GSTREAMER, "pipelines", f"{system} apt install python3-opencv"),
    )
    checks = []
    for name, api, purpose, advice in kinds:
        there = cv2.videoio_registry.hasBackend(api)
        checks.append(Check("video", name, "ok" if there else "missing", purpose, "" if there else advice))
    return checks


def _gpu(device: int) -> list[Check]:
    """CUDA, TensorRT and the providers of ONNX Runtime.

    In this order: TensorRT 8.6 ends the process where it is touched without a device.
    """
    from edge_lpr.backends.tensorrt.cuda import kernel_driver, open_gpu

    driver = kernel_driver()
    name = f"driver {driver}" if driver else "no NVIDIA driver"
    try:
        gpu = open_gpu(device)
    except EdgeLprError as e:
        if driver:
            return [
                Check("gpu", "CUDA", "missing", f"{name}; {e}", f"{install_command('tensorrt')} (pycuda)")
            ]
        found = versions("tensorrt").get("tensorrt")
        idle = [Check("gpu", "TensorRT", "missing", f"{found} installed, no GPU for it")] if found else []
        return [Check("gpu", "CUDA", "missing", f"{name}: plates are read on the CPU"), *idle]
    memory = f"{gpu.memory / 2**30:.0f} GiB{', shared with the CPU' if gpu.integrated else ''}"
    found = f"{gpu.name}, compute capability {gpu.compute_capability}, {memory}, CUDA {gpu.cuda}, {name}"
    checks = [Check("gpu", "CUDA", "ok", found)]
    try:
        from edge_lpr.backends.tensorrt.bindings import import_tensorrt

        checks.append(Check("gpu", "TensorRT", "ok", str(import_tensorrt().__version__)))
    except BackendError as e:
        checks.append(Check("gpu", "TensorRT", "missing", str(e)))
    return checks


def _models(path: str | None, key: str | None, device: int | None) -> list[Check]:
    try:
        from edge_lpr.bundle.manifest import load_bundle
        from edge_lpr.signatures import load_public_key

        bundle = load_bundle(path, load_public_key(key))
    except EdgeLprError as e:
        advice = install_command() if path is None and key is None else ""
        return [Check("models", "bundle", "broken", str(e), advice)]
    damaged = []
    for part in (bundle.det, bundle.rec):
        for model in part.precisions.values():
            try:
                model.read()
            except EdgeLprError as e:
                damaged.append(str(e))
    found = f"{bundle.name} ({bundle.path}), precisions {', '.join(bundle.precisions())}"
    if damaged:
        return [
            Check("models", "bundle", "broken", f"{found}; {'; '.join(damaged)}", "copy or export it again")
        ]
    right = "sha256 of all files right" + ("" if key is None else ", signed by the key given")
    whole = Check("models", "bundle", "ok", f"{found}, {right}")
    return [whole, *_engines(bundle), *_try(path, key, device)]


def _engines(bundle: Bundle) -> list[Check]:
    from edge_lpr.backends.tensorrt.engine_folder import engines_folder, read_manifests

    folder = engines_folder()
    manifests, _ = read_manifests(folder, bundle.verify_key)
    found = [m for m in manifests if m.bundle == bundle.name and not m.damage()]
    if not found:
        return [Check("models", "engines", "missing", f"none for this bundle in {folder}")]
    shown = "; ".join(f"{m.part} {m.precision}, {m.machine}" for m in found)
    return [Check("models", "engines", "ok", f"{shown} ({folder})")]


def _try(path: str | None, key: str | None, device: int | None) -> list[Check]:
    """Reads one blank image with what --backend auto takes."""
    try:
        import numpy as np

        from edge_lpr.pipeline.reader import PlateReader

        with PlateReader(path, verify_key=key, device=device) as reader:
            blank = np.full((240, 320, 3), 127, np.uint8)
            reader.read(blank)
            began = time.monotonic()
            reader.read(blank)
            spent = (time.monotonic() - began) * 1000
            trial = Check("models", "trial", "ok", f"{reader.description}; {spent:.0f} ms for a blank image")
            det = reader.detector.backend
            fallen = (det.name, det.device) == ("onnxruntime", "cuda")
            return [trial, *(_left_on_the_cpu(reader.bundle, det.precision, device or 0) if fallen else ())]
    except Exception as e:  # what breaks here is what doctor is asked about
        found = str(e) if isinstance(e, EdgeLprError) else one_line(e, named=True)
        return [Check("models", "trial", "broken", found)]


def _left_on_the_cpu(bundle: Bundle, precision: str, device: int) -> list[Check]:
    """What ONNX Runtime's CUDA provider has no kernels for."""
    import numpy as np

    from edge_lpr.backends.onnxruntime import nodes_on_cpu
    from edge_lpr.types import PARTS

    checks = []
    sizes = {"det": (256, 256), "rec": (bundle.rec.height, bundle.rec.widths[0])}
    for part in PARTS:
        size, name = sizes[part], (bundle.det if part == "det" else bundle.rec).input_name
        blank = np.full((1, *size, 3), 127, np.uint8)
        try:
            found = nodes_on_cpu(bundle.model(part, precision), {name: blank}, device)
        except EdgeLprError as e:
            checks.append(Check("models", f"{part} on the GPU", "missing", str(e)))
            continue
        shown = ", ".join(f"{kind} ({n})" for kind, n in found.most_common())
        said = f"on the CPU, with copies there and back: {shown}" if shown else "all of its nodes"
        checks.append(Check("models", f"{part} on the GPU", "missing" if shown else "ok", said))
    return checks


def _files(folders: list[Path]) -> list[Check]:
    """What runs that were killed left half written."""
    from edge_lpr.backends.tensorrt.engine_folder import engines_folder
    from edge_lpr.io.leftovers import find_leftovers

    found = list(find_leftovers([*folders, cache_folder("calibrate"), engines_folder()]))
    if not found:
        where = ", ".join(str(folder) for folder in folders)
        return [Check("files", "left over", "ok", f"nothing by a run that was killed, in {where}")]
    return [
        Check(
            "files",
            "left over",
            "left over",
            f"{part.path} ({part.size / 1e6:.1f} MB, {datetime.fromtimestamp(part.modified):%Y-%m-%d %H:%M})",
            _ADVICE if part.certain else f"if no run is writing it: {_ADVICE}",
        )
        for part in found
    ]


def _print(checks: list[Check], able: bool) -> None:
    width = max(len(check.name) for check in checks)
    for group, members in groupby(checks, lambda check: check.group):
        say((group, "bold"))
        rows: list[list[Cell]] = []
        for check in members:
            # All groups have their columns in the same places.
            rows.append(["", _MARKS[check.state], pad(check.name, width), check.found])
            if check.advice:
                rows.append(["", "", "", (f"→ {check.advice}", "yellow")])
        show(table(rows, left=range(4), head=False, wrap=True))
    end = (
        "plates can be read on this machine"
        if able
        else "plates cannot be read on this machine: see !! above"
    )
    say((end, "green" if able else "red"))
