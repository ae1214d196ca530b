"""No secret of an address gets out: the real command over every form, and all that it writes anywhere."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.camera_addresses import FORMS, Form, forms
from helpers.waiting import LONG, wait_until
from numpy.typing import NDArray

from edge_lpr.cli import command_parser, main
from edge_lpr.errors import EdgeLprError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.sources import find_targets, open_source

Scene = Callable[..., NDArray[np.uint8]]
LOUD = {"OPENCV_VIDEOIO_DEBUG": "1", "OPENCV_LOG_LEVEL": "VERBOSE", "OPENCV_FFMPEG_DEBUG": "1"}
FAST = ["--det-limit-side-len", "256", "--det-limit-type", "max", "--threads", "1"]
BRIEF = ["--reconnect", "0", "--timeout", "60"]
SERVED = ("Foscam, MJPEG", "Tencent Live", "Aliyun, digest in the path")
"""Forms that a camera answers to, so that results bear their labels."""


def run(*arguments: object, cwd: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge_lpr", *map(str, arguments), *FAST],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def written(folder: Path) -> str:
    """Returns the names and the bytes of all that lies in a folder."""
    parts = []
    for path in sorted(folder.rglob("*")):
        parts.append(str(path.relative_to(folder)))
        if path.is_file():
            parts.append(path.read_bytes().decode("latin-1") + path.read_bytes().decode("utf-8", "replace"))
    return "\n".join(parts)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, plate_scene: Scene) -> Iterator[dict[str, str]]:
    """What one run over all forms writes: standard output and error, files, the list of processes."""
    from conftest import Camera

    folder = tmp_path_factory.mktemp("secrets")
    camera = Camera(fps=10)
    camera.image = plate_scene()
    served = [f.address for f in forms(camera.address.split("/")[2]) if f.name in SERVED]
    outputs = ["--jsonl", "o.jsonl", "--csv", "o.csv", "--save", "saved", "--crops", "crops", "--every-frame"]
    if "--status" in command_parser("read").format_help():
        outputs += ["--status", "status.json"]
    sources = [form.address for form in FORMS] + served
    process = run(*sources, *outputs, *BRIEF, "--debug", cwd=folder, **LOUD)
    texts: dict[str, str] = {"process": ""}
    collected = threading.Thread(target=lambda: texts.update(_communicated(process)))
    collected.start()
    wait_until(lambda: (folder / "o.csv").is_file() or process.poll() is not None)
    texts["process"] = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode("utf-8", "replace")
    wait_until(lambda: len(list(folder.glob("crops/*"))) >= 6 or process.poll() is not None)
    camera.plugged = False
    collected.join(LONG)
    camera.close()
    texts["files"] = written(folder)
    yield texts


def _communicated(process: subprocess.Popen[bytes]) -> dict[str, str]:
    out, err = process.communicate(timeout=2 * LONG)
    return {"stdout": out.decode("utf-8", "replace"), "stderr": err.decode("utf-8", "replace")}


def test_there_are_enough_forms_and_the_run_showed_them(everything: dict[str, str]) -> None:
    assert len(FORMS) >= 32 and len({form.name for form in FORMS}) == len(FORMS)
    assert everything["stderr"].count("cannot be opened") >= 40
    assert "trying capture filename='rtsp://***@127.0.0.1:1/cam/realmonitor?***'" in everything["stderr"]
    # Libraries are off standard output, which is for results alone.
    assert "OPENCV" not in everything["stdout"] and "VIDEOIO" not in everything["stdout"]
    assert "http://127.0.0.1:" in everything["stdout"] and "videostream.cgi?***" in everything["files"]
    assert "edge_lpr" in everything["process"] and "***" in everything["process"]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_no_secret_is_in_what_the_command_writes(form: Form, everything: dict[str, str]) -> None:
    for where, text in everything.items():
        assert form.leaks(text) == [], where


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_no_secret_is_in_what_is_raised(form: Form) -> None:
    options = CaptureOptions(timeout=2, reconnect=0)
    notes: list[str] = []
    try:
        targets = find_targets(form.address)
        texts = [repr(targets), str([(t.label, t.paths) for t in targets])]
        with open_source(form.address, options, notes.append) as source:
            texts.append(source.label)
            list(source)
    except EdgeLprError as e:
        texts = [str(e), repr(e), traceback.format_exc(), *map(str, e.args)]
    assert form.leaks("\n".join(texts + notes)) == []
    assert "***" in "".join(texts)


OPTIONS = (
    *("--csv", "--jsonl", "--crops", "--save", "--bundle"),
    *("--thresh", "--backend", "--timeout", "--nope"),
)
COMMANDS = (
    ["evaluate", "e2e"], ["doctor"], ["engines", "list", "--dir"], ["build", "--dry-run", "--out"],
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_no_secret_is_in_what_is_said_of_the_wrong_option(
    form: Form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for option in OPTIONS:
        assert main(["none.mp4", option, form.address]) == 2
        assert main(["none.mp4", f"{option}={form.address}", "--debug"]) == 2
    for command in COMMANDS:
        main([*command, form.address])
    told = capsys.readouterr()
    assert form.leaks(told.out + told.err) == []
    assert list(tmp_path.rglob("*")) == []  # nor was a folder made that has it for a name


def test_no_secret_is_in_a_traceback_of_a_thread_or_a_warning(tmp_path: Path) -> None:
    code = (
        "import sys, threading, warnings, logging\n"
        "from edge_lpr import cli\n"
        "from edge_lpr.io import live_source\n"
        "def opener(target, *_):\n"
        "    address = target.address\n"
        "    warnings.warn(f'asked for {address}'); logging.warning('at %s', address)\n"
        "    raise LookupError(f'no {address}')\n"
        "live_source.CameraProcess = opener\n"
        "sys.exit(cli.main([sys.argv[1], '--debug', '--reconnect', '0', '--timeout', '0.5']))\n"
    )
    form = next(f for f in FORMS if f.name == "XiongMai")
    done = subprocess.run(
        [sys.executable, "-c", code, form.address], capture_output=True, text=True, check=False
    )
    assert "LookupError" in done.stderr and "asked for" in done.stderr and "WARNING" in done.stderr
    assert form.leaks(done.stdout + done.stderr) == []


def test_the_list_of_processes_shows_no_secret(tmp_path: Path) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs Linux's /proc")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LONG)
        (form,) = (f for f in forms(f"127.0.0.1:{server.getsockname()[1]}") if f.name == "Dahua")
        secret = "Ab3 from/the environment"
        sources = [form.address, "gate=rtsp://admin:${GATE}@127.0.0.1:1/1"]
        process = run(*sources, *BRIEF, cwd=tmp_path, GATE=secret)
        with server.accept()[0]:
            title = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        out, err = process.communicate(timeout=LONG)
    assert "***" in title and form.leaks(title) == [] and secret not in title
    assert form.leaks((out + err).decode()) == [] and secret not in err.decode() and b"gate: " in err


def test_the_password_that_a_server_asks_for_stays_out_of_the_log(tmp_path: Path) -> None:
    """FFmpeg answers to 401 with the password in Base64, and with --debug it tells what it does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LONG)
        port = server.getsockname()[1]
        (form,) = (f for f in forms(f"127.0.0.1:{port}") if f.name == "Hikvision")
        asked: list[bytes] = []

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(LONG)
                while len(asked) < 8 and (request := connection.recv(4096)):
                    asked.append(request)
                    number = request.partition(b"CSeq: ")[2].partition(b"\r")[0]
                    head = b"RTSP/1.0 401 Unauthorized\r\nCSeq: " + number
                    connection.sendall(head + b'\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n')

        thread = threading.Thread(target=answer)
        thread.start()
        process = run(form.address, *BRIEF, "--debug", cwd=tmp_path, **LOUD)
        out, err = process.communicate(timeout=LONG)
        thread.join()
    assert any(form.leaks(request.decode()) for request in asked)  # it was sent
    assert form.leaks((out + err).decode("utf-8", "replace")) == []


