from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from numpy.typing import NDArray

pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))

from edge_lpr.cli import main
from edge_lpr.datasets.content import content_name

QUAD = [[80, 90], [240, 90], [240, 141], [80, 141]]


@pytest.fixture
def converted(tmp_path: Path, plate_scene: Callable[..., NDArray[np.uint8]]) -> Path:
    """A folder as `edge-lpr dataset ccpd` leaves it: a scene, and the plate cut out of it."""
    scene = plate_scene()
    for place, image in (("images", scene), ("crops", scene[90:141, 80:240])):
        (tmp_path / place / "ccpd_base").mkdir(parents=True)
        cv2.imwrite(str(tmp_path / place / "ccpd_base" / "a.png"), image)
    label = [{"transcription": "皖A13H25", "points": QUAD}]
    (tmp_path / "det.txt").write_text(f"images/ccpd_base/a.png\t{json.dumps(label)}\n", encoding="utf-8")
    (tmp_path / "rec.txt").write_text("crops/ccpd_base/a.png\t皖A13H25\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("task", "count"), [("rec", "plates"), ("e2e", "labelled"), ("det", "labelled")])
def test_a_plate_is_counted_once(
    converted: Path, task: str, count: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", task, str(converted), "--json", "-"]) == 0
    subsets = json.loads(capsys.readouterr().out)["subsets"]
    assert list(subsets) == ["ccpd_base", "all"]
    assert subsets["all"][count] == 1
    assert {"rec": "acc", "e2e": "recall", "det": "recall"}[task] in subsets["all"]


def test_a_plate_where_none_is_labelled_costs_precision_alone(
    converted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (converted / "det.txt").write_text("images/ccpd_base/a.png\t[]\n", encoding="utf-8")
    assert main(["evaluate", "e2e", str(converted / "det.txt")]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("ccpd_base"))
    assert row.split()[1:7] == ["-", "0.0000", "0.0000", "-", "-", "0"]
    assert main(["evaluate", "e2e", str(converted / "det.txt"), "--json", "-"]) == 0
    counts = json.loads(capsys.readouterr().out)["subsets"]["all"]
    assert (counts["recall"], counts["precision"]) == (None, 0)


def test_a_perfect_set_without_corners(converted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (converted / "plates.csv").write_text(
        "file,label,corners_tl_tr_br_bl\nimages/ccpd_base/a.png,皖A13H25,\n", encoding="utf-8"
    )
    assert main(["evaluate", "e2e", str(converted / "plates.csv")]) == 0
    row = capsys.readouterr().out.splitlines()[-2]
    assert row.split()[:6] == ["all", "1.0000", "1.0000", "1.0000", "-", "1.0000"]


@pytest.mark.parametrize("task", ["det", "e2e"])
def test_overlap_needs_no_package_of_its_own(converted: Path, task: str) -> None:
    absent = ["onnx", "torch", "paddle", "shapely", "matplotlib", "jinja2", "scipy"]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r})); from edge_lpr.cli import main; "
        f"sys.exit(main(['evaluate', {task!r}, {str(converted)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2].startswith("all")


def test_greedy_decoding_is_for_rec_alone(converted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "e2e", str(converted), "--decoder", "greedy"]) == 2
    assert "--decoder greedy is for rec alone" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["rec", "e2e", "det"])
def test_an_anonymous_report(converted: Path, task: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = {"rec": "rec.txt", "det": "det.txt", "e2e": "det.txt"}[task]
    label = (converted / text).read_text(encoding="utf-8")
    # Another plate at another place: whatever is asked for is a miss.
    moved = (
        label.replace("皖A13H25", "京B99999")
        .replace("[[80, 90]", "[[80, 190]")
        .replace("[240, 90]", "[240, 190]")
    )
    moved = moved.replace("141]", "235]")
    (converted / text).write_text(f"{moved}images/none.png\t[]\n", encoding="utf-8")
    assert main(["evaluate", task, str(converted / text), "--json", "-", "--anonymous"]) == 2
    told = json.loads(capsys.readouterr().out)
    image = converted / ("crops" if task == "rec" else "images") / "ccpd_base" / "a.png"
    assert [miss["image"] for miss in told["misses"]] == [content_name(image)]
    assert told["problems"] == ["1 image or label skipped"]
    assert not {"京B99999", "皖A13H25", "a.png"} & set(
        re.findall(r"[\w.]+", json.dumps(told, ensure_ascii=False))
    )


def test_anonymous_goes_with_json(converted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "e2e", str(converted), "--anonymous"]) == 2
    assert "--anonymous goes with --json alone" in capsys.readouterr().err
