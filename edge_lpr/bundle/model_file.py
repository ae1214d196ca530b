"""One model of a bundle: the file, and what was promised of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_lpr.bundle.onnx_check import check_onnx
from edge_lpr.errors import BundleError
from edge_lpr.io.bounded_io import read_bounded

__all__ = ["ModelFile"]


@dataclass(frozen=True)
class ModelFile:
    """One ONNX file of a bundle.

    Attributes:
        path: Where it lies.
        sha256: Hex digest that `bundle.json` promises.
        size: Length in bytes that `bundle.json` promises.
        precision: "fp32", "fp16" or "int8".
        extra: What else `bundle.json` says of it (accuracy, layers kept, share of multiply-adds in INT8).
        largest: The largest input that it is to take, N×H×W×3: what its work is bounded at. None where it is
            of no bundle: it is not looked into then.
    """

    path: Path
    sha256: str
    size: int
    precision: str
    extra: Mapping[str, Any]
    largest: tuple[int, int, int, int] | None = None

    def read(self) -> bytes:
        """Reads the file, checks its length and sha256, and that it may be run (`check_onnx`).

        Returns:
            The ONNX file's bytes.

        Raises:
            BundleError: It is missing, unreadable, not the file that the bundle was made with, or no model
                that is to be run.
        """
        again = "make or copy the bundle again"
        replaced = f"the file is damaged or was replaced; {again}"
        size = f"{{size}} bytes, but bundle.json promises {self.size}: {replaced}"
        missing = f"{self.path}: cannot be read (no such file); {again}"
        data = read_bounded(self.path, self.size, "a model", BundleError, excess=size, missing=missing)
        if len(data) < self.size:
            raise BundleError(f"{self.path}: {size.format(size=len(data))}")
        digest = hashlib.sha256(data).hexdigest()
        if digest != self.sha256:
            promised = f"bundle.json promises {self.sha256[:12]}…: {replaced}"
            raise BundleError(f"{self.path}: sha256 {digest[:12]}…, but {promised}")
        if self.largest is not None:
            try:
                check_onnx(data, self.largest)
            except ValueError as e:
                shape = "×".join(map(str, self.largest))
                raise BundleError(
                    f"{self.path}: not run: {e} (for an input of {shape}); export the model again"
                ) from e
        return data
