"""From a bundle's size rules to optimization profiles: few fixed sizes, and few ranges of the batch.

TensorRT chooses kernels for the middle shape of each profile and plans memory for the largest. One wide range
therefore costs speed and memory at the sizes that really come; a camera sends one size.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_lpr.backends.tensorrt.profile import Profile
from edge_lpr.bundle.manifest import Bundle, DetSpec
from edge_lpr.errors import SettingError
from edge_lpr.pipeline.detector import input_size
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.types import Part, Size

# What most cameras send, width by height in pixels; turned by 90° it is what phones send. An image that fits
# into neither is made smaller, one that is smaller is padded.
CAMERA = (1920, 1080)
MAX_PROFILE_BATCH = 256
_LEAST_FRAME, _LARGEST_FRAME = 16, 8192
# TensorRT makes kernels and memory for each profile: more than a few belong into engines of their own.
MAX_PROFILES = 16


def det_sizes(model: DetSpec, wanted: Sequence[str] = ()) -> tuple[Size, ...]:
    """Settles which sizes the detector's engine takes.

    Args:
        model: The detector.
        wanted: Sizes as "WIDTHxHEIGHT" in pixels, of the detector's input; empty takes those of a
            16:9 camera, upright and lying.

    Returns:
        Heights and widths in pixels, ascending by area, each once.

    Raises:
        SettingError: Not a size, not a multiple of the model's stride, or longer than its limit.
    """
    if not wanted:
        lying = input_size(model, DetectorSettings.for_model(model), CAMERA[1], CAMERA[0])
        return lying[::-1], lying
    return tuple(sorted({_parse(model, text) for text in wanted}, key=lambda size: size[0] * size[1]))


def frame_sizes(model: DetSpec, wanted: Sequence[str]) -> tuple[tuple[Size, Size], ...]:
    """Settles for which frames there are engines that resize them.

    Args:
        model: The detector.
        wanted: The frames' sizes as "WIDTHxHEIGHT" in pixels.

    Returns:
        Height and width in pixels of each frame, each once, and those of the network's input for it.

    Raises:
        SettingError: Not a size, or one that the network takes as it is.
    """
    found: dict[Size, Size] = {}
    for text in wanted:
        frame = _pixels("--frame-size", text)
        if not all(_LEAST_FRAME <= side <= _LARGEST_FRAME for side in frame):
            raise SettingError(
                f"--frame-size {text}: expected sides of {_LEAST_FRAME} to {_LARGEST_FRAME} pixels"
            )
        found[frame] = input_size(model, DetectorSettings.for_model(model), *frame)
        if found[frame] == frame:
            raise SettingError(f"--frame-size {text}: nothing to resize; give it as --det-size")
    return tuple(found.items())


def profiles(
    bundle: Bundle, part: Part, batches: Sequence[int], sizes: Sequence[Size]
) -> tuple[Profile, ...]:
    """Makes the profiles of one model.

    Args:
        bundle: The bundle.
        part: "det" or "rec".
        batches: Batch sizes to be fast at, in images. (1, 8) makes two profiles for each size: one for
            exactly 1, one for 2 to 8 whose kernels are chosen for 8.
        sizes: Heights and widths of the detector's input, in pixels. The recognizer's are in the bundle.

    Returns:
        One profile per size and range of the batch.

    Raises:
        SettingError: A batch is out of its range, or there would be too many profiles.
    """
    steps = sorted(set(batches))
    if not steps or not 1 <= steps[0] <= steps[-1] <= MAX_PROFILE_BATCH:
        raise SettingError(
            f"--batch {' '.join(map(str, batches))}: expected sizes from 1 to {MAX_PROFILE_BATCH}"
        )
    if part == "rec":
        sizes = [(bundle.rec.height, width) for width in bundle.rec.widths]
    if len(steps) * len(sizes) > MAX_PROFILES:
        raise SettingError(
            f"{len(steps)} batch sizes and {len(sizes)} input sizes of {part!r} make over {MAX_PROFILES} "
            f"profiles: give fewer --batch or --det-size"
        )
    lows = [1, *(step + 1 for step in steps)]
    return tuple(
        Profile(min=(low, *size, 3), opt=(step, *size, 3), max=(step, *size, 3))
        for size in sizes
        for low, step in zip(lows, steps, strict=False)
    )


def _pixels(option: str, text: str) -> Size:
    """Reads "WIDTHxHEIGHT"; returns height and width."""
    match = re.fullmatch(r"(\d{1,5})[x×*](\d{1,5})", text.strip())
    if match is None:
        example = "1120x640" if option == "--det-size" else "1920x1080"
        raise SettingError(f"{option} {text!r}: expected WIDTHxHEIGHT in pixels, such as {example}")
    return int(match[2]), int(match[1])


def _parse(model: DetSpec, text: str) -> Size:
    height, width = _pixels("--det-size", text)
    if not width or not height or width % model.stride or height % model.stride:
        advice = ""
        if width and height:
            fit = input_size(model, DetectorSettings.for_model(model), height, width)
            advice = f"; for frames of {width}x{height} give --det-size {fit[1]}x{fit[0]}"
        raise SettingError(f"--det-size {text}: not multiples of {model.stride} pixels{advice}")
    if max(width, height) > model.max_side_len:
        raise SettingError(f"--det-size {text}: over this bundle's limit of {model.max_side_len} pixels")
    return height, width