def test_results_bear_the_name(tmp_path: Path, camera: Any, plate_scene: Scene) -> None:
    camera.image = plate_scene()
    where = camera.address.split("//")[1]
    folder = tmp_path / "run"
    folder.mkdir()
    listed = tmp_path / "cameras.txt"
    listed.write_text(
        f"# two cameras\n东门=http://u:${{PASSWORD}}@{where}?pwd=s3cretPwd\n\nhttp://{where}?a=1\n"
    )
    process = run(
        "@../cameras.txt", f"http://{where}?b=2", "--every-frame", "--jsonl", "o.jsonl", "--crops", "crops",
        *BRIEF, cwd=folder, PASSWORD="0therSecret",
    )  # fmt: skip
    # What tells the last two apart is not shown. Which camera is read first is nobody's promise.
    names = [f'"source": "{name}"' for name in ("东门", f"http://{where}?***", f"http://{where}?*** #2")]
    lines = folder / "o.jsonl"
    wait_until(lambda: lines.exists() and all(name.encode() in lines.read_bytes() for name in names))
    camera.plugged = False
    out, err = process.communicate(timeout=LONG)
    told = (out + err).decode() + written(folder)
    assert any(path.name.startswith("东门") for path in (folder / "crops").iterdir())
    assert "s3cretPwd" not in told and "0therSecret" not in told
