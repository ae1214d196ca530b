"""The table of how exactly networks are exported."""

from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

pytest.importorskip("onnx", reason=reason("onnx", "test"))

from edge_lpr.architectures.registry import ARCHITECTURES
from edge_lpr.benchmarks.networks import drawn_weights, main


def test_drawn_weights_are_of_the_network_and_the_same_again() -> None:
    wanted = ARCHITECTURES["ch_PP-OCRv2_det"].parameters()
    first, second = drawn_weights(wanted), drawn_weights(wanted)
    assert {name: a.shape for name, a in first.items()} == {p.name: p.shape for p in wanted}
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_wrong_name_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["PP-OCRv9_det"]) == 2
    assert "architecture 'PP-OCRv9_det': expected one of ch_PP-OCRv3_det" in capsys.readouterr().err
    assert main(["ch_PP-OCRv2_det", "--weights", "x.pdparams"]) == 2
    assert "--weights x.pdparams: expected NETWORK=PATH" in capsys.readouterr().err


def test_figures_do_not_go_over_what_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "inference"
    model.mkdir()
    (model / "inference.pdmodel").write_bytes(b"")
    given = ["--paddle2", f"ch_PP-OCRv2_det={model}", "--json", str(model / "inference.pdmodel")]
    assert main(["ch_PP-OCRv2_det", *given]) == 2
    assert "--json" in capsys.readouterr().err
    assert (model / "inference.pdmodel").read_bytes() == b""
