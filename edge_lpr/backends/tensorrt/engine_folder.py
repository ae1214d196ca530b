"""Where engines lie, and which of them runs a model on a machine."""

from __future__ import annotations

import os
from pathlib import Path

from edge_lpr.backends.tensorrt.engine_manifest import MANIFEST, EngineManifest, Machine, read_manifest
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.environment import cache_folder
from edge_lpr.errors import BackendError, SignatureError
from edge_lpr.signatures import PublicKey
from edge_lpr.types import Size

FOLDER_VARIABLE = "EDGE_LPR_ENGINES"


def engines_folder(folder: str | Path | None = None) -> Path:
    """Returns where engines lie: the folder given, else $EDGE_LPR_ENGINES, else the user's cache.

    The bundle's own folder will not do: the default bundle lies inside the installed package, and one bundle
    on a network drive serves machines with different GPUs.
    """
    if folder is not None:
        return Path(folder)
    if os.environ.get(FOLDER_VARIABLE):
        return Path(os.environ[FOLDER_VARIABLE])
    return cache_folder("engines")


def read_manifests(
    folder: Path, verify_key: PublicKey | None = None
) -> tuple[list[EngineManifest], dict[Path, str]]:
    """Reads all manifests of a folder.

    Args:
        folder: The folder; it need not be there.
        verify_key: The key that they have to be signed with; None asks for no signature.

    Returns:
        The manifests, newest build first, and for each file that is none the reason.
    """
    manifests: list[EngineManifest] = []
    broken: dict[Path, str] = {}
    for path in sorted(folder.glob(f"*{MANIFEST}")) if folder.is_dir() else ():
        try:
            manifests.append(read_manifest(path, verify_key))
        except (BackendError, SignatureError) as e:
            broken[path] = str(e)
    return sorted(manifests, key=lambda m: m.created, reverse=True), broken


def find_engine(
    folder: Path, model: ModelFile, machine: Machine, verify_key: PublicKey | None = None
) -> EngineManifest:
    """Finds the newest engine of a model that fits a machine, and takes images in the model's sizes.

    Args:
        folder: Where engines lie.
        model: The model.
        machine: The machine that is to run it.
        verify_key: The key that engines have to be signed with; None asks for no signature.

    Raises:
        SignatureError: There is none, but some are not signed by that key, or are not what was signed.
        BackendError: There is none; says what differs in the one that comes nearest, and what to type.
    """
    remedy = f"build it: edge-lpr build {model.path.parent} --precision {model.precision}"
    if folder != engines_folder():
        remedy += f" --out {folder}"
    manifests, broken = read_manifests(folder, verify_key)
    nearest: tuple[int, str] | None = None
    for manifest in manifests:
        if manifest.frame is not None:
            continue
        same_model = manifest.model_sha256 == model.sha256
        if not same_model and (manifest.model_file, manifest.precision) != (model.path.name, model.precision):
            continue
        differences = manifest.differences(model, machine)
        damage = manifest.damage()
        if not differences and not damage:
            return manifest
        rank = len(differences) + bool(damage)
        if nearest is None or rank < nearest[0]:
            said = "; ".join([*differences, *([damage] if damage else [])])
            nearest = rank, f"{manifest.engine_path}: {said}; {remedy}"
    if verify_key is not None and broken:
        others = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise SignatureError(f"{next(iter(broken.values()))}{others}")
    if nearest is not None:
        raise BackendError(nearest[1])
    raise BackendError(f"no engine of {model.path.name} in {folder}; {remedy}")


def find_frame_engines(
    folder: Path, model: ModelFile, machine: Machine, verify_key: PublicKey | None = None
) -> dict[tuple[Size, Size], EngineManifest]:
    """Finds the engines of a model that resize whole frames, and fit a machine; others are left out.

    Args:
        folder: Where engines lie.
        model: The model.
        machine: The machine that is to run it.
        verify_key: The key that engines have to be signed with; None asks for no signature.

    Returns:
        The newest one for each size of frames and of the network's input.
    """
    found: dict[tuple[Size, Size], EngineManifest] = {}
    for manifest in read_manifests(folder, verify_key)[0]:
        if manifest.frame is None or manifest.model_sha256 != model.sha256:
            continue
        if not manifest.differences(model, machine) and not manifest.damage():
            found.setdefault(manifest.frame, manifest)
    return found
