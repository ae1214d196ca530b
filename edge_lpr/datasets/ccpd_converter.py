"""CCPD folders → PP-OCR's training format: det.txt, rec.txt, the images and the plates cut out of them.

The result is one folder that can be moved as a whole: ``images/`` holds the images as hard links (copies
where the file system has none), ``crops/`` a straightened crop of each plate. A crop is named after its
image, not after its text: several images of one plate keep a crop each. A crop is only ever there
whole, so what is there already is not made again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from edge_lpr.counting import counted
from edge_lpr.datasets.ccpd import CcpdLabel, parse_ccpd_name
from edge_lpr.datasets.labels import NO_PLATE
from edge_lpr.environment import cores
from edge_lpr.errors import CcpdNameError, InputError, OutputError, SourceError
from edge_lpr.geometry import crop_quad
from edge_lpr.io.atomic_io import create_folder, write_bytes, write_with
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.claims import Claims, files_in
from edge_lpr.io.image_io import MAX_BYTES, decode_image
from edge_lpr.io.sniff import IMAGE_SUFFIXES
from edge_lpr.io.walk import walk_files
from edge_lpr.types import Tick

JPEG_QUALITY = 95
# Images waiting for a worker: enough to keep all busy, few enough that Ctrl-C ends at once.
QUEUED = 64
_LABELS = ("det.txt", "rec.txt", "skipped.txt")
_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


@dataclass
class Conversion:
    """What a run did.

    Attributes:
        images: Images in the label files.
        crops: Plates in them.
        reused: Images whose crop was there from an earlier run.
        unread: Images that cannot be read or decoded, and folders; they are among the problems.
        problems: (image, reason) of each that was skipped.
    """

    images: int = 0
    crops: int = 0
    reused: int = 0
    unread: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)


class _SkipError(Exception):
    """An image that is skipped; its text is the reason."""


class _UnreadError(_SkipError):
    """An image that cannot be read or decoded."""


def find_images(source: Path, out: Path, on_problem: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Lists the images below a folder in order, without those of the output folder.

    Args:
        source: The folder.
        out: The output folder.
        on_problem: Called with one line for each file and folder that cannot be looked at.

    Raises:
        InputError: There is no such folder, or no image in it.
    """
    if not source.is_dir():
        raise InputError(
            f"{source}: no such folder; give the folder of a CCPD download, such as CCPD2020/ccpd_green"
        )
    skipped = os.path.realpath(out)
    closed: list[str] = []
    images = [
        path
        for path in sorted(walk_files(source, closed.append))
        if path.suffix.lower() in IMAGE_SUFFIXES and not Path(os.path.realpath(path)).is_relative_to(skipped)
    ]
    if not images:
        why = f"; {closed[0]}" if closed else "; is it unpacked, and the right folder?"
        raise InputError(f"{source}: no image in it{why}")
    for line in closed:
        on_problem(line)
    return images


def convert_ccpd(
    source: Path,
    out: Path,
    workers: int | None = None,
    tick: Tick | None = None,
) -> Conversion:
    """Converts a CCPD folder.

    Args:
        source: A folder of images with CCPD's file names, in subfolders or not.
        out: Where `det.txt`, `rec.txt`, `skipped.txt`, `images/` and `crops/` go; made where missing.
        workers: Images decoded at the same time; None takes one per core.
        tick: Called with 1 after each image.

    Returns:
        What was converted and what was skipped. When Ctrl-C or an error ends the run, new label files hold
        what was done until then, those of an earlier run stay, and the same call later goes on from there.

    Raises:
        InputError: The folder is missing, empty, or holds no image with a usable CCPD name.
        SettingError: What would be written is one of the images.
        OutputError: Something cannot be written.
    """
    result = Conversion()
    closed: list[str] = []
    images = find_images(source, out, closed.append)
    for line in closed:
        name, _, reason = line.rpartition(": ")
        result.problems.append((Path(name).relative_to(source).as_posix(), reason))
    result.unread = len(closed)
    claims = Claims(("DIR", path) for path in images)
    for path in (*(out / name for name in _LABELS), *(file for _, file in files_in("", out / "crops"))):
        claims.check_input(path, "--out")
    scenes: dict[Path, str] = {}
    crops: dict[Path, str] = {}
    complete = False
    create_folder(out)
    try:
        for path, outcome in _work(images, source, out, workers or cores()):
            relative = path.relative_to(source)
            if isinstance(outcome, _SkipError):
                result.problems.append((relative.as_posix(), str(outcome)))
                result.unread += isinstance(outcome, _UnreadError)
            else:
                label, reused = outcome
                scenes[relative] = _det_line(relative, label)
                if label is not None:
                    crops[relative] = f"{(Path('crops') / _crop_name(relative)).as_posix()}\t{label.text}\n"
                result.reused += reused
            if tick is not None:
                tick(1)
        complete = True
    except OSError as e:
        raise OutputError(f"{e.filename or out}: cannot be written ({e.strerror or e})") from e
    finally:
        if scenes and (complete or not (out / "det.txt").exists()):
            result.images, result.crops = len(scenes), len(crops)
            write_bytes(out / "det.txt", "".join(scenes[k] for k in sorted(scenes)).encode())
            write_bytes(out / "rec.txt", "".join(crops[k] for k in sorted(crops)).encode())
            lines = (f"{name}\t{reason}\n" for name, reason in sorted(result.problems))
            write_bytes(out / "skipped.txt", "".join(lines).encode())
    if not scenes:
        name, reason = result.problems[0]
        raise InputError(
            f"{source}: none of its {counted(len(images), 'images')} can be used; the first, {name}: {reason}"
        )
    return result


