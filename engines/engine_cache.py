"""What lies in the folder of engines: which are valid here, which cannot be used, and what may go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_lpr.backends.tensorrt.engine_folder import read_manifests
from edge_lpr.backends.tensorrt.engine_manifest import ENGINE, MANIFEST, EngineManifest, Machine
from edge_lpr.bundle.manifest import Bundle
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.errors import OutputError
from edge_lpr.signatures import signature_path

VALID = "valid"
SUPERSEDED = "superseded"
STALE = "stale"
FOREIGN = "foreign"
DAMAGED = "damaged"
UNKNOWN = "unchecked"


@dataclass(frozen=True)
class Entry:
    """One engine, or what is left of one.

    Attributes:
        path: The manifest, or a file without one.
        manifest: None where there is none that can be read.
        state: "valid", "superseded" (a newer build of the same model is valid too), "stale" (of another
            model than the bundle's), "foreign" (for another GPU or TensorRT), "damaged", or "unchecked"
            (intact, and no GPU here to compare with).
        reason: Why it is not valid; empty where it is.
    """

    path: Path
    manifest: EngineManifest | None
    state: str
    reason: str

    def files(self) -> list[Path]:
        """Returns the files that belong to it."""
        if self.path.suffix != MANIFEST:
            return [self.path]
        own = [self.path, self.path.with_suffix(ENGINE), signature_path(self.path)]
        return [path for path in own if path.exists()]


def entries(folder: Path, machine: Machine | None, bundle: Bundle | None = None) -> list[Entry]:
    """Looks at all engines of a folder.

    Args:
        folder: Where engines lie.
        machine: This machine; None where there is no GPU to ask.
        bundle: A bundle whose models decide which engines are stale; None judges by the machine alone.

    Returns:
        One entry per engine, newest first, then what is left of others.
    """
    manifests, broken = read_manifests(folder)
    seen: set[tuple[object, ...]] = set()
    found = []
    for manifest in manifests:
        state, reason = _judge(manifest, machine, bundle)
        same = (manifest.bundle, manifest.part, manifest.model_sha256, manifest.frame)
        if state == VALID and same in seen:
            state, reason = SUPERSEDED, "a newer build of the same model is used in its place"
        if state == VALID:
            seen.add(same)
        found.append(Entry(manifest.path, manifest, state, reason))
    found += [Entry(path, None, DAMAGED, reason) for path, reason in broken.items()]
    known = {entry.path.with_suffix(ENGINE) for entry in found}
    left = (
        [path for path in sorted(folder.glob(f"*{ENGINE}")) if path not in known] if folder.is_dir() else []
    )
    left += sorted(folder.glob(".*.part")) if folder.is_dir() else []
    return found + [Entry(path, None, DAMAGED, "no manifest: a build that did not end") for path in left]


def prune(found: Iterable[Entry], states: Sequence[str]) -> list[Entry]:
    """Removes engines.

    Args:
        found: What `entries` returned.
        states: Which states go.

    Returns:
        What was removed.

    Raises:
        OutputError: A file cannot be removed.
    """
    removed = []
    for entry in found:
        if entry.state not in states:
            continue
        for path in entry.files():  # the manifest first: an engine without one is never loaded
            try:
                path.unlink()
            except OSError as e:
                raise OutputError(f"{path}: cannot be removed ({e.strerror or e})") from e
        removed.append(entry)
    return removed


def _judge(manifest: EngineManifest, machine: Machine | None, bundle: Bundle | None) -> tuple[str, str]:
    damage = manifest.damage()
    if damage:
        return DAMAGED, damage
    model = _model(bundle, manifest)
    if bundle is not None and manifest.bundle == bundle.name:
        if model is None:
            return STALE, f"the bundle has no {manifest.precision} model of {manifest.part!r} any more"
        if model.sha256 != manifest.model_sha256:
            return STALE, manifest.differences(model, machine or manifest.machine)[0]
    if machine is None:
        return UNKNOWN, "no GPU here to compare with"
    differences = manifest.differences(None, machine)
    return (FOREIGN, "; ".join(differences)) if differences else (VALID, "")


def _model(bundle: Bundle | None, manifest: EngineManifest) -> ModelFile | None:
    if bundle is None or manifest.part not in ("det", "rec"):
        return None
    models = bundle.det.precisions if manifest.part == "det" else bundle.rec.precisions
    return models.get(manifest.precision)
