"""Options of the registries: each once, whoever has it; every threshold has its own."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import pytest

from edge_lpr.backends import BACKENDS, BackendKind, BackendOption, Models, backend_options
from edge_lpr.bundle.manifest import Bundle
from edge_lpr.cli import command_parser
from edge_lpr.cli.options import add_model_options, model_arguments
from edge_lpr.errors import SettingError
from edge_lpr.pipeline.settings import DetectorSettings, ReadSettings, TrackSettings


def opened(bundle: Bundle, precision: str, options: Mapping[str, Any]) -> Models:
    raise AssertionError


@pytest.fixture
def own_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that the test may add to."""
    BACKENDS.names()
    monkeypatch.setattr(BACKENDS, "_choices", dict(BACKENDS._choices))


def shared(name: str) -> BackendOption:
    return next(option for option in backend_options() if option.name == name)


@pytest.mark.usefixtures("own_backends")
def test_an_option_that_two_backends_have_is_there_once() -> None:
    BACKENDS.register(
        BackendKind("made-up", 50, opened, options=(shared("threads"), BackendOption("cache", "--cache")))
    )
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_model_options(parser)
    args = parser.parse_args(["--backend", "made-up", "--threads", "2", "--cache", "x"])
    assert model_arguments(args) == {
        "bundle": None,
        "verify_key": None,
        "backend": "made-up",
        "precision": "auto",
        "options": {"threads": 2, "cache": "x"},
    }


@pytest.mark.usefixtures("own_backends")
@pytest.mark.parametrize(
    "option", [BackendOption("threads", "--threads", {"type": str}), BackendOption("cores", "--threads")]
)
def test_an_option_means_the_same_to_all(option: BackendOption) -> None:
    with pytest.raises(SettingError, match=r"'made-up': its option .* is declared otherwise by "):
        BACKENDS.register(BackendKind("made-up", 50, opened, options=(option,)))


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5"])
def test_threads_are_an_integer_from_one(value: str) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_model_options(parser)
    with pytest.raises(argparse.ArgumentError, match="must be an integer ≥ 1"):
        parser.parse_args(["--threads", value])


def test_every_threshold_has_an_option() -> None:
    told = command_parser("read").format_help()
    for kind in (DetectorSettings, ReadSettings, TrackSettings):
        for name in kind.names():
            assert f"--{name.replace('_', '-')} " in told or f"--{name.replace('_', '-')}\n" in told
