from __future__ import annotations

import subprocess
import sys
import threading
import warnings

import pytest

from edge_lpr.console.streams import libraries_apart, masked_stderr


def python(code: str, *, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    head = "import os, sys\nfrom edge_lpr.console.streams import libraries_apart, masked_stderr\n"
    return subprocess.run(
        [sys.executable, "-c", head + code], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )


BOTH = """
with masked_stderr(), libraries_apart(shown={shown}):
    os.write(1, b"library, out\\n"); os.write(2, b"library at rtsp://u:secret@h/1\\n")
    print("result"); print("ours", file=sys.stderr)
print("after"); os.write(1, b""); sys.stdout.flush()
os.write(1, b"fd 1 is back\\n"); os.write(2, b"fd 2 is back\\n")
"""


def test_libraries_are_silent_and_python_is_not() -> None:
    done = python(BOTH.format(shown=False))
    assert done.stdout == "result\nafter\nfd 1 is back\n" and done.stderr == "ours\nfd 2 is back\n"


def test_what_libraries_say_is_masked_and_off_standard_output() -> None:
    done = python(BOTH.format(shown=True))
    assert done.stdout == "result\nafter\nfd 1 is back\n"
    assert sorted(done.stderr.splitlines()) == [
        "fd 2 is back", "library at rtsp://***@h/1", "library, out", "ours",
    ]  # fmt: skip
    assert done.stderr.endswith("fd 2 is back\n")  # nothing comes later


def test_a_long_line_without_an_end_is_shown() -> None:
    done = python(
        'with libraries_apart(shown=True):\n    os.write(2, b"x" * 200_000 + b" rtsp://u:secret@h")'
    )
    assert done.returncode == 0 and len(done.stderr) > 200_000 and "secret" not in done.stderr


def test_who_read_standard_output_may_have_left() -> None:
    code = (
        "r, w = os.pipe(); os.dup2(w, 1); os.close(w); os.close(r)\n"
        "try:\n"
        "    with libraries_apart(shown=False):\n"
        "        print('x'); sys.stdout.flush()\n"
        "except BrokenPipeError:\n"
        "    print('told', file=sys.stderr)\n"
        "os.dup2(os.open(os.devnull, os.O_WRONLY), 1)\n"
    )
    done = python(code)
    assert done.stderr == "told\n" and done.returncode == 0


def test_replaced_streams_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with libraries_apart(shown=False):
        assert (sys.stdout, sys.stderr) == before
        print("result")
    assert capsys.readouterr().out == "result\n"


def test_all_that_python_says_of_itself_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise RuntimeError("at rtsp://u:secret@h/1")

    with masked_stderr(), warnings.catch_warnings():
        warnings.simplefilter("always")
        hook, threading.excepthook = threading.excepthook, threading.__excepthook__
        try:
            thread = threading.Thread(target=fail)
            thread.start()
            thread.join()
        finally:
            threading.excepthook = hook
        sys.excepthook(RuntimeError, RuntimeError("at rtsp://u:secret@h/1"), None)
    told = capsys.readouterr().err
    assert told.count("RuntimeError: at rtsp://***@h/1") == 2 and "secret" not in told
