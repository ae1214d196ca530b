"""What it takes to replace a model that a bundle holds.

What is there was judged when it was made, perhaps on many more plates. It is given up for a model that enough
plates have judged, and that reads them no worse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import onnx

from edge_lpr.bundle.manifest import Bundle
from edge_lpr.calib.quantization.calibration_data import CalibrationData, Stage
from edge_lpr.calib.quantization.job import Job
from edge_lpr.calib.quantization.options import CalibrationOptions
from edge_lpr.counting import counted
from edge_lpr.errors import BundleError, InputError
from edge_lpr.evaluation.significance import items_needed
from edge_lpr.types import Part

__all__ = ["LOSS", "NEEDED", "Present"]

LOSS = 2.0
"""The loss, in percentage points, that the plates must be able to rule out."""
NEEDED = items_needed(LOSS / 100) or 0
"""Plates of which none is lost that do so."""
_NAMES: Mapping[Part, str] = {"det": "detector", "rec": "recognizer"}


class Present:
    """The models of a bundle that a calibration would replace; none where it is forced to.

    Args:
        bundle: The bundle.
        options: What is to be made, and how.
    """

    def __init__(self, bundle: Bundle, options: CalibrationOptions) -> None:
        self._bundle, self._options = bundle, options
        wanted = () if options.force else options.precisions
        self._models = {precision: _readable(bundle, options.parts, precision) for precision in wanted}

    def admitted(self, data: CalibrationData, report: Callable[[str], None]) -> tuple[str, ...]:
        """Chooses what is to be made, before any work: what is there takes enough plates to be replaced.

        Args:
            data: The images of the calibration.
            report: Called with a line where there are too few.

        Raises:
            InputError: There are too few for all that was asked for.
        """
        asked = self._options.precisions
        few = _too_few(data, self._options)
        if not few:
            return asked
        kept = [precision for precision in asked if self._models.get(precision)]
        made = tuple(precision for precision in asked if precision not in kept)
        line = self._keeps(" and ".join(kept), few)
        if not made:
            raise InputError(line)
        report(f"warning: {line}" if kept else f"warning: {few}")
        return made

    def objection(self, job: Job, precision: str, accuracy: float, stage: Stage) -> str:
        """Compares a new model with the one that is there, on the same images.

        Args:
            job: The network.
            precision: Of both.
            accuracy: That of the new one, 0 to 1.
            stage: Opens the progress of a step.

        Returns:
            What to say where the new one is worse by more than the accuracy budget and one plate, which is
            chance; nothing where it may take the place.
        """
        there = self._models.get(precision, {}).get(job.part)
        if there is None:
            return ""
        key = f"present|{precision}|{hashlib.sha256(there).hexdigest()[:16]}"
        with stage(f"{job.part}: {precision} that is there", None) as meter:
            job.objective.tick = meter.update
            before = job.accuracy(key, onnx.load_model_from_string(there))
        job.objective.tick = None
        if accuracy >= before - job.options.budget / 100 - 1 / job.objective.items - 1e-9:
            return ""
        metric = f"{_NAMES[job.part]}'s {job.objective.metric}"
        return self._keeps(
            precision,
            f"the new {metric} is {accuracy:.4f} on the same images, that of the one there {before:.4f}: "
            "more or more varied images may help",
        )

    def _keeps(self, precision: str, why: str) -> str:
        return f"{self._bundle.path}: keeps its {precision}: {why}; --force replaces it all the same"


def _readable(bundle: Bundle, parts: Sequence[Part], precision: str) -> dict[Part, bytes]:
    """A bundle's models of a precision; one that is missing or damaged is nothing to keep."""
    found: dict[Part, bytes] = {}
    for part in parts:
        try:
            found[part] = bundle.model(part, precision).read()
        except BundleError:
            continue
    return found


def _too_few(data: CalibrationData, options: CalibrationOptions) -> str:
    """Says how few plates judge the accuracy, how many it takes, and what to give; nothing where they do."""
    located = sum(not plate.ignored for sample in data.validation for plate in sample.plates or ())
    judges: dict[Part, int] = {"det": located, "rec": len(data.plates)}
    if min(judges[part] for part in options.parts) >= NEEDED:
        return ""
    # Half of the scenes, `images` at most, give the ranges.
    scenes = NEEDED + min(options.images, NEEDED)
    more = f", with --validation {NEEDED} or more" if options.validation < NEEDED else ""
    return (
        f"only {counted(located, 'plates')} to judge the detector and {len(data.plates)} the recognizer, "
        f"and it takes {NEEDED} each to rule out a loss of {counted(f'{LOSS:g}', 'points')}: give "
        f"some {scenes} labelled scenes{more}"
    )
