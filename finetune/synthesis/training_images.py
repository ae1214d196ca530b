"""Where training images come from: rendered plates, plates swapped into photos, photos as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_lpr.datasets.labels import IGNORED, Sample
from edge_lpr.errors import EdgeLprError, InputError
from edge_lpr.finetune.synthesis import compositing
from edge_lpr.finetune.synthesis.copy_paste import CopyPaste
from edge_lpr.finetune.synthesis.det_augment import EastRandomCropData, IaaAugment, augment_scene
from edge_lpr.finetune.synthesis.render.crop import CropSettings, render_crop, render_part
from edge_lpr.finetune.synthesis.render.scene import SceneSettings, render_scene
from edge_lpr.finetune.synthesis.render.text import PlateMix, sample_plate
from edge_lpr.types import Image, Quad, Rng

__all__ = ["Photo", "Photos", "RenderedCrops", "Scenes"]

MAX_KEPT_BYTES = 1 << 30
MAX_UNREADABLE = 20


@dataclass(frozen=True, eq=False)
class Photo:
    """A labelled photo, decoded, with what its plates look like.

    Attributes:
        image: uint8 H×W×3 BGR.
        texts: What stands on its plates; "###" on one that is not to be learnt.
        quads: float32 4×2 per plate, tl-tr-br-bl, in pixels.
        looks: What `compositing.measure` saw of each plate.
    """

    image: Image
    texts: tuple[str, ...]
    quads: list[Quad]
    looks: list[compositing.Look]


class Photos:
    """The scenes among labelled samples whose plates all have corners, decoded when they are drawn.

    Decoded images are kept up to a gibibyte; further ones are read each time.

    Args:
        samples: Labelled samples; crops and scenes without corners are left out.
        weights: How often each sample is drawn, relative to the others; None for all alike.
    """

    def __init__(self, samples: Sequence[Sample], weights: Sequence[float] | None = None) -> None:
        self.samples = [s for s in samples if s.located]
        self._shares: list[float] | None = None
        if weights is not None and len(set(weights)) > 1:
            kept = [w for s, w in zip(samples, weights, strict=True) if s.located]
            self._shares = [w / sum(kept) for w in kept]
        self._kept: dict[int, Photo] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}, "_bytes": 0}

    def draw(self, rng: Rng, first: int | None = None) -> Photo:
        """Draws a photo; one that cannot be read, or has a plate outside it, is replaced by another.

        Args:
            rng: Source of randomness.
            first: The number of the one to take if it can be read; None draws it, too.

        Raises:
            InputError: 20 in a row cannot be read, or have a plate outside them.
        """
        for attempt in range(MAX_UNREADABLE):
            if first is not None and not attempt:
                i = first
            elif self._shares is None:
                i = int(rng.integers(len(self.samples)))
            else:
                i = int(rng.choice(len(self.samples), p=self._shares))
            if i in self._kept:
                return self._kept[i]
            try:
                image = self.samples[i].read()
            except EdgeLprError:
                continue
            plates = self.samples[i].plates or ()
            quads = [p.corners for p in plates if p.corners is not None]
            # Labels that were made before a picture was turned, say: of such a plate nothing can be painted.
            size = np.array(image.shape[1::-1])
            if any((quad.mean(axis=0) < 0).any() or (quad.mean(axis=0) >= size).any() for quad in quads):
                continue
            photo = Photo(
                image, tuple(p.text for p in plates), quads, [compositing.measure(image, q) for q in quads]
            )
            if self._bytes + image.nbytes <= MAX_KEPT_BYTES:
                self._kept[i] = photo
                self._bytes += image.nbytes
            return photo
        raise InputError(
            f"{MAX_UNREADABLE} labelled images in a row cannot be read or have corners outside, the last "
            f"{self.samples[i].path}: check that the folder is whole, and its labels of these images"
        )


class RenderedCrops:
    """Draws plates as a detector would cut them out.

    Args:
        mix: What the plates say.
        settings: How they are photographed.
        photos: Photos whose plates are replaced, for real light and surroundings.
        swapped: Share of crops that are such replaced plates; without photos none are.
        cut: Share of crops that show a part of a plate, with the characters that are left.
    """

    def __init__(
        self,
        mix: PlateMix | None = None,
        settings: CropSettings | None = None,
        photos: Photos | None = None,
        swapped: float = 0.3,
        cut: float = 0.0,
    ) -> None:
        self.mix, self.settings = mix or PlateMix(two_rows=0.4), settings or CropSettings()
        self.photos, self.swapped = photos, swapped if photos else 0.0
        self.cut = cut

    def __call__(self, rng: Rng) -> tuple[Image, str]:
        """Draws a crop, uint8 H×W×3 BGR of natural size, and what stands on it."""
        if rng.random() < self.cut:
            return render_part(sample_plate(rng, replace(self.mix, two_rows=0.0)), rng, self.settings)
        photo = self.photos.draw(rng) if self.photos and rng.random() < self.swapped else None
        if photo is not None and photo.quads:
            i = int(rng.integers(len(photo.quads)))
            quad = photo.quads[i]
            rows = (
                compositing.two_rows(self.mix)
                if compositing.is_high(quad)
                else replace(self.mix, two_rows=0.0)
            )
            plate = sample_plate(rng, rows)
            return compositing.swap_crop(photo.image, quad, plate, rng, photo.looks[i]), plate.text
        plate = sample_plate(rng, self.mix)
        return render_crop(plate, rng, self.settings), plate.text


class Scenes:
    """Draws scenes for the detector: drawn ones, photos with other plates in them, photos as they are.

    Args:
        photos: Labelled photos.
        swapped: Share of scenes that are photos whose plates were replaced.
        real: Share of scenes that are photos as they are, seen from elsewhere.
        smallest: Width in pixels of the smallest plates in scenes that are drawn or moved.
        augment: PaddleOCR's operators for photos as they are, IaaAugment, EastRandomCropData and, where it is
            one of them, CopyPaste; None for `compositing.move_scene`.
    """

    def __init__(
        self,
        photos: Photos | None = None,
        swapped: float = 0.35,
        real: float = 0.25,
        *,
        smallest: float = compositing.SMALLEST,
        augment: tuple[IaaAugment, EastRandomCropData, CopyPaste | None] | None = None,
    ) -> None:
        self.photos, self.smallest, self.augment = photos, smallest, augment
        # A drawn plate is turned after it was sized, which makes it narrower.
        self.settings = SceneSettings(min_width=1.1 * smallest)
        self.swapped, self.real = (swapped, real) if photos else (0.0, 0.0)

    def __call__(
        self, rng: Rng, size: tuple[int, int], number: int | None = None
    ) -> tuple[Image, list[Quad], list[bool]]:
        """Draws a scene.

        Args:
            rng: Source of randomness.
            size: Its width and height, in pixels.
            number: Of the photo that it is to be; None draws what it is.

        Returns:
            The scene, uint8 H×W×3 BGR, its plates' corners, and which of them do not count.
        """
        kind = rng.random() if number is None else self.swapped
        if self.photos and (number is not None or kind < self.swapped + self.real):
            photo = self.photos.draw(rng, number)
            image, quads, ignored = photo.image, photo.quads, [t in IGNORED for t in photo.texts]
            if kind < self.swapped and quads:
                image, plates = compositing.swap_scene(image, quads, rng, looks=photo.looks)
                quads, ignored = [quad for quad, _ in plates], [False] * len(plates)
            elif self.augment:
                view, crop, paste = self.augment
                if paste is not None:
                    other = self.photos.draw(rng)
                    marked = [t in IGNORED for t in other.texts]
                    image, quads, ignored = paste(
                        (image, quads, ignored), (other.image, other.quads, marked), rng
                    )
                return augment_scene(image, quads, ignored, rng, size, view=view, crop=crop)
            image, kept, quads = compositing.move_scene(image, quads, rng, size, smallest=self.smallest)
            return image, quads, [ignored[i] for i in kept]
        image, drawn = render_scene(rng, size, self.settings)
        return image, [quad for quad, _ in drawn], [False] * len(drawn)
