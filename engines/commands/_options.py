"""The options of building, as `edge-lpr build` and the GPU benchmark have them."""

from __future__ import annotations

import argparse
from typing import Any

from edge_lpr.engines.build_settings import DEFAULT_BATCHES, BuildSettings
from edge_lpr.settings import add_options, given

__all__ = ["add_build_options", "settings_from"]


def add_build_options(parser: argparse.ArgumentParser, default_sizes: str) -> None:
    """Adds the options that say how engines are built; `settings_from` takes them back.

    Args:
        parser: The command's parser.
        default_sizes: What the detector's input sizes are where none is given, for --help.
    """
    add = parser.add_argument_group("shapes").add_argument
    batches = " ".join(map(str, DEFAULT_BATCHES))
    add(
        "--batch",
        nargs="+",
        type=int,
        dest="batches",
        metavar="N",
        help=f"batch sizes to be fast at; the largest is the limit (default: {batches})",
    )
    add(
        "--det-size",
        nargs="+",
        dest="det_sizes",
        metavar="WxH",
        help="input sizes of the detector in pixels; images are made to fit the best one "
        f"(default: {default_sizes})",
    )
    add(
        "--frame-size",
        nargs="+",
        dest="frame_sizes",
        metavar="WxH",
        help="sizes of cameras' frames that are resized on the GPU, with an engine more for each",
    )
    add = parser.add_argument_group("TensorRT").add_argument
    add_options(add, BuildSettings)
    add(
        "--tactic-sources",
        nargs="+",
        type=str.upper,
        metavar="NAME",
        help="kernels' libraries to choose from",
    )


def settings_from(args: argparse.Namespace) -> BuildSettings:
    """Returns the settings that the options of `add_build_options` stand for.

    Raises:
        SettingError: Two of them contradict each other.
    """
    values: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in given(args, BuildSettings).items()
    }
    return BuildSettings(**values)
