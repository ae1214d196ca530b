"""Options that several commands share; their choices are those of the registries."""

from __future__ import annotations

import argparse
from typing import Any

from edge_lpr.backends import AUTO, BACKENDS, backend_choices
from edge_lpr.precisions import PRECISIONS

__all__ = ["add_model_options", "model_arguments"]


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that choose models and what runs them; `model_arguments` takes them back."""
    add = parser.add_argument_group("model").add_argument
    add("--bundle", metavar="DIR", help="model bundle (default: the one in the package)")
    add("--backend", default=AUTO, choices=backend_choices(), help="what runs the models")
    add("--precision", default=AUTO, choices=(AUTO, *PRECISIONS.names()), help="which models of the bundle")
    for kind in BACKENDS:
        for option in kind.options:
            if option.flag:
                add(option.flag, dest=option.name, default=None, **dict(option.arguments or {}))


def model_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the arguments of `PlateReader` that the options of `add_model_options` stand for."""
    names = [option.name for kind in BACKENDS for option in kind.options if option.flag]
    options = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return {
        "bundle": args.bundle,
        "backend": args.backend,
        "precision": args.precision,
        "options": options,
    }
