"""From crops to plates: recognized in batches, decoded, read again where doubtful, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edge_lpr.pipeline.crop import Crop
from edge_lpr.pipeline.ctc import PlateDecoder, Reading
from edge_lpr.pipeline.recognizer import Recognizer
from edge_lpr.pipeline.settings import ReadSettings
from edge_lpr.plates import PlateRead
from edge_lpr.plates.read import TEXT
from edge_lpr.types import Probs

__all__ = ["CropReader"]

# Of a video: a plate whose worst character is read so surely is read no better in another crop; and where one
# is known to be, a crop that is read so badly is of one that no other crop shows.
_SURE, _HOPELESS = 0.9, 0.3


class _Found(NamedTuple):
    """One way to read a place: what was read, in which posterior, and of which crop."""

    reading: Reading
    probs: Probs
    crop: Crop


class CropReader:
    """Reads what was cut out of images.

    Args:
        recognizer: Gives the posteriors of crops.
        settings: What counts as a plate.
        decoder: Reads the posteriors; None for one of all formats.
    """

    def __init__(
        self, recognizer: Recognizer, settings: ReadSettings, decoder: PlateDecoder | None = None
    ) -> None:
        model = recognizer.model
        self._recognizer = recognizer
        self._settings = settings
        self._decoder = decoder or PlateDecoder(model.charset, model.unknown_class, settings.format_prior)

    def read(
        self, places: Sequence[Sequence[Crop]], upright: Sequence[bool] | None = None
    ) -> list[PlateRead | None]:
        """Reads places, each cut out in one or several ways, of which the best reading counts.

        Args:
            places: The crops of each place.
            upright: Of a video, whether each place is where a plate was that stands upright: it is not turned
                round. A first crop that is read surely is the reading then. None reads all crops.

        Returns:
            For each place what it shows; None where that is nothing to be reported.

        Raises:
            BackendError: The backend failed.
        """
        if upright is None:
            upright = [False] * len(places)
            best = self._best_of(places)
        else:
            best = self._best_of([place[:1] for place in places])
            left = [
                i
                for i, (place, one) in enumerate(zip(places, best, strict=True))
                if place[1:] and self._is_doubtful(one.reading, upright[i])
            ]
            for i, other in zip(left, self._best_of([places[i][1:] for i in left]), strict=True):
                best[i] = max(best[i], other, key=lambda one: self._rank(one.reading))
        # A doubtful reading is tried again, all in one batch: turned round, since in CCPD the order of a
        # box's corners can turn a plate upside down and so can a camera; and unfolded, where two rows fit in.
        retries: list[tuple[int, Crop]] = []
        mirrored: list[tuple[int, Crop]] = []
        for i, (reading, _, _) in enumerate(best):
            if not self._is_plate(reading) or reading.min_score < self._settings.retry_below:
                # Along each outline: what tells a plate upside down from what a mirror makes of it is little.
                if not upright[i]:
                    retries.extend((i, other.turned()) for other in places[i])
                    mirrored.extend((i, other.mirrored()) for other in places[i])
                # Read as one row, two say nothing about which crop shows them better.
                retries.extend((i, other.unfolded()) for other in places[i] if other.is_high)
        self._improve(best, retries)
        # And mirrored, where there is anything to deny: what a mirror shows of a plate may be another one
        # when it is turned round.
        self._improve(best, [(i, crop) for i, crop in mirrored if self._may_be_reported(best[i].reading)])
        return [self._judge(*found) for found in best]

    def _improve(self, best: list[_Found], retries: Sequence[tuple[int, Crop]]) -> None:
        """Reads places in other ways, each given by the place's number, and keeps what is better."""
        for (i, crop), probs in zip(retries, self._probabilities([c for _, c in retries]), strict=True):
            reading = self._decoder.decode(probs)
            if crop.is_mirrored and reading.format is None:
                continue  # a text that is no plate is reported as it stands there
            if self._rank(reading) > self._rank(best[i].reading):
                best[i] = _Found(reading, probs, crop)

    def _best_of(self, places: Sequence[Sequence[Crop]]) -> list[_Found]:
        """Reads the crops of each place; returns the best reading of each."""
        posteriors = iter(self._probabilities([crop for place in places for crop in place]))
        return [
            max(
                (_Found(self._decoder.decode(probs := next(posteriors)), probs, crop) for crop in place),
                key=lambda one: self._rank(one.reading),
            )
            for place in places
        ]

    def _probabilities(self, crops: Sequence[Crop]) -> list[Probs]:
        return self._recognizer.probabilities([crop.image for crop in crops])

    def _rank(self, reading: Reading) -> tuple[bool, float]:
        """What is better: a plate that can be reported, and then the surer reading."""
        return self._is_plate(reading), reading.score

    def _may_be_reported(self, reading: Reading) -> bool:
        return self._settings.any_text or self._is_plate(reading)

    def _is_doubtful(self, reading: Reading, upright: bool) -> bool:
        """Tells whether another crop of the place may be read better."""
        if upright and (reading.format is None or reading.min_score < _HOPELESS):
            return False
        return not self._is_plate(reading) or reading.min_score < _SURE

    def _is_plate(self, reading: Reading) -> bool:
        """Tells whether a reading is a plate, and sure enough to be reported."""
        return reading.format is not None and reading.min_score >= self._settings.min_score

    def _judge(self, reading: Reading, probs: Probs, crop: Crop) -> PlateRead | None:
        if reading.format is None:
            if not (self._settings.any_text and reading.text):
                return None
            kind = TEXT
        else:
            if not self._is_plate(reading) or crop.is_mirrored:
                return None
            left, right = crop.at_border
            if reading.format.is_cut(reading.text, crop.plate, left=left, right=right):
                return None
            kind = reading.format.kind(crop.plate)
        limit = self._settings.candidates
        return PlateRead(
            text=reading.text,
            kind=kind,
            score=reading.score,
            min_score=reading.min_score,
            char_scores=reading.char_scores,
            corners=crop.corners,
            det_score=crop.det_score,
            log_probs=reading.log_probs,
            candidates=self._decoder.candidates(probs, limit, reading.text) if limit else (),
        )
