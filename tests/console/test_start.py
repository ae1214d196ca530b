"""The first moments of a real process: Ctrl-C while modules are imported, and streams that are closed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.extras import reason
from helpers.waiting import LONG, wait_until

import edge_lpr

SAMPLE = Path(__file__).parents[2] / "samples" / "street.jpg"
COMMAND = [sys.executable, "-m", "edge_lpr", str(SAMPLE)]


def wait_for(process: subprocess.Popen[str], library: str) -> None:
    """Waits until a process has a library in its memory: that is how far its imports are."""
    maps = Path(f"/proc/{process.pid}/maps")
    wait_until(lambda: library in maps.read_text(encoding="utf-8", errors="replace"), 0.001)
    assert process.poll() is None


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
@pytest.mark.parametrize("moment", ["_multiarray_umath", "cv2", "pyclipper", "onnxruntime_pybind11"])
def test_ctrl_c_while_modules_are_imported_is_one_line(moment: str) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # Whoever looks too late finds it waiting for this address, and not at its end.
        command = [*COMMAND[:3], f"rtsp://127.0.0.1:{silent.getsockname()[1]}/1", "--timeout", "3600"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            wait_for(process, moment)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=LONG)
    assert (process.returncode, out, err) == (130, "", "edge-lpr: interrupted\n")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_ctrl_c_at_the_very_start_is_one_line() -> None:
    # As soon as the command has the process: before that, it is Python's.
    code = (
        "import os, signal, sys; from edge_lpr.__main__ import main\n"
        "import edge_lpr.console.start as start; begin = start.begin\n"
        "def now(): begin(); os.kill(os.getpid(), signal.SIGINT)\n"
        "import edge_lpr.__main__ as command; command.begin = now; sys.exit(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "edge-lpr: interrupted\n")


def test_the_command_s_start_imports_next_to_nothing() -> None:
    # Until then Ctrl-C is a traceback. Without `site` (-S): what that imports is the environment's.
    code = (
        f"import sys; sys.path.insert(0, {str(Path(edge_lpr.__file__).parents[1])!r})\n"
        "import edge_lpr.__main__\n"
        "slow = {'typing', 're', 'pathlib', 'contextlib', 'importlib.util', 'edge_lpr.cli'}\n"
        "print(*slow & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_what_is_ignored_stays_ignored() -> None:
    code = (
        "import signal; from edge_lpr.console.start import begin\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN); begin()\n"
        "print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@pytest.mark.skipif(os.name != "posix", reason="needs a shell that closes streams")
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_no_harm(closed: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    line = f'exec "$@" --jsonl o.jsonl --csv o.csv --save o.jpg {closed}'
    done = subprocess.run(
        ["sh", "-c", line, "sh", *COMMAND], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    records = [json.loads(row) for row in (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(records) == 2 and len((tmp_path / "o.csv").read_bytes().splitlines()) == 3
    # Where standard output is open, the lines are there.
    assert len(done.stdout.splitlines()) == (2 if closed == "2>&-" else 0)


@pytest.mark.skipif(os.name != "posix", reason="needs a shell that closes streams")
def test_an_error_with_closed_streams_is_an_exit_code(tmp_path: Path) -> None:
    line = 'exec "$@" none.mp4 >&- 2>&-'
    command = ["sh", "-c", line, "sh", sys.executable, "-m", "edge_lpr"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 2
