"""Checkpoints by the names that PaddleOCR's users give them."""

from pathlib import Path

import pytest

from edge_lpr.architectures.checkpoint_files import checkpoint_file
from edge_lpr.errors import ModelError


def test_with_and_without_the_ending_and_by_its_folder(tmp_path: Path) -> None:
    run = tmp_path / "v1.0"
    run.mkdir()
    assert checkpoint_file(run) is None
    for name in ("iter_epoch_9", "latest"):
        (run / f"{name}.pdparams").touch()
        (run / f"{name}.pdopt").touch()
    with pytest.raises(ModelError, match=r"\(iter_epoch_9\.pdparams, latest\.pdparams\); name one of them"):
        checkpoint_file(run)
    best = run / "best_accuracy.pdparams"
    best.touch()
    for given in (best, run / "best_accuracy", run):
        assert checkpoint_file(given) == best
    assert checkpoint_file(tmp_path / "v1") is None
    assert checkpoint_file(run / "none.pdparams") is None
    with pytest.raises(ModelError, match=r"give latest\.pdparams, the weights beside it"):
        checkpoint_file(run / "latest.pdopt")


def test_the_only_one_is_taken_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "teacher.pdparams").touch()
    assert checkpoint_file(tmp_path) == tmp_path / "teacher.pdparams"
