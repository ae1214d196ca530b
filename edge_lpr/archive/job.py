"""What an archive's run is: the part of its plan that its rows depend on, and that each reader is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from edge_lpr._version import __version__
from edge_lpr.archive.record_types import check_types
from edge_lpr.archive.settings import CutSettings
from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.errors import InputError, SettingError, shown
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.signatures import load_public_key

__all__ = ["FORMAT", "VERSION", "Job", "absolute"]

FORMAT, VERSION = "edge-lpr-archive", 1
_MODELS = {"bundle": str, "verify_key": str, "backend": str, "precision": str, "options": dict}


@dataclass(frozen=True)
class Job:
    """What is read, and how.

    Attributes:
        sources: As they were given.
        column: The column of Parquet files that list sources.
        models: Arguments of `PlateReader`: bundle, verify_key, backend, precision, options.
        settings: Its thresholds that are not the defaults.
        stride: Every Nth frame of a video is read.
        max_pixels: The largest picture or frame.
        block: See `CutSettings`.
        segment: See `CutSettings`.
        crops: Whether rows have the plates' images.
        digest: Of the bundle's manifest, which has those of all models; "" before it is known.
    """

    sources: tuple[str, ...]
    column: str | None = None
    models: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    stride: int = 1
    max_pixels: int = CaptureOptions.max_pixels
    block: int = CutSettings.block
    segment: float = CutSettings.segment
    crops: bool = False
    digest: str = ""

    @property
    def capture(self) -> CaptureOptions:
        """How videos are read."""
        return CaptureOptions(stride=self.stride, max_pixels=self.max_pixels)

    def to_dict(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return {"format": FORMAT, "version": VERSION, "tool": __version__, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Job:
        """Returns what `to_dict` gave.

        Raises:
            InputError: It is of another version of the kit, or damaged.
        """
        if data.get("format") != FORMAT or data.get("version") != VERSION:
            raise InputError("the plan is none of an archive that this edge-lpr reads; give another --out")
        if data.get("tool") != __version__:
            raise InputError(
                f"the plan was made by edge-lpr {shown(data.get('tool'))}, this is {__version__}: rows of "
                "both would be mixed; go on with that one, or give another --out"
            )
        try:
            values: dict[str, Any] = {one.name: data[one.name] for one in fields(cls)}
            job = cls(**{**values, "sources": tuple(values["sources"])})
            check_types(job)
        except (KeyError, TypeError) as e:
            raise InputError("the plan is damaged; give another --out") from e
        if any(type(value) is not _MODELS.get(name) for name, value in job.models.items()):
            raise InputError(f"the plan is damaged: models {shown(job.models)}; give another --out")
        return job

    def check_same(self, other: Job) -> None:
        """Sees that a run that goes on is asked for what it was begun with.

        Args:
            other: What is asked for now.

        Raises:
            SettingError: Rows would differ; the message names the first option that does.
        """
        before, now = (json.loads(json.dumps(job.to_dict())) for job in (self, other))
        for name, value in before.items():
            if name != "digest" and now[name] != value:
                raise SettingError(
                    f"--resume: the archive was begun with {name} {shown(value)}, and now it is "
                    f"{shown(now[name])}; leave the option out, or give another --out"
                )

    def with_bundle(self) -> Job:
        """Returns it with the digest of its bundle, as that is here.

        Raises:
            BundleError: The bundle is missing or damaged.
            InputError: It is another one than the archive was begun with.
        """
        bundle = self.load_bundle()
        self._check_bundle(bundle)
        return replace(self, digest=_digest(bundle))

    def load_bundle(self) -> Bundle:
        """Returns its bundle, as that is here.

        Raises:
            BundleError: It is missing or damaged.
            SignatureError: It is not signed by the key that is asked for.
        """
        return load_bundle(self.models.get("bundle"), load_public_key(self.models.get("verify_key")))

    def open_reader(self, threads: int) -> PlateReader:
        """Opens a reader.

        Args:
            threads: Of models that run on the CPU.

        Raises:
            EdgeLprError: As for `PlateReader`; and the bundle here is another one than that of the plan.
        """
        models = {**self.models, "options": {"threads": threads, **(self.models.get("options") or {})}}
        reader = PlateReader(**models, settings=self.settings)
        try:
            self._check_bundle(reader.bundle)
        except InputError:
            reader.close()
            raise
        return reader

    def is_of(self, bundle: Bundle) -> bool:
        """Tells whether a bundle is the one that the archive was begun with."""
        return not self.digest or _digest(bundle) == self.digest

    def _check_bundle(self, bundle: Bundle) -> None:
        if not self.is_of(bundle):
            raise InputError(
                f"{bundle.path}: another bundle than the archive was begun with; put that one there, on each "
                "machine"
            )


def _digest(bundle: Bundle) -> str:
    """Returns what tells a bundle from others: of its manifest, which has the digests of all models."""
    return hashlib.sha256(json.dumps(bundle.raw, sort_keys=True).encode()).hexdigest()


def absolute(path: str | None) -> str | None:
    """Returns a path as other processes need it."""
    return None if path is None else str(Path(path).absolute())
