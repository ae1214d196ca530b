"""Labelled images, from whichever of four sources, as one kind of sample.

- ``plates.csv``: ``file,label,corners_tl_tr_br_bl,…``, a row per plate, corners as ``"x,y x,y x,y x,y"`` or
  empty; an image without plates has one row with an empty label. Images in a folder whose
  name begins with ``crops`` are plates cut out; the label ``?`` is a plate that counts neither way.
- PP-OCR label files: ``image<TAB>[{"transcription": …, "points": [[x, y], …]}, …]`` for detection,
  ``crop<TAB>text`` for recognition; those of PPOCRLabel, ``Label.txt`` and ``rec_gt.txt``, too.
- CCPD folders, by their file names (`edge_lpr.datasets.ccpd`); images below a folder ``ccpd_np`` have no
  plate.
- Any other folder of images, unlabelled: its samples have `plates` None, good for calibration alone.

Paths in a label file are relative to the file's folder and never leave it; a backslash works as a slash does,
and PPOCRLabel's begin with the folder's own name. Texts are written in one way (`clean_text`). A label that
cannot be used is skipped and listed with its reason; the others stay. An image that is listed twice counts
once.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from edge_lpr.counting import counted
from edge_lpr.datasets.ccpd import is_ccpd_name, parse_ccpd_name
from edge_lpr.datasets.label_files import CROPS, RejectedLabelError, UnreadImageError, find_image, read_rows
from edge_lpr.datasets.label_text import IGNORED, LabelledPlate, clean_text
from edge_lpr.errors import CcpdNameError, InputError
from edge_lpr.io.claims import Named
from edge_lpr.io.image_io import read_image
from edge_lpr.io.sniff import IMAGE_SUFFIXES
from edge_lpr.io.walk import regular_files, unreadable, walk_files
from edge_lpr.types import Image

__all__ = [
    "CROP_FOLDER",
    "IGNORED",
    "IMAGES",
    "LABEL_CSV",
    "NO_PLATE",
    "LabelledPlate",
    "Labels",
    "Sample",
    "clean_text",
    "crop_sources",
    "load_labels",
]

# Of scenes, by PaddleOCR's name and by PPOCRLabel's, and of the same plates cut out.
PPOCRLABEL = "Label.txt"
SCENE_FILES, CROP_FILES = ("det.txt", PPOCRLABEL), ("rec.txt", "rec_gt.txt")
LABEL_CSV = "plates.csv"
LABEL_FILES = (LABEL_CSV, *SCENE_FILES, *CROP_FILES)
# The folders of the scenes and of the crops of a converted data set.
IMAGES, CROP_FOLDER = "images", CROPS
NO_PLATE = "ccpd_np"


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
        unread: Those of them that tell of a folder or image that is not there, or closed to this user.
        repeated: How many labels name an image, or a plate of one, that was labelled before.
        counts: How many of the samples each source gave.
    """

    samples: list[Sample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    repeated: int = 0
    counts: list[int] = field(default_factory=list)
    _listed: set[tuple[Path, bool]] = field(default_factory=set, repr=False)
    _folders: dict[Path, Path] = field(default_factory=dict, repr=False)

    @property
    def scenes(self) -> list[Sample]:
        """The samples that are whole scenes."""
        return [s for s in self.samples if not s.crop]

    @property
    def crops(self) -> list[Sample]:
        """The samples that are one plate cut out."""
        return [s for s in self.samples if s.crop]

    @property
    def notes(self) -> list[str]:
        """Lines that say what does not count though nothing is wrong with it; none where nothing is."""
        ignored = sum(plate.ignored for sample in self.samples for plate in sample.plates or ())
        told = (
            ("plates", ignored, "neither learnt nor counted: marked as difficult, or read by nobody"),
            ("labels", self.repeated, "left out: the same was labelled before"),
        )
        return [f"{counted(count, unit)} {what}" for unit, count, what in told if count]

    def add(self, sample: Sample) -> None:
        """Takes a sample; of an image that was listed before, the first listing stands."""
        key = (self._file(sample.path), sample.crop)
        if key in self._listed:
            self.repeated += 1
        else:
            self._listed.add(key)
            self.samples.append(sample)

    def _file(self, path: Path) -> Path:
        """Resolves links; the folder's once, since a data set has many images in few folders."""
        if path.is_symlink():
            return path.resolve()
        if path.parent not in self._folders:
            self._folders[path.parent] = path.parent.resolve()
        return self._folders[path.parent] / path.name


def crop_sources(source: str | Path) -> list[Path]:
    """The label files of a folder's plates cut out, where it has its scenes too; else the source as it is.

    Both show the same plates: who looks at plates alone is not to count them twice.
    """
    folder = Path(source)
    crops = [folder / name for name in CROP_FILES if (folder / name).is_file()]
    scenes = any((folder / name).is_file() for name in SCENE_FILES)
    return crops if crops and scenes else [folder]


def load_labels(
    sources: Sequence[str | Path], *, unlabelled: bool = False, data_dir: Path | None = None
) -> Labels:
    """Reads labelled images.

    Args:
        sources: Label files, or folders that hold label files, CCPD images, or both.
        unlabelled: Whether a folder of images without any label is taken too.
        data_dir: The folder that paths in label files are relative to; None for each file's own.

    Returns:
        All usable samples (at least one) and what was skipped.

    Raises:
        InputError: A source is missing, or nothing usable is in it.
    """
    labels = Labels()
    for source in sources:
        path = Path(source)
        before = len(labels.samples), labels.repeated
        try:
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        except FileNotFoundError as e:
            raise InputError(
                f"{path}: no such file or folder; give a label file or a folder of labelled images"
            ) from e
        except OSError as e:
            raise InputError(unreadable(path, e)) from e
        if is_folder:
            _read_folder(path, labels, unlabelled, data_dir)
        else:
            _read_file(path, labels, data_dir)
        labels.counts.append(len(labels.samples) - before[0])
        if (len(labels.samples), labels.repeated) == before:
            why = (
                f"; the first of {counted(len(labels.problems), 'problems')}: {labels.problems[0]}"
                if labels.problems
                else ""
            )
            raise InputError(
                f"{path}: no labelled image in it, expected {', '.join(LABEL_FILES)} or CCPD names{why}"
            )
    return labels


def label_inputs(
    name: str,
    sources: Iterable[str | Path],
    *,
    unlabelled: bool = False,
    data_dir: Path | None = None,
) -> Iterator[Named]:
    """Gives the files that `load_labels` reads, and the images of its samples, for `check_outputs`.

    Args:
        name: What they are called in messages.
        sources: What `load_labels` is to be given; what is wrong with them is for it to say.
        unlabelled: See `load_labels`.
        data_dir: See `load_labels`.
    """
    for source in sources:
        path = Path(source)
        yield from ((name, file) for file in (path, *(path / label for label in LABEL_FILES)))
        with suppress(InputError):
            labels = load_labels([path], unlabelled=unlabelled, data_dir=data_dir)
            yield from ((name, sample.path) for sample in labels.samples)


def _read_folder(folder: Path, labels: Labels, unlabelled: bool, data_dir: Path | None) -> None:
    closed: list[str] = []
    files = list(regular_files((folder / name for name in LABEL_FILES), closed.append))
    if closed:
        raise InputError(closed[0])
    if files:
        for file in files:
            _read_file(file, labels, data_dir)
        return
    found = sorted(walk_files(folder, closed.append))
    # What `edge-lpr dataset ccpd` cuts out has CCPD's names: without its label file it passes for scenes.
    if below := [p for p in found if p.name in LABEL_FILES]:
        others = f" (and {len(below) - 1} more below)" if len(below) > 1 else ""
        raise InputError(
            f"{folder}: has no label file itself, but {below[0]} lies below it{others}; "
            f"give the folders that hold one, such as {below[0].parent}"
        )
    images = [p for p in found if p.suffix.lower() in IMAGE_SUFFIXES]
    labels.problems += closed
    labels.unread += closed
    if unlabelled and not any(is_ccpd_name(p.stem) for p in images):
        for image in images:
            labels.add(Sample(image, None, folder.name))
        return
    for image in images:
        subset = image.relative_to(folder).parts[0] if image.parent != folder else folder.resolve().name
        if NO_PLATE in image.parts:
            labels.add(Sample(image, (), subset))
            continue
        try:
            label = parse_ccpd_name(image.stem)
        except CcpdNameError as e:
            labels.problems.append(f"{image}: {e}")
            continue
        labels.add(Sample(image, (LabelledPlate(label.text, label.corners),), subset))


def _read_file(file: Path, labels: Labels, data_dir: Path | None) -> None:
    folder = file.parent if data_dir is None else data_dir
    root = folder.resolve()
    rowwise = file.suffix.lower() == ".csv"
    renamed = file.name == PPOCRLABEL and data_dir is None
    place = "beside the label file" if data_dir is None else f"in {data_dir}"
    places: dict[str, str] = {}
    grouped: dict[tuple[str, bool], list[LabelledPlate]] = {}
    for number, row in read_rows(file):
        try:
            if isinstance(row, RejectedLabelError):
                raise row
            written, plates, crop = row
            # Looked for once per image, at its first row.
            if written not in places:
                places[written] = find_image(root, written, any_folder=renamed, place=place)
            key = (places[written], crop)
            if key not in grouped:
                grouped[key] = plates
            else:
                labels.repeated += not _merge(grouped[key], plates, written, rowwise=rowwise)
        except RejectedLabelError as e:
            labels.problems.append(f"{file}:{number}: {e}")
            if isinstance(e, UnreadImageError):
                labels.unread.append(labels.problems[-1])
    for (name, crop), plates in grouped.items():
        subset = _subset(PurePosixPath(name).parts[:-1], root.name)
        labels.add(Sample(folder / name, tuple(plates), subset, crop))


def _merge(
    known: list[LabelledPlate], plates: Sequence[LabelledPlate], written: str, *, rowwise: bool
) -> bool:
    """Adds a label to those that its file has of the same image.

    Args:
        known: The image's plates so far; those that are new are appended.
        plates: The label's plates.
        written: The image's name, as it is written.
        rowwise: Whether a label is a plate of the image, not the whole of it.

    Returns:
        Whether anything is new.

    Raises:
        RejectedLabelError: A label of the whole image says something else than the first.
    """
    new = [plate for plate in plates if not _is_known(plate, known)] if rowwise else []
    if not rowwise and not (len(plates) == len(known) and all(map(_same, plates, known))):
        raise RejectedLabelError(f"{written!r} again, with other plates: its first line counts")
    known += new
    return bool(new)


def _is_known(plate: LabelledPlate, known: Sequence[LabelledPlate]) -> bool:
    """Tells whether a plate is among others; of one that nobody can read nor find, nobody knows."""
    if plate.ignored and plate.corners is None:
        return False
    return any(_same(plate, other) for other in known)


def _same(plate: LabelledPlate, other: LabelledPlate) -> bool:
    if plate.corners is None or other.corners is None:
        return plate.text == other.text and plate.corners is other.corners
    return plate.text == other.text and np.array_equal(plate.corners, other.corners)


def _subset(folders: tuple[str, ...], root: str) -> str:
    """The group of an image: the first of its folders, but for the two that `edge-lpr dataset` makes."""
    if len(folders) > 1 and folders[0] in (IMAGES, CROPS):
        return folders[1]
    return folders[0] if folders else root
