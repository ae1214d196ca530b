"""Inference backends: one small protocol, one module each that registers itself, and the choice between them.

A further backend is one module of this package: a class that follows `Backend`, and a call of
`BACKENDS.register` with the name, the rank and the function that opens a bundle's models. Nothing else has
to know of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge_lpr.backends.base import AUTO, BACKENDS, Backend, BackendKind, BackendOption, Models, open_both
from edge_lpr.bundle.manifest import Bundle
from edge_lpr.errors import BackendError, EdgeLprError, SettingError, SignatureError
from edge_lpr.precisions import REFERENCE

__all__ = [
    "AUTO",
    "BACKENDS",
    "Backend",
    "BackendKind",
    "BackendOption",
    "Models",
    "backend_choices",
    "backend_options",
    "open_both",
    "open_models",
]


def backend_choices() -> tuple[str, ...]:
    """Returns what --backend takes: "auto", then each backend by rank."""
    return (AUTO, *BACKENDS.names())


def backend_options() -> tuple[BackendOption, ...]:
    """Returns the settings of all backends, each once, in the order of the backends."""
    found = {option.name: option for kind in BACKENDS for option in kind.options}
    return tuple(found.values())


def open_models(
    bundle: Bundle,
    *,
    backend: str = AUTO,
    precision: str = AUTO,
    options: Mapping[str, Any] | None = None,
) -> Models:
    """Opens both models of a bundle in the best backend that this machine has, or in the one asked for.

    "auto" takes the first backend by rank that can open both: TensorRT where there are engines that fit this
    machine, else ONNX Runtime, on the GPU where it can use it, else on the CPU.

    Args:
        bundle: The bundle.
        backend: "auto" or a backend's name.
        precision: A precision's name, or "auto": in TensorRT the best that has engines; in ONNX Runtime FP32,
            or on a CPU what the bundle has for it, where that was measured to be faster here.
        options: Settings of backends by name; those that another backend has are left out by "auto".

    Raises:
        SettingError: No such backend or setting, or a setting of another backend than the one asked for.
        BundleError: The bundle lacks the precision.
        SignatureError: The bundle's signature was asked for, and an engine has none that is good.
        MissingExtraError: A package that the backend needs is not installed.
        BackendError: No backend, or not the one asked for, can run here.
    """
    given = dict(options or {})
    _check(backend, given)
    if backend != AUTO:
        return _open(BACKENDS[backend], bundle, precision, given)
    refusals: list[str] = []
    last: EdgeLprError | None = None
    for kind in BACKENDS:
        absence = kind.absence()
        if absence:
            refusals.append(absence)
            continue
        try:
            models = _open(kind, bundle, precision, given)
        except (SignatureError, SettingError):  # somebody may be at work; what was asked for cannot be
            raise
        except EdgeLprError as e:
            refusals.append(str(e))
            last = e
        else:
            return replace(models, why=" ".join([models.why, *(f"({r})" for r in refusals)]))
    raise last or BackendError(f"no backend can run here: {'; '.join(refusals)}; edge-lpr doctor tells more")


def _open(kind: BackendKind, bundle: Bundle, precision: str, given: Mapping[str, Any]) -> Models:
    own = {option.name for option in kind.options}
    if precision == AUTO and not kind.picks_precision:
        precision = REFERENCE
    return kind.open(bundle, precision, {name: value for name, value in given.items() if name in own})


def _check(backend: str, given: Mapping[str, Any]) -> None:
    if backend not in backend_choices():
        raise SettingError(f"backend {backend!r}: expected one of {', '.join(backend_choices())}")
    owners: dict[str, list[str]] = {}
    flags = {option.name: option.flag for option in backend_options()}
    for kind in BACKENDS:
        for option in kind.options:
            owners.setdefault(option.name, []).append(kind.name)
    for name in given:
        if name not in owners:
            raise SettingError(f"no backend setting {name!r}; there are {', '.join(owners)}")
        if backend != AUTO and backend not in owners[name]:
            shown = flags[name] or f"{name} {given[name]}"
            raise SettingError(
                f"{shown}: a setting of {' and '.join(owners[name])}, and the backend is {backend}; "
                "leave one out"
            )
    for kind in BACKENDS:
        kind.check(given)
