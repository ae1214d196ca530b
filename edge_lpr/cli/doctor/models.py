"""The models: the bundle, its engines, and one image read with them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge_lpr.cli.doctor.check import Check
from edge_lpr.cli.doctor.speeds import speed_checks
from edge_lpr.errors import EdgeLprError, one_line
from edge_lpr.installing import install_command

if TYPE_CHECKING:
    from edge_lpr.bundle.manifest import Bundle

__all__ = ["model_checks"]


def model_checks(
    path: str | None, key: str | None, device: int | None, bench: bool = False, threads: int | None = None
) -> list[Check]:
    """The bundle with its files and engines, whether plates can be read with it, and how fast it is.

    Args:
        path: The bundle's folder; None is the one in the package.
        key: The public key that it is to be signed by.
        device: Number of the GPU; None where none was asked for.
        bench: Whether its speed is measured again.
        threads: Threads of that; None is one per core.
    """
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
    return [whole, *_engines(bundle), *_try(path, key, device), *speed_checks(bundle, bench, threads)]


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
