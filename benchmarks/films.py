"""Short films of the drawn street, and what vehicles they show when."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_lpr.finetune.synthesis.render.text import SyntheticPlate
from edge_lpr.finetune.synthesis.street.film import STREET, Trajectory, film
from edge_lpr.io.video_io import VideoFile
from edge_lpr.types import Color

__all__ = ["FILMS", "Film", "Passage"]


@dataclass(frozen=True)
class Passage:
    """A vehicle that a video shows.

    Attributes:
        text: Its plate.
        first: Since when its plate can be read, in seconds.
        last: Until when.
    """

    text: str
    first: float
    last: float


@dataclass(frozen=True)
class Film:
    """One film; see `edge_lpr.finetune.synthesis.street.film.film`.

    Attributes:
        shows: What, in a few words.
        vehicles: The vehicles that go by.
        seconds: How long it is.
        fps: Frames per second.
        zoom: How much larger than 960×540 its frames are.
        light: What is left of the light, 0 to 1.
        noise: The most that the camera's noise deviates, in levels of 255.
    """

    shows: str
    vehicles: tuple[Trajectory, ...] = ()
    seconds: float = 8.0
    fps: float = 25.0
    zoom: float = 1.0
    light: float = 1.0
    noise: float = 1.2

    def write(self, path: Path) -> list[Passage]:
        """Writes it as a video; returns the vehicles whose plates can be read in it."""
        seen: dict[int, list[float]] = {}
        video = VideoFile(path, self.fps)
        frames = film(
            self.vehicles, self.seconds, self.fps, zoom=self.zoom, light=self.light, noise=self.noise
        )
        for index, (image, places) in enumerate(frames):
            video.write(image, index / self.fps)
            for vehicle in places:
                seen.setdefault(vehicle, []).append(index / self.fps)
        video.close()
        passages = [
            Passage(self.vehicles[vehicle].plate.text, min(times), max(times))
            for vehicle, times in seen.items()
        ]
        return sorted(passages, key=lambda passage: passage.first)


def _car(
    text: str, paint: Color, start: float, speed: float, stop: tuple[float, float] = (0, 0)
) -> Trajectory:
    return Trajectory(SyntheticPlate(text, "blue"), "front", paint, -1.6, start, speed, stop=stop)


_GREY, _RED, _WHITE = (190, 186, 180), (46, 40, 150), (226, 226, 224)

FILMS = {
    "street": Film("the first half of the sample street, 1920×1080", STREET[:3], 4, zoom=2),
    "empty": Film("an empty street, 1920×1080", zoom=2, seconds=4),
    "fast": Film("a car at 120 km/h", (_car("皖A13H25", _RED, 40, -33.3),), 1.6),
    "two": Film(
        "two cars, 7 m apart, and one beside them",
        (
            _car("皖A13H25", _RED, 20, -6),
            _car("苏C7Y773", _GREY, 27, -6),
            Trajectory(SyntheticPlate("粤BD41234", "green"), "rear", _WHITE, 1.6, 3.6, 3.0),
        ),
        5,
    ),
    "dusk": Film(
        "two cars at dusk, with a noisy camera",
        (_car("皖A13H25", _GREY, 18, -6), _car("苏C7Y773", _WHITE, 34, -6)),
        6,
        fps=15,
        light=0.3,
        noise=7,
    ),
    "stop": Film("a car that stops for 5 s", (_car("皖A13H25", _RED, 18, -6, stop=(1.6, 5)),), 9, fps=12),
}
"""By name."""