Outcome = tuple[CcpdLabel | None, bool] | _SkipError


def _work(images: list[Path], source: Path, out: Path, workers: int) -> Iterator[tuple[Path, Outcome]]:
    """Converts in threads (OpenCV works outside of Python's lock) and gives back in order of completion."""
    with ThreadPoolExecutor(workers) as pool:
        waiting: dict[Future[Outcome], Path] = {}
        try:
            for path in images:
                waiting[pool.submit(_convert, path, source, out)] = path
                if len(waiting) >= QUEUED:
                    yield from _finished(waiting)
            while waiting:
                yield from _finished(waiting)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _finished(waiting: dict[Future[Outcome], Path]) -> Iterator[tuple[Path, Outcome]]:
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        yield waiting.pop(future), future.result()


def _convert(path: Path, source: Path, out: Path) -> Outcome:
    relative = path.relative_to(source)
    # The label files are lines of tab-separated fields: such a name would break them.
    if any(c in relative.as_posix() for c in "\t\r\n"):
        return _SkipError("a tab or line break in the name")
    label = None
    if NO_PLATE not in path.parts:
        try:
            label = parse_ccpd_name(path.stem)
        except CcpdNameError as e:
            return _SkipError(str(e))
    crop = out / "crops" / _crop_name(relative)
    image = out / "images" / relative
    if image.is_file() and (label is None or crop.is_file()):
        return label, True
    try:
        _decode(path, label, crop)
    except _SkipError as e:
        return e
    _link(path, image)
    return label, False


def _decode(path: Path, label: CcpdLabel | None, crop: Path) -> None:
    try:
        data = read_bounded(path, MAX_BYTES, "an image", SourceError, label=path.name)
        if data.startswith(_JPEG_START) and _JPEG_END not in data[-64:]:
            raise _UnreadError("cut short: the JPEG has no end; copy it again")
        image = decode_image(data, path.name)
    except SourceError as e:
        if isinstance(e.__cause__, OSError):
            raise _UnreadError(f"cannot be read ({e.__cause__.strerror or e.__cause__})") from e
        raise _UnreadError(str(e)) from e
    if label is None:
        return
    height, width = image.shape[:2]
    if (label.corners.max(axis=0) > [width, height]).any():
        corners = " ".join(f"{x:.0f},{y:.0f}" for x, y in label.corners)
        raise _SkipError(f"the corners {corners} lie outside of the {width}x{height} image")
    encoded = cv2.imencode(".jpg", crop_quad(image, label.corners), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[
        1
    ]
    crop.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(crop, np.asarray(encoded).tobytes(), durable=False)


def _link(path: Path, image: Path) -> None:
    image.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path.resolve(), image)
    except FileExistsError:
        pass
    except OSError:
        with path.open("rb") as file:
            write_with(image, partial(shutil.copyfileobj, file), durable=False)


def _crop_name(relative: Path) -> Path:
    # The image's suffix stays in the name: a.jpg and a.png beside each other are two images.
    return relative if relative.suffix.lower() == ".jpg" else relative.with_name(f"{relative.name}.jpg")


def _det_line(relative: Path, label: CcpdLabel | None) -> str:
    plates = (
        [] if label is None else [{"transcription": label.text, "points": label.corners.astype(int).tolist()}]
    )
    return f"{(Path('images') / relative).as_posix()}\t{json.dumps(plates, ensure_ascii=False)}\n"
