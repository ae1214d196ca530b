"""Models where a cluster's machines share no file system: offered beside the plan, taken once a machine.

The command puts the bundle, and its engines, into the archive's own folder, which all machines reach. A
machine that lacks them takes them into its cache; one reader does, and the others wait.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from edge_lpr.archive.job import Job
from edge_lpr.archive.places import Place, write_whole
from edge_lpr.backends import AUTO, BACKENDS
from edge_lpr.bundle.manifest import BUNDLE_JSON, Bundle, bundled
from edge_lpr.environment import cache_folder
from edge_lpr.errors import BackendError, BundleError, EdgeLprError, InputError, MissingExtraError, one_line
from edge_lpr.io.atomic_io import create_folder, write_bytes
from edge_lpr.io.file_lock import locked
from edge_lpr.signatures import signature_path

__all__ = ["made_ready", "may_build", "offer"]


def offer(job: Job, place: Place) -> None:
    """Puts what readers may lack where all machines find it.

    Args:
        job: Names it.
        place: The archive's folder of models.

    Raises:
        BundleError: The bundle is damaged.
        OutputError: It cannot be written.
    """
    bundle = job.load_bundle()
    if bundle.path.parent != bundled().parent:  # the package's own are where the package is
        for path in _files_of(bundle):
            _copy(path, place / "bundle" / path.relative_to(bundle.path).as_posix())
    for kind in BACKENDS:
        if kind.readiness and job.models.get("backend", AUTO) in (AUTO, kind.name):
            folder = (job.models.get("options") or {}).get("engines")
            for manifest in import_module(kind.readiness).offered(bundle, folder):
                signature = signature_path(manifest.path)
                for path in (manifest.engine_path, signature, manifest.path):  # the manifest last
                    if path.exists():
                        _copy(path, place / "engines" / path.name)


def may_build(job: Job) -> bool:
    """Tells whether a machine builds what it lacks, and nobody offers: where its backend was asked for."""
    backend = job.models.get("backend", AUTO)
    return backend != AUTO and bool(BACKENDS[backend].readiness)


def made_ready(job: Job, place: Place) -> Job:
    """Returns a job whose models are on this machine: fetched, or built, where they were not.

    Args:
        job: The job.
        place: See `offer`.

    Raises:
        EdgeLprError: What a reader needs is not to be had here.
    """
    job = _with_bundle(job, place)
    backend, precision = job.models.get("backend", AUTO), job.models.get("precision", AUTO)
    options = dict(job.models.get("options") or {})
    offers = _Engines(place / "engines")
    for kind in BACKENDS if backend == AUTO else [BACKENDS[backend]]:
        if not kind.readiness or (backend == AUTO and kind.absence()):
            continue
        ready = import_module(kind.readiness).make_ready
        # Without --backend what is there is taken: nothing is built, and another backend will do.
        with suppress(*((BackendError, MissingExtraError) if backend == AUTO else ())):
            options = ready(job.load_bundle(), precision, options, offers, build=may_build(job))
    folder = options.get("engines")
    if folder is not None and not Path(folder).is_dir() and offers.names("*"):
        del options["engines"]  # of the command's machine alone, and nothing of it fits here
    if options == (job.models.get("options") or {}):
        return job
    return replace(job, models={**job.models, "options": options})


def _with_bundle(job: Job, place: Place) -> Job:
    """Returns a job whose bundle is here, and is the one that the archive was begun with."""
    if job.models.get("bundle") is None:
        return job
    with suppress(EdgeLprError):
        if job.is_of(job.load_bundle()):
            return job
    folder = cache_folder("bundles") / job.digest[:24]
    mine = replace(job, models={**job.models, "bundle": str(folder)})
    with locked(folder.with_name(f"{folder.name}.lock")):
        if not _is_whole(mine):
            _fetch(mine, place / "bundle", folder)
    return mine


def _fetch(job: Job, place: Place, folder: Path) -> None:
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of one that was killed
    moved = replace(job, models={**job.models, "bundle": str(part)})
    try:
        part.mkdir(parents=True)
        for name in (BUNDLE_JSON, signature_path(Path(BUNDLE_JSON)).name):
            with suppress(FileNotFoundError):
                (part / name).write_bytes((place / name).read_bytes())
        for path in _files_of(moved.load_bundle()):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes((place / path.relative_to(part).as_posix()).read_bytes())
        if not _is_whole(moved):
            raise InputError(f"{place}: not the bundle that the archive was begun with, or damaged")
        shutil.rmtree(folder, ignore_errors=True)  # damaged: no reader has opened it
        part.replace(folder)
    except (OSError, BundleError) as e:
        raise InputError(f"{place}: the bundle cannot be fetched to this machine ({one_line(e)})") from e
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_whole(job: Job) -> bool:
    """Tells whether a bundle is the one of the archive, and each file what its manifest says."""
    try:
        bundle = job.load_bundle()
        for models in bundle.files().values():
            for model in models.values():
                model.read()
    except EdgeLprError:
        return False
    return job.is_of(bundle)


def _files_of(bundle: Bundle) -> Iterator[Path]:
    """Gives the files of a bundle, its manifest last."""
    for models in bundle.files().values():
        yield from (model.path for model in models.values())
    manifest = bundle.path / BUNDLE_JSON
    if signature_path(manifest).exists():
        yield signature_path(manifest)
    yield manifest


def _copy(path: Path, to: Place) -> None:
    """Copies a file, unless one as long is there: of two that are not the same the checksum tells."""
    with suppress(FileNotFoundError):
        if to.stat().st_size == path.stat().st_size and to.read_bytes() == path.read_bytes():
            return
    if isinstance(to, Path):
        create_folder(to.parent)
    write_whole(to, path.read_bytes())


class _Engines:
    """The engines that the command has put beside the plan."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def fetch(self, folder: Path) -> None:
        """See `edge_lpr.engines.readiness.Offers`."""
        for pattern in ("*.engine", "*.minisig", "*.json"):  # manifests last: without one no engine is taken
            for name in self.names(pattern):
                if not (folder / name).exists():
                    write_bytes(folder / name, (self._place / name).read_bytes())

    def names(self, pattern: str) -> list[str]:
        """Returns the names of what is there, by a pattern."""
        return sorted(found.name for found in self._place.glob(pattern))
