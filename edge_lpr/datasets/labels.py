"""Labelled images, from whichever of four sources, as one kind of sample.

- ``plates.csv``: ``file,label,corners_tl_tr_br_bl,…``, a row per plate, corners as ``"x,y x,y x,y x,y"`` or
  empty; an image without plates has one row with an empty label. Images in a folder whose
  name begins with ``crops`` are plates cut out; the label ``?`` is a plate that counts neither way.
- PP-OCR label files: ``image<TAB>[{"transcription": …, "points": [[x, y], …]}, …]`` for detection,
  ``crop<TAB>text`` for recognition.
- CCPD folders, by their file names (`edge_lpr.datasets.ccpd`); images below a folder ``ccpd_np`` have no
  plate.
- Any other folder of images, unlabelled: its samples have `plates` None, good for calibration alone.

Paths in a label file are relative to the file's folder and never leave it. A label that cannot be used is
skipped and listed with its reason; the others stay.
"""

from __future__ import annotations

import csv
import json
import math
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np

from edge_lpr.datasets.ccpd import is_ccpd_name, parse_ccpd_name
from edge_lpr.errors import CcpdNameError, InputError
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.claims import Named
from edge_lpr.io.image_io import IMAGE_SUFFIXES, read_image
from edge_lpr.io.walk import regular_files, unreadable, walk_files
from edge_lpr.types import Image, Quad

LABEL_FILES = ("plates.csv", "det.txt", "rec.txt")
# The folders of a converted data set.
IMAGES, CROPS = "images", "crops"
NO_PLATE = "ccpd_np"
# PP-OCR's marks for a text that is neither to be learnt nor counted, and that of ``plates.csv``.
IGNORED = frozenset({"###", "*", "?"})
MAX_LABEL_BYTES = 512 << 20


class LabelledPlate(NamedTuple):
    """One labelled plate.

    Attributes:
        text: Its characters without the dot; "###", "*" or "?" for one that is not to be counted.
        corners: float32 4×2, top-left, top-right, bottom-right, bottom-left, in pixels; None where unknown.
    """

    text: str
    corners: Quad | None

    @property
    def ignored(self) -> bool:
        """Whether the plate is marked as not to be counted."""
        return self.text in IGNORED


@dataclass(frozen=True, eq=False)
class Sample:
    """One image and what is known of it.

    Attributes:
        path: The image.
        plates: Its plates; empty where it has none, None where nothing is known.
        subset: The group under which results are listed ("ccpd", "negatives", …).
        crop: Whether the image is one plate cut out, not a scene.
    """

    path: Path
    plates: tuple[LabelledPlate, ...] | None
    subset: str
    crop: bool = False

    @property
    def located(self) -> bool:
        """Whether it is a scene of which all plates are known with their corners."""
        return not self.crop and self.plates is not None and all(p.corners is not None for p in self.plates)

    def read(self) -> Image:
        """Decodes the image, uint8 H×W×3 BGR.

        Raises:
            SourceError: It is missing, damaged, no image, or too large.
        """
        return read_image(self.path)


