"""Engines that a machine of a cluster lacks: taken from others, or built, once for all of its readers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from edge_lpr.backends.base import AUTO
from edge_lpr.backends.tensorrt.api import TensorRT
from edge_lpr.backends.tensorrt.engine_folder import engines_folder, find_engine, read_manifests
from edge_lpr.backends.tensorrt.engine_manifest import EngineManifest, Machine
from edge_lpr.bundle.manifest import Bundle
from edge_lpr.engines.build import build_jobs
from edge_lpr.engines.build_process import build_in_processes
from edge_lpr.engines.build_settings import BuildSettings
from edge_lpr.engines.engine_cache import DAMAGED, Entry, prune
from edge_lpr.errors import BackendError, EdgeLprError, SignatureError
from edge_lpr.io.file_lock import locked
from edge_lpr.precisions import PRECISIONS, engine_precisions
from edge_lpr.types import PARTS

__all__ = ["Offers", "make_ready", "offered"]


class Offers(Protocol):
    """Engines that lie elsewhere."""

    def fetch(self, folder: Path) -> None:
        """Puts them into a folder, as far as they are not there, each manifest last."""
        ...


def make_ready(
    bundle: Bundle, precision: str, options: Mapping[str, Any], offers: Offers, *, build: bool
) -> dict[str, Any]:
    """Sees that this machine has engines of a bundle that fit it.

    All readers of a machine call it, and one of them does the work, while the others wait; where that one
    is killed, the next takes over. An engine that is not what its manifest says is made anew.

    Args:
        bundle: The bundle.
        precision: A precision's name, or "auto": any that has engines, else the first that has models.
        options: Of the backend: `engines`, their folder, where that is one here; `device`.
        offers: Engines of other machines.
        build: Whether what none of them fits is built here, which takes minutes.

    Returns:
        The options, with the folder of this machine.

    Raises:
        EdgeLprError: TensorRT cannot be used here, or a build failed.
    """
    device = options.get("device")
    machine = TensorRT.open(device).machine
    given = options.get("engines")
    folder = engines_folder(given if given is None or Path(given).is_dir() else None)
    there = [name for name in bundle.precisions() if name in engine_precisions()]
    names = [p.name for p in sorted(PRECISIONS, key=lambda p: p.engine_rank) if p.name in there]
    wanted = names if precision == AUTO else [precision]
    with locked(folder / ".readiness.lock"):
        _drop_damaged(folder, machine)
        if not any(_has(bundle, name, folder, machine) for name in wanted):
            offers.fetch(folder)
            _drop_damaged(folder, machine)
        if build and wanted and not any(_has(bundle, name, folder, machine) for name in wanted):
            if bundle.verify_key is not None:
                raise SignatureError(
                    f"{folder}: no signed engine of {bundle.name} fits {machine}; build and sign them there: "
                    f"edge-lpr build, edge-lpr sign"
                )
            for job in build_jobs(bundle, wanted[:1], BuildSettings()):
                if job.existing(folder, machine) is None:
                    build_in_processes(job, folder, machine, device=device)
    return {**options, "engines": str(folder)}


def offered(bundle: Bundle, folder: str | Path | None) -> list[EngineManifest]:
    """Returns the engines of a bundle's models that lie in a folder, as far as they are whole.

    Args:
        bundle: The bundle.
        folder: See `edge_lpr.backends.tensorrt.engine_folder.engines_folder`.
    """
    models = {model.sha256 for files in bundle.files().values() for model in files.values()}
    manifests, _ = read_manifests(engines_folder(folder), bundle.verify_key)
    return [one for one in manifests if one.model_sha256 in models and not _damage(one)]


def _has(bundle: Bundle, precision: str, folder: Path, machine: Machine) -> bool:
    try:
        for part in PARTS:
            find_engine(folder, bundle.model(part, precision), machine, bundle.verify_key)
    except EdgeLprError:
        return False
    return True


def _drop_damaged(folder: Path, machine: Machine) -> None:
    """Takes away what this machine would load and cannot: it is made anew, whole."""
    for manifest in read_manifests(folder)[0]:
        if not manifest.differences(None, machine) and (damage := _damage(manifest)):
            prune([Entry(manifest.path, manifest, DAMAGED, damage)], [DAMAGED])


def _damage(manifest: EngineManifest) -> str:
    """Tells in what an engine's file is not what its manifest says, its checksum included."""
    try:
        manifest.read_engine()
    except (BackendError, SignatureError) as e:
        return str(e)
    return ""
