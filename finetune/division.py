"""Which labelled images the shipped weights have learnt, and which neither network has seen.

Every so many-th sample that a network could learn is held out. The two networks can learn different samples
(a plate cut out is nothing for the detector, a street without plates nothing for the recognizer), so a
scene that one has not seen the other may well have: unseen is what neither has.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_lpr.datasets.labels import CROP_FOLDER, IMAGES, LABEL_CSV, Sample
from edge_lpr.errors import InputError
from edge_lpr.io.atomic_io import create_folder, write_bytes
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.image_io import MAX_BYTES
from edge_lpr.types import PARTS, Part

__all__ = ["Division", "divide", "is_for", "placed", "split", "write_samples"]


@dataclass(frozen=True)
class Division:
    """Samples by what the networks know of them; what only one of the two has learnt is in neither.

    Attributes:
        learnt: What neither network's training holds out: free to be calibrated on.
        unseen: What neither network has learnt.
    """

    learnt: tuple[Sample, ...]
    unseen: tuple[Sample, ...]


def split(samples: Sequence[Sample], every: int) -> tuple[list[Sample], list[Sample]]:
    """Divides samples into those to train on and those held out.

    Args:
        samples: In the order of their label files, so that the division is always the same.
        every: Each so many-th sample is held out.
    """
    parts: tuple[list[Sample], list[Sample]] = [], []
    for number, sample in enumerate(samples, 1):
        parts[number % every == 0].append(sample)
    return parts


def is_for(part: Part, sample: Sample) -> bool:
    """Whether a network can learn a sample."""
    if part == "det":
        return sample.located
    return bool(sample.plates) and (sample.located or sample.crop)


def divide(samples: Sequence[Sample], every: int) -> Division:
    """Divides samples by what both networks know of them.

    Args:
        samples: As in `split`.
        every: As in `split`, and the same for both networks.
    """
    learnt: set[int] = set()
    held: set[int] = set()
    for part in PARTS:
        to_learn, held_out = split([s for s in samples if is_for(part, s)], every)
        learnt.update(map(id, to_learn))
        held.update(map(id, held_out))
    return Division(
        tuple(s for s in samples if id(s) in learnt and id(s) not in held),
        tuple(s for s in samples if id(s) not in learnt),
    )


def placed(samples: Sequence[Sample], folder: Path) -> Iterator[tuple[Sample, str]]:
    """Gives each sample the name that it gets in a folder of its own, by which it keeps its group.

    Raises:
        InputError: Two images of a group have one name.
    """
    taken: dict[str, Path] = {}
    for sample in samples:
        name = f"{CROP_FOLDER if sample.crop else IMAGES}/{sample.subset}/{sample.path.name}"
        if name in taken:
            raise InputError(f"{folder / name}: would be {taken[name]} and {sample.path}; rename one of them")
        taken[name] = sample.path
        yield sample, name


def write_samples(samples: Sequence[Sample], folder: Path) -> None:
    """Writes labelled images into a folder of their own, with a label file that every command reads.

    Raises:
        InputError: An image cannot be read, or two of a group have one name.
        OutputError: The folder cannot be written to.
    """
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(("file", "label", "corners_tl_tr_br_bl"))
    for sample, name in placed(samples, folder):
        for text, corners in sample.plates or (("", None),):
            points = () if corners is None else corners.tolist()
            rows.writerow((name, text, " ".join(f"{x:.9g},{y:.9g}" for x, y in points)))
        create_folder((folder / name).parent)
        data = read_bounded(sample.path, MAX_BYTES, "an image", InputError)
        write_bytes(folder / name, data, durable=False)
    write_bytes(folder / LABEL_CSV, table.getvalue().encode())
