"""The packages: those that reading needs, those of picture formats, and those of the other commands."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util

from edge_lpr.backends.onnxruntime import import_onnxruntime
from edge_lpr.cli import COMMANDS
from edge_lpr.cli.doctor.check import Check
from edge_lpr.errors import one_line
from edge_lpr.installing import install_command

__all__ = ["EXTRAS", "extra_checks", "format_checks", "package_checks"]

EXTRAS = {
    "evaluate": ("rapidfuzz",),
    "export": ("paddle", "paddle2onnx", "onnx", "yaml"),
    "finetune": ("torch", "onnx", "rapidfuzz", "matplotlib", "yaml"),
    "calib": ("onnx", "rapidfuzz", "matplotlib", "jinja2", "scipy"),
    "tensorrt": ("pycuda", "tensorrt"),
    "scale": ("ray", "pyarrow", "fsspec"),
    "sign": ("cryptography",),
    "completion": ("shtab",),
}
"""Extras that commands come with, and the modules to look for."""


def package_checks() -> list[Check]:
    """The packages that reading needs, each imported."""
    checks = []
    for module, package in (
        ("numpy", "numpy"),
        ("cv2", "opencv-python-headless"),
        ("pyclipper", "pyclipper"),
        ("av", "av"),
        ("PIL", "pillow"),
    ):
        try:
            imported = importlib.import_module(module)
            checks.append(Check("packages", module, "ok", str(getattr(imported, "__version__", "found"))))
        except Exception as e:  # a package for another numpy or glibc fails with anything
            found = one_line(e, named=True)
            checks.append(Check("packages", module, "broken", found, f"pip install {package}"))
    try:
        ort = import_onnxruntime()
        providers = [p.removesuffix("ExecutionProvider") for p in ort.get_available_providers()]
        found = f"{ort.__version__}, providers {', '.join(providers)}"
        checks.append(Check("packages", "onnxruntime", "ok", found))
    except ModuleNotFoundError:
        advice = f"{install_command('cpu')}, or the extra 'gpu' with an NVIDIA GPU"
        checks.append(Check("packages", "onnxruntime", "missing", "not installed", advice))
    except Exception as e:
        checks.append(
            Check(
                "packages",
                "onnxruntime",
                "broken",
                one_line(e, named=True),
                "pip install --upgrade onnxruntime",
            )
        )
    return checks


def format_checks() -> list[Check]:
    """The formats of pictures that are not everywhere; what is missing is no reason to read none."""
    heic = importlib.util.find_spec("pillow_heif") is not None
    avif = False
    with contextlib.suppress(ImportError):  # reported under packages
        from PIL import features

        avif = bool(features.check("avif"))
    rows = (
        ("AVIF", avif, "by Pillow", "pip install --upgrade pillow"),
        ("HEIC", heic, "pictures of phones, by pillow-heif", install_command("heif")),
    )
    return [
        Check("pictures", name, "ok" if there else "missing", found, "" if there else advice)
        for name, there, found, advice in rows
    ]


def extra_checks() -> list[Check]:
    """What is there for the commands beside reading; nothing of it is imported."""
    checks = []
    for extra, modules in EXTRAS.items():
        lacking = [module for module in modules if importlib.util.find_spec(module) is None]
        commands = ", ".join(name for name, command in COMMANDS.items() if command.extra == extra)
        if lacking:
            missing = f"no {', '.join(lacking)}"
            checks.append(Check("commands", commands, "missing", missing, install_command(extra)))
        else:
            checks.append(Check("commands", commands, "ok", f"extra {extra}"))
    return checks
