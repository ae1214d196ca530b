"""PaddleOCR's own code, which the golden files of this folder are made with.

Its own wheels leave `ppocr/modeling`, `losses`, `optimizer` and `metrics` out. One that has all of 2.10.0 is

    pip download --no-deps unstructured-paddleocr==2.10.0

and a clone of PaddleOCR does as well. The extra `export` has PaddlePaddle.
"""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
import types
import zipfile
from pathlib import Path

__all__ = ["use"]


def use(place: str) -> None:
    """Lets `ppocr` be imported.

    Args:
        place: A clone, or the wheel.
    """
    path = Path(place)
    if zipfile.is_zipfile(path):
        path = Path(tempfile.mkdtemp(prefix="paddleocr-"))
        atexit.register(shutil.rmtree, path)
        zipfile.ZipFile(place).extractall(path)
        path = next(path.glob("*/ppocr")).parent
    sys.path.insert(0, str(path))
    # Its networks import what downloads weights, and that imports these.
    for name in ("requests", "tqdm"):
        stand_in = types.ModuleType(name)
        stand_in.tqdm = None  # type: ignore[attr-defined]
        sys.modules.setdefault(name, stand_in)
    # The start of these packages imports all of their files, with what those need.
    for name in ("data", "metrics"):
        package = types.ModuleType(f"ppocr.{name}")
        package.__path__ = [str(path / "ppocr" / name)]
        sys.modules[f"ppocr.{name}"] = package