@dataclass
class Labels:
    """What was read from one or several sources.

    Attributes:
        samples: The usable samples, in the order of the sources.
        problems: A line for each label that was skipped: what, and why.
        closed: Those of them that tell of a folder or file that this user may not read.
    """

    samples: list[Sample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    @property
    def scenes(self) -> list[Sample]:
        """The samples that are whole scenes."""
        return [s for s in self.samples if not s.crop]

    @property
    def crops(self) -> list[Sample]:
        """The samples that are one plate cut out."""
        return [s for s in self.samples if s.crop]


class _RejectError(Exception):
    """A label that is skipped; its text is the reason."""


def load_labels(sources: Sequence[str | Path], *, unlabelled: bool = False) -> Labels:
    """Reads labelled images.

    Args:
        sources: Label files, or folders that hold label files, CCPD images, or both.
        unlabelled: Whether a folder of images without any label is taken too.

    Returns:
        All usable samples (at least one) and what was skipped.

    Raises:
        InputError: A source is missing, or nothing usable is in it.
    """
    labels = Labels()
    for source in sources:
        path = Path(source)
        before = len(labels.samples)
        try:
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        except FileNotFoundError as e:
            raise InputError(
                f"{path}: no such file or folder; give a label file or a folder of labelled images"
            ) from e
        except OSError as e:
            raise InputError(unreadable(path, e)) from e
        if is_folder:
            _read_folder(path, labels, unlabelled)
        else:
            _read_file(path, labels)
        if len(labels.samples) == before:
            why = (
                f"; the first of {len(labels.problems)} problems: {labels.problems[0]}"
                if labels.problems
                else ""
            )
            raise InputError(
                f"{path}: no labelled image in it, expected {', '.join(LABEL_FILES)} or CCPD names{why}"
            )
    return labels


def label_inputs(name: str, sources: Iterable[str | Path], *, unlabelled: bool = False) -> Iterator[Named]:
    """Gives the files that `load_labels` reads, and the images of its samples, for `check_outputs`.

    Args:
        name: What they are called in messages.
        sources: What `load_labels` is to be given; what is wrong with them is for it to say.
        unlabelled: See `load_labels`.
    """
    for source in sources:
        path = Path(source)
        yield from ((name, file) for file in (path, *(path / label for label in LABEL_FILES)))
        with suppress(InputError):
            yield from ((name, sample.path) for sample in load_labels([path], unlabelled=unlabelled).samples)


def _read_folder(folder: Path, labels: Labels, unlabelled: bool) -> None:
    closed: list[str] = []
    files = list(regular_files((folder / name for name in LABEL_FILES), closed.append))
    if closed:
        raise InputError(closed[0])
    if files:
        for file in files:
            _read_file(file, labels)
        return
    images = sorted(p for p in walk_files(folder, closed.append) if p.suffix.lower() in IMAGE_SUFFIXES)
    labels.problems += closed
    labels.closed += closed
    if unlabelled and not any(is_ccpd_name(p.stem) for p in images):
        labels.samples += [Sample(p, None, folder.name) for p in images]
        return
    for image in images:
        subset = image.relative_to(folder).parts[0] if image.parent != folder else folder.resolve().name
        if NO_PLATE in image.parts:
            labels.samples.append(Sample(image, (), subset))
            continue
        try:
            label = parse_ccpd_name(image.stem)
        except CcpdNameError as e:
            labels.problems.append(f"{image}: {e}")
            continue
        labels.samples.append(Sample(image, (LabelledPlate(label.text, label.corners),), subset))


def _read_file(file: Path, labels: Labels) -> None:
    data = read_bounded(file, MAX_LABEL_BYTES, "a label file", InputError)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise InputError(f"{file}: not a UTF-8 text (byte {e.start}); expected a label file") from e
    rows = _csv_rows(text) if file.suffix.lower() == ".csv" else _ppocr_rows(text)
    root = file.resolve().parent
    grouped: dict[tuple[str, bool], list[LabelledPlate]] = {}
    for number, row in rows:
        try:
            if isinstance(row, _RejectError):
                raise row
            name, plates, crop = row
            # Checked once per image, at its first row.
            if (name, crop) not in grouped:
                _inside(root, name)
            grouped.setdefault((name, crop), []).extend(plates)
        except _RejectError as e:
            labels.problems.append(f"{file}:{number}: {e}")
    for (name, crop), plates in grouped.items():
        subset = _subset(PurePosixPath(name).parts[:-1], root.name)
        labels.samples.append(Sample(file.parent / name, tuple(plates), subset, crop))


def _subset(folders: tuple[str, ...], root: str) -> str:
    """The group of an image: the first of its folders, but for the two that `edge-lpr dataset` makes."""
    if len(folders) > 1 and folders[0] in (IMAGES, CROPS):
        return folders[1]
    return folders[0] if folders else root


def _inside(root: Path, name: str) -> None:
    try:
        path = Path(os.path.realpath(root / name))
        if not path.is_relative_to(root):
            raise _RejectError(f"the image {name!r} is outside of the label file's folder")
        if not stat.S_ISREG(path.stat().st_mode):
            raise _RejectError(f"{name!r} beside the label file is no file")
    except (FileNotFoundError, NotADirectoryError) as e:
        raise _RejectError(f"no image {name!r} beside the label file") from e
    except PermissionError as e:
        raise _RejectError(unreadable(name, e)) from e
    except (OSError, ValueError) as e:
        raise _RejectError(f"the image's name {name[:80]!r} cannot be a file's name") from e


Row = tuple[str, list[LabelledPlate], bool]


def _csv_rows(text: str) -> Iterator[tuple[int, Row | _RejectError]]:
    # Python 3.10's csv gives the whole file up at a NUL; no file name holds one.
    reader = csv.DictReader(text.replace("\0", "\ufffd").splitlines())
    wanted = ("file", "label", "corners_tl_tr_br_bl")
    missing = [c for c in wanted if c not in (reader.fieldnames or ())]
    if missing:
        yield 1, _RejectError(f"no column {missing[0]!r}, expected {', '.join(wanted)}")
        return
    try:
        for row in reader:
            yield reader.line_num, _csv_row(row)
    except csv.Error as e:
        yield reader.line_num, _RejectError(f"not valid CSV ({e})")


def _csv_row(row: dict[str, str | None]) -> Row | _RejectError:
    name, label, corners = (row.get(c) or "" for c in ("file", "label", "corners_tl_tr_br_bl"))
    if not name:
        return _RejectError("no file name in the row")
    crop = any(folder.startswith(CROPS) for folder in PurePosixPath(name).parts[:-1])
    try:
        quad = _quad([point.split(",") for point in corners.split()]) if corners.strip() else None
    except _RejectError as e:
        return e
    text = clean_text(label)
    if not text:
        return (name, [], crop) if quad is None else _RejectError(f"{name!r} has corners and no label")
    return name, [LabelledPlate(text, quad)], crop


def _ppocr_rows(text: str) -> Iterator[tuple[int, Row | _RejectError]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, tab, rest = line.partition("\t")
        if not tab:
            yield number, _RejectError("no tab in the line, expected 'image<TAB>label'")
        elif rest.lstrip().startswith("["):
            yield number, _ppocr_scene(name, rest)
        elif clean_text(rest):
            yield number, (name, [LabelledPlate(clean_text(rest), None)], True)
        else:
            yield number, _RejectError(f"{name!r} has an empty label")


def _ppocr_scene(name: str, rest: str) -> Row | _RejectError:
    try:
        entries = json.loads(rest)
    except (ValueError, RecursionError) as e:
        return _RejectError(f"{name!r}: the label is not valid JSON ({e})")
    plates = []
    for entry in entries:
        text = entry.get("transcription") if isinstance(entry, dict) else None
        if not isinstance(text, str):
            return _RejectError(f"{name!r}: a label without a text in 'transcription'")
        try:
            plates.append(LabelledPlate(clean_text(text), _quad(entry.get("points"))))
        except _RejectError as e:
            return e
    return name, plates, False


def _quad(points: object) -> Quad:
    try:
        # Strings of numbers come from the CSV, numbers from JSON.
        quad = [[float(x), float(y)] for x, y in points]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        quad = []
    if len(quad) != 4 or not all(math.isfinite(v) and abs(v) < 1e6 for point in quad for v in point):
        raise _RejectError(
            f"corners are {str(points)[:80]!r}, expected four points, top-left first and clockwise"
        )
    array = np.array(quad, np.float32)
    if cv2.contourArea(array) < 1:
        raise _RejectError(f"corners are {str(points)[:80]!r}: they enclose no area")
    return array


def clean_text(text: str) -> str:
    """Drops blanks and the dot that is painted on plates: "皖A·12345" and "皖A12345" are the same plate."""
    return text.strip().replace("·", "").replace(" ", "")
