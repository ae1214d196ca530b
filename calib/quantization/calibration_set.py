"""Which images a bundle is calibrated on: a seeded selection, stratified by what plates differ in."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_lpr.datasets.labels import Sample
from edge_lpr.errors import InputError
from edge_lpr.types import Tick

__all__ = ["Strata", "digest", "select", "strata"]

# Candidates looked at for each image that is chosen: CCPD is too large to look at all of it.
CANDIDATES = 8
# Strata of each measure: quarters of the candidates.
QUANTILES = 4


@dataclass(frozen=True)
class Strata:
    """What an image is stratified by: the province, and brightness, sharpness, tilt and size of its plate.

    Attributes:
        province: First character of the plate, "" where unknown.
        values: Mean grey level, variance of the Laplacian, angle of the upper edge in degrees, height in
            pixels.
    """

    province: str
    values: tuple[float, float, float, float]


def strata(sample: Sample) -> Strata:
    """Measures the first plate of an image, or the whole image where its place is unknown.

    Raises:
        InputError: The image cannot be read.
    """
    image = sample.read()
    plate = sample.plates[0] if sample.plates else None
    tilt = 0.0
    region = image
    if plate is not None and plate.corners is not None:
        left, top = np.maximum(plate.corners.min(axis=0), 0).astype(int)
        right, bottom = np.ceil(plate.corners.max(axis=0)).astype(int)
        part = image[top:bottom, left:right]
        region = part if part.size else image
        edge = plate.corners[1] - plate.corners[0]
        tilt = float(np.degrees(np.arctan2(edge[1], edge[0])))
    grey = cv2.cvtColor(region, cv2.COLOR_BGR2GRAY)
    sharpness = float(cv2.Laplacian(grey, cv2.CV_64F).var())
    return Strata(
        plate.text[:1] if plate and not plate.ignored else "",
        (float(grey.mean()), sharpness, tilt, float(region.shape[0])),
    )


def select(
    samples: Sequence[Sample], count: int, seed: int, tick: Tick | None = None
) -> tuple[list[Sample], list[str]]:
    """Selects images so that no province, brightness, sharpness, tilt or size prevails.

    Each measure is cut into strata by its own quantiles; then the candidate whose strata have been taken
    least is taken, again and again.

    Args:
        samples: What there is.
        count: How many to take; all where there are fewer.
        seed: Of the order in which equals are taken, and of the candidates among many.
        tick: Called with 1 after each candidate.

    Returns:
        The selected samples, in the order of `samples`, and a line for each that could not be read.
    """
    order = random.Random(seed).sample(range(len(samples)), min(len(samples), count * CANDIDATES))
    problems = []
    measured: list[tuple[int, Strata]] = []
    for i in order:
        try:
            measured.append((i, strata(samples[i])))
        except InputError as e:
            problems.append(str(e))
        if tick is not None:
            tick(1)
    if not measured:
        return [], problems
    values = np.array([t.values for _, t in measured])
    cuts = np.quantile(values, np.linspace(0, 1, QUANTILES + 1)[1:-1], axis=0)
    indices = (values[None] > cuts[:, None]).sum(axis=0)
    keys: list[list[tuple[str, str | int]]] = [
        [("province", t.province), *((str(k), int(g)) for k, g in enumerate(row))]
        for (_, t), row in zip(measured, indices, strict=True)
    ]
    taken: Counter[tuple[str, str | int]] = Counter()
    free = list(range(len(measured)))
    chosen: list[int] = []
    while free and len(chosen) < count:
        best = min(free, key=lambda j: sum(taken[key] for key in keys[j]))
        free.remove(best)
        taken.update(keys[best])
        chosen.append(measured[best][0])
    return [samples[i] for i in sorted(chosen)], problems


def digest(hashes: Sequence[str]) -> str:
    """Returns the sha256 over hashes of images, hex digits each, in their order."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, hashes))).hexdigest()
