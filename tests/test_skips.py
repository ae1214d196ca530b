"""What is skipped is said in one line, however much it is."""

from __future__ import annotations

import sys

from helpers.clones import ROOT, run
from helpers.extras import reason, told_apart


def test_reasons_are_counted_by_extra() -> None:
    reasons = [reason("torch", "finetune"), reason("onnx", "test"), reason("PIL", "finetune"), "needs a GPU"]
    told = "2 for want of the extra finetune, 1 for want of the extra test, 1 for other reasons"
    assert told_apart(reasons) == told
    assert told_apart(["needs a GPU"] * 3) == "3 for other reasons"


def test_a_run_ends_with_the_count_and_lists_nothing() -> None:
    absent = "import sys; sys.modules.update(torch=None, yaml=None)"
    program = f"{absent}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    files = [f"tests/finetune/training/test_{name}.py" for name in ("losses", "det")]
    files.append("tests/export/test_inference_yml.py")
    code, told = run(sys.executable, "-c", program, "-q", "-p", "no:cacheprovider", *files, cwd=ROOT)
    assert code == 5, told
    lines = [line for line in told.splitlines() if "skip" in line.lower()]
    want = "1 for want of the extra export, 2 for want of the extra finetune"
    assert lines == [f"skipped: {want}; -rs lists them", lines[-1]]
    assert lines[-1].startswith("3 skipped")
