"""Rates and contact sheets."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import pytest

from edge_lpr.finetune.synthesis.contact_sheet import rates, sheet_file


def test_rates_number_their_calls_and_give_opencv_its_threads_back() -> None:
    before, calls = cv2.getNumThreads(), list[int]()
    found = rates({"a": calls.append}, 0.01)
    assert found["a"] > 0 and calls == list(range(len(calls)))
    assert cv2.getNumThreads() == before


def test_sheets(tmp_path: Path) -> None:
    assert sheet_file(str(tmp_path / "x.png")) == tmp_path / "x.png"
    with pytest.raises(argparse.ArgumentTypeError, match=r"cannot write '\.foo'"):
        sheet_file("x.foo")
