from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_lpr.console import process_title
from edge_lpr.console.process_title import mask_process_title


def test_arguments_are_overwritten_where_they_lie() -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs Linux's /proc")
    code = (
        "import os, sys\n"
        "from edge_lpr.console.process_title import mask_process_title\n"
        "given = list(sys.argv)\n"
        "mask_process_title(lambda text: text.replace('secret', '*').replace('short', 'much longer'))\n"
        "assert sys.argv == given and os.environ['LAST'] == 'secret'\n"
        "sys.stdout.buffer.write(open('/proc/self/cmdline', 'rb').read())\n"
    )
    arguments = ["a secret b", "", "short", "门secret", "plain"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, check=True, env={"LAST": "secret"}
    )
    shown = done.stdout.split(b"\0")
    assert [part.decode() for part in shown if part][-4:] == ["a * b", "much ", "门*", "plain"]


def test_where_there_is_no_proc_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_title, "_PROC", tmp_path)
    mask_process_title(str.upper)
    (tmp_path / "stat").write_text("1 (a) b) S " + "0 " * 60)
    (tmp_path / "cmdline").write_bytes(b"a\0")
    mask_process_title(str.upper)
