"""Where training pictures come from: rendered plates, plates swapped into photos, labelled pictures as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_lpr.calib.labels import Sample
from edge_lpr.errors import EdgeLprError
from edge_lpr.finetune import swap
from edge_lpr.finetune.render_plate import PlateMix, sample_plate
from edge_lpr.finetune.render_scene import CropSettings, SceneSettings, render_crop, render_scene

__all__ = ["Photo", "RenderedCrops", "Scenes", "load_photos"]

Image = NDArray[np.uint8]
Quad = NDArray[np.float32]
Rng = np.random.Generator
# Photos are kept decoded; 64 of 1160×720 are 160 MB.
MAX_PHOTO_BYTES = 1 << 30


class Photo:
    """A labelled photo, decoded, with what its plates look like.

    Attributes:
        image: uint8 H×W×3 BGR.
        quads: float32 4×2 per plate, tl-tr-br-bl, in pixels.
        looks: What `swap.measure` saw of each plate.
    """

    def __init__(self, image: Image, quads: Sequence[Quad]) -> None:
        self.image = image
        self.quads = list(quads)
        self.looks = [swap.measure(image, quad) for quad in quads]


def load_photos(samples: Sequence[Sample]) -> list[Photo]:
    """Decodes the scenes among samples whose plates all have corners, up to a gibibyte of them.

    A picture that cannot be read is left out.
    """
    photos, total = [], 0
    for sample in samples:
        quads = [plate.corners for plate in sample.plates or ()]
        if sample.crop or any(quad is None for quad in quads) or total > MAX_PHOTO_BYTES:
            continue
        try:
            image = sample.read()
        except EdgeLprError:
            continue
        photos.append(Photo(image, [quad for quad in quads if quad is not None]))
        total += image.nbytes
    return photos


class RenderedCrops:
    """Draws plates as a detector would cut them out.

    Args:
        mix: What the plates say.
        settings: How they are photographed.
        photos: Photos whose plates are replaced, for real light and surroundings.
        swapped: Share of crops that are such replaced plates; without photos none are.
    """

    def __init__(
        self,
        mix: PlateMix | None = None,
        settings: CropSettings | None = None,
        photos: Sequence[Photo] = (),
        swapped: float = 0.3,
    ) -> None:
        self.mix, self.settings, self.swapped = mix or PlateMix(), settings or CropSettings(), swapped
        self.photos = [photo for photo in photos if photo.quads]

    def __call__(self, rng: Rng) -> tuple[Image, str]:
        plate = sample_plate(rng, self.mix)
        if self.photos and rng.random() < self.swapped:
            photo = self.photos[int(rng.integers(len(self.photos)))]
            i = int(rng.integers(len(photo.quads)))
            return swap.swap_crop(photo.image, photo.quads[i], plate, rng, photo.looks[i]), plate.text
        return render_crop(plate, rng, self.settings), plate.text


class Scenes:
    """Draws scenes for the detector: drawn ones, photos with other plates in them, photos as they are.

    Args:
        photos: Labelled photos; those without a plate serve as backgrounds too.
        swapped: Share of scenes that are photos whose plates were replaced.
        real: Share of scenes that are photos as they are, seen from elsewhere.
        settings: What drawn scenes show.
    """

    def __init__(
        self,
        photos: Sequence[Photo] = (),
        swapped: float = 0.35,
        real: float = 0.25,
        settings: SceneSettings | None = None,
    ) -> None:
        self.photos = list(photos)
        self.swapped, self.real = (swapped, real) if self.photos else (0.0, 0.0)
        empty = [p.image for p in self.photos if not p.quads]
        self.settings = settings or SceneSettings(photos=empty)

    def __call__(self, rng: Rng, size: tuple[int, int]) -> tuple[Image, list[Quad], list[bool]]:
        kind = rng.random()
        if kind < self.swapped + self.real:
            photo = self.photos[int(rng.integers(len(self.photos)))]
            image, quads = photo.image, photo.quads
            if kind < self.swapped and quads:
                image, plates = swap.swap_scene(image, quads, rng, looks=photo.looks)
                quads = [quad for quad, _ in plates]
            image, _, quads = swap.move_scene(image, quads, rng, size)
        else:
            image, drawn = render_scene(rng, size, self.settings)
            quads = [quad for quad, _ in drawn]
        return image, list(quads), [False] * len(quads)
