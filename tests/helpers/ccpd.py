"""A small CCPD download: two images of one plate, a green one, and one without a plate."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

ONE = "025-90_90-20&10_80&30-80&30_20&30_20&10_80&10-0_0_22_27_27_33_16-37-15.jpg"
SAME_PLATE = ONE.replace("-37-15", "-99-15")
GREEN = "02-90_90-20&10_80&30-80&30_20&30_20&10_80&10-0_0_5_24_30_31_32_33-154-77.jpg"


def make_image(path: Path, size: tuple[int, int] = (40, 100)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros((*size, 3), np.uint8)
    image[10:30, 20:80] = (200, 50, 20)
    cv2.imencode(path.suffix, image)[1].tofile(path)
    return path


def write_ccpd(root: Path) -> Path:
    for name in (ONE, SAME_PLATE):
        make_image(root / "ccpd_base" / name)
    make_image(root / "ccpd_green" / GREEN)
    make_image(root / "ccpd_np" / "0001.jpg")
    return root
