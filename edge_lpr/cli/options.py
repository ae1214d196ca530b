"""Options that several commands share; their choices are those of the registries."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from edge_lpr.backends import AUTO, backend_choices, backend_options
from edge_lpr.pipeline.settings import DetectorSettings, GateSettings, TrackSettings
from edge_lpr.precisions import PRECISIONS
from edge_lpr.settings import add_options

__all__ = [
    "add_backend_options",
    "add_model_options",
    "add_threshold_options",
    "backend_arguments",
    "model_arguments",
]


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that choose models and what runs them; `model_arguments` takes them back."""
    add = parser.add_argument_group("model").add_argument
    add(
        "--bundle",
        metavar="DIR",
        help="model bundle, a folder or the name of one in the package (default: default)",
    )
    add("--verify-key", metavar="KEY", help="take only models signed by this public key (edge-lpr sign)")
    add("--backend", default=AUTO, choices=backend_choices(), help="what runs the models")
    add("--precision", default=AUTO, choices=(AUTO, *PRECISIONS.names()), help="which models of the bundle")
    add_backend_options(add)


def add_backend_options(add: Callable[..., Any]) -> None:
    """Adds the options of all backends; `backend_arguments` takes them back.

    Args:
        add: `add_argument` of a parser or group.
    """
    for option in backend_options():
        if option.flag:
            add(option.flag, dest=option.name, default=None, **dict(option.arguments or {}))


def add_threshold_options(parser: argparse.ArgumentParser, moving: str) -> None:
    """Adds the options of tracking, of the gate and of detection, each in a group.

    Args:
        parser: The command's.
        moving: What it tracks plates in, for --help.
    """
    add = parser.add_argument_group(f"tracking in {moving}").add_argument
    add_options(add, TrackSettings)
    add = parser.add_argument_group("what of a video's frames is looked at").add_argument
    add_options(add, GateSettings)
    add = parser.add_argument_group("detection, by PP-OCR's names (default: the bundle's)").add_argument
    add_options(add, DetectorSettings, show_default=False)


def backend_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the settings of backends that options were given for, by name."""
    names = [option.name for option in backend_options() if option.flag]
    return {name: value for name in names if (value := getattr(args, name)) is not None}


def model_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the arguments of `PlateReader` that the options of `add_model_options` stand for."""
    return {
        "bundle": args.bundle,
        "verify_key": args.verify_key,
        "backend": args.backend,
        "precision": args.precision,
        "options": backend_arguments(args),
    }
