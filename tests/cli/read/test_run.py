"""`edge-lpr SOURCE…` as its user runs it: real processes, signals, pipes and a terminal."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from helpers.pictures import encoded, heic_of_tiles
from helpers.waiting import LONG, wait_until
from numpy.typing import NDArray

from edge_lpr.cli import main

Scene = Callable[..., NDArray[np.uint8]]
TEXT = "皖A13H25"
# A small input keeps the tests fast; the rendered plate is large enough for it.
FAST = ["--det-limit-side-len", "256", "--det_limit_type", "max", "--threads", "1"]
# However busy the machine: a camera that is there is not lost, and a vehicle that stands before it not gone.
PATIENT = ["--timeout", str(LONG), "--max-gap", str(LONG)]


@pytest.fixture
def scenes(tmp_path: Path, plate_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two images and a video of one car that passes."""
    folder = tmp_path / "路 口"
    folder.mkdir()
    cv2.imencode(".png", plate_scene(TEXT))[1].tofile(folder / "1.png")
    cv2.imencode(".png", plate_scene("苏CFY773"))[1].tofile(folder / "2.png")
    write_video(folder / "街.avi", plate_scene, 10, 45)
    monkeypatch.chdir(tmp_path)
    return folder


def write_video(path: Path, scene: Scene, frames: int, empty: int) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 240))
    shown = [scene(TEXT, 40 + 4 * i) for i in range(20)]
    for i in range(frames):
        writer.write(shown[i % 20])
    for _ in range(empty):
        writer.write(np.full((240, 320, 3), 110, np.uint8))
    writer.release()


def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edge_lpr", *map(str, arguments), *FAST]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, encoding="utf-8", **pipes)  # type: ignore[call-overload,no-any-return]


def run(*arguments: object, **options: object) -> tuple[int, str, str]:
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=LONG)
    return process.returncode, out, err


def records(path: Path) -> list[dict[str, object]]:
    """The whole lines: one may be being written."""
    return [json.loads(line) for line in path.read_bytes().rpartition(b"\n")[0].splitlines()]


def test_mixed_sources_one_line_per_vehicle(scenes: Path) -> None:
    code, out, err = run("none.mp4", scenes.name, "rtsp://u:secret@127.0.0.1:1/x", "--reconnect", 0, *PATIENT)
    lines = [line.split() for line in out.replace("路 口", "路口").splitlines()]
    assert [line[:3] for line in lines[:2]] == [
        ["路口/1.png", TEXT, "blue"],
        ["路口/2.png", "苏CFY773", "blue"],
    ]
    # Its last frames may go by between two looks.
    (video, times, text, *_, reads), *more = lines[2:]
    assert (video, text, reads, more) == ("路口/街.avi", TEXT, "reads", [])
    assert times in ("00:00.0-00:00.3", "00:00.0-00:00.4")
    assert err.splitlines() == [
        "edge-lpr: none.mp4: no such file or folder",
        "edge-lpr: rtsp://***@127.0.0.1:1/x: cannot be opened: "
        "refused, wrong path, user or password, or no video there",
    ]
    assert code == 2


def test_all_outputs(scenes: Path, tmp_path: Path) -> None:
    code, _, err = run(scenes, "--jsonl", "o.jsonl", "--csv", "o.csv", "--save", "out", "--crops", "crops")
    assert (code, err) == (0, "")
    lines = records(tmp_path / "o.jsonl")
    assert [(r["type"], r["text"], r["kind"]) for r in lines] == [
        ("read", TEXT, "blue"), ("read", "苏CFY773", "blue"), ("event", TEXT, "blue"),
    ]  # fmt: skip
    with (tmp_path / "o.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == [r["text"] for r in lines]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["1.png", "2.png", "街.mp4"]
    assert sorted(p.name for p in (tmp_path / "crops").iterdir()) == sorted(str(r["crop"]) for r in lines)
    saved = cv2.imdecode(np.fromfile(tmp_path / "out" / "1.png", np.uint8), cv2.IMREAD_COLOR)
    assert saved.shape == (240, 320, 3)
    changed = (saved.astype(int) - cv2.imdecode(np.fromfile(scenes / "1.png", np.uint8), 1)).any(axis=2)
    assert changed.sum() > 300  # an outline and a label were drawn
    assert not list(tmp_path.rglob("*.part*"))


def test_json_on_stdout_stands_alone(scenes: Path) -> None:
    code, out, err = run(scenes / "1.png", "--jsonl", "-")
    assert (code, err) == (0, "") and [json.loads(line)["text"] for line in out.splitlines()] == [TEXT]


def test_every_frame_and_stride(scenes: Path) -> None:
    code, out, _ = run(scenes / "街.avi", "--every-frame", "--stride", "4", "--jsonl", "-")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [(r["type"], r["first_frame"]) for r in lines] == [
        ("read", 0),
        ("read", 4),
        ("read", 8),
    ]


def test_quiet_and_any_text(scenes: Path, tmp_path: Path) -> None:
    assert run(scenes / "1.png", "--quiet", "--any-text", "--jsonl", "o.jsonl") == (0, "", "")
    assert records(tmp_path / "o.jsonl")[0]["text"] == TEXT


def test_an_image_without_a_plate_is_no_error(scenes: Path) -> None:
    for name, size in (("dot", (1, 1)), ("wide", (200, 20_000))):
        cv2.imencode(".png", np.zeros((*size, 3), np.uint8))[1].tofile(scenes / f"{name}.png")
    code, out, err = run(scenes / "dot.png", scenes / "wide.png", scenes / "1.png")
    assert (code, err) == (0, "") and out.count("\n") == 1 and TEXT in out


def test_a_phone_s_folder(tmp_path: Path, plate_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pillow_heif", reason=reason("pillow_heif", "heif"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "phone"
    folder.mkdir()
    (folder / "IMG_1.HEIC").write_bytes(heic_of_tiles(plate_scene(TEXT), 128))
    (folder / "IMG_2").write_bytes(encoded(plate_scene("苏CFY773"), "PPM"))
    for name in ("a.txt", "b.txt", "a.xml"):
        (folder / name).write_text("x", encoding="utf-8")
    code, out, err = run("phone", "--save", "out", "--status", "s.json")
    assert code == 0 and [line.split()[1] for line in out.splitlines()] == [TEXT, "苏CFY773"]
    assert err.splitlines() == [
        "edge-lpr: phone: left out: 2 .txt, 1 .xml",
        "edge-lpr: --save: .heic is written as .jpg, and so are all such",
        "edge-lpr: --save: what has no suffix is written as .jpg, and so are all such",
    ]
    assert json.loads((tmp_path / "s.json").read_text())["left_out"] == {".txt": 2, ".xml": 1}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["IMG_1.jpg", "IMG_2.jpg"]
    assert run("phone/IMG_2", "phone", "--quiet", "--stride", "2") == (0, "", "")


def test_crops_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    crops = Path("crops")
    crops.mkdir()
    for i in range(60):
        cv2.imwrite(str(crops / f"{i}.png"), np.full((30, 300, 3), 9, np.uint8))
    code, out, err = run("crops", "--crops-only", "--any-text", "--jsonl", "-")
    assert (code, out) == (0, "")
    # Fewer than 50 where those take long.
    assert re.fullmatch(r"edge-lpr: no plate in the first \d+ pictures, of 300×30 pixels typically\n", err)


def test_a_bad_file_in_a_folder_leaves_the_others(scenes: Path) -> None:
    (scenes / "1b.png").write_bytes(b"no image")
    (scenes / "zero.mp4").touch()
    video = (scenes / "街.avi").read_bytes()
    (scenes / "街.avi").write_bytes(video[: len(video) * 2 // 3])
    code, out, err = run(scenes)
    assert code == 2 and out.count("\n") == 3 and err.count("\n") == 3
    assert "1b.png: not an image" in err and "zero.mp4: the file is empty" in err and "ends early" in err


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_an_interruption_completes_the_outputs(
    tmp_path: Path, plate_scene: Scene, name: str, code: int
) -> None:
    write_video(tmp_path / "long.avi", plate_scene, 2000, 0)
    outputs = ["--jsonl", "o.jsonl", "--csv", "o.csv", "--save", "o.avi"]
    process = start("long.avi", *outputs, cwd=tmp_path)
    wait_until(lambda: any(path.stat().st_size > 50_000 for path in tmp_path.glob(".o.avi*")))
    process.send_signal(signal.Signals[name])
    out, err = process.communicate(timeout=LONG)
    assert process.returncode == code and err == "edge-lpr: interrupted\n"
    (line,) = records(tmp_path / "o.jsonl")
    assert line["text"] == TEXT and TEXT in out  # the car that was still in view
    capture = cv2.VideoCapture(str(tmp_path / "o.avi"))
    assert line["last_frame"] <= capture.get(cv2.CAP_PROP_FRAME_COUNT) < 2000
    capture.release()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["long.avi", "o.avi", "o.csv", "o.jsonl"]


def test_cameras_are_read_at_once_and_their_results_are_appended(
    camera: Any, plate_scene: Scene, tmp_path: Path
) -> None:
    camera.image = plate_scene(TEXT)
    addresses = [f"{camera.address}/{i}?password=secret" for i in (1, 2)]
    out = tmp_path / "o.jsonl"
    for run_number in (1, 2):
        before = len(records(out)) if out.exists() else 0
        outputs = ["--every-frame", "--jsonl", out, "--csv", tmp_path / "o.csv", "--quiet"]
        process = start(*addresses, *outputs, *PATIENT)
        wait_for_two_sources(out, before)  # it is readable while the cameras run
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LONG)
        assert process.returncode == 130 and err == "edge-lpr: interrupted\n"
        assert camera.connections == 2 * run_number
    lines = records(out)
    assert {r["source"] for r in lines} == {f"{camera.address}/{i}?***" for i in (1, 2)}
    assert {r["text"] for r in lines} == {TEXT} and all(str(r["first_utc"]).endswith("Z") for r in lines)
    table = (tmp_path / "o.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(table) == len(lines) + 1 and "secret" not in "".join(table)


def wait_for_two_sources(path: Path, before: int) -> None:
    """Waits until the records after so many are of two sources."""
    wait_until(lambda: path.exists() and len({r["source"] for r in records(path)[before:]}) == 2, 0.1)


def wait_for_frames(status: Path, count: int) -> None:
    """Waits until so many frames were read: what all but the last of them show is known by then."""
    wait_until(lambda: status.exists() and json.loads(status.read_text("utf-8"))["frames"] >= count)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_while_a_silent_address_is_being_opened(
    tmp_path: Path, scheme: str, number: signal.Signals, code: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LONG)
        address = f"{scheme}://127.0.0.1:{server.getsockname()[1]}/1"
        process = start(address, "--timeout", "3600", "--jsonl", tmp_path / "o.jsonl")
        connection, _ = server.accept()
        with connection:
            process.send_signal(number)
            _, err = process.communicate(timeout=LONG)
    assert process.returncode == code and err == "edge-lpr: interrupted\n"


def test_a_camera_that_is_down_at_the_start_is_read_once_it_is_there(
    camera: Any, plate_scene: Scene, tmp_path: Path
) -> None:
    camera.image, camera.plugged = plate_scene(TEXT), False
    out = tmp_path / "o.jsonl"
    process = start(camera.address, "--max-pause", "0.2", "--jsonl", out, "--quiet", *PATIENT)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith(f"edge-lpr: {camera.address}: cannot be opened") and "trying to reach it" in line
    camera.plugged = True
    wait_until(lambda: out.exists() and records(out))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=LONG)
    assert process.returncode == 143 and "reached after" in err
    new, end = records(out)
    assert (new["state"], end["state"]) == ("new", "end") and new["id"] == end["id"]
    assert new["text"] == end["text"] == TEXT and str(new["first_utc"]).endswith("Z")


def test_one_line_a_vehicle_of_a_camera_where_that_is_wanted(
    camera: Any, plate_scene: Scene, tmp_path: Path
) -> None:
    camera.image = plate_scene(TEXT)
    for report, states in (("new", ["new"]), ("end", ["end"])):
        out, status = tmp_path / f"{report}.jsonl", tmp_path / f"{report}.json"
        outputs = ["--jsonl", out, "--crops", tmp_path / "crops", "--status", status]
        process = start(camera.address, "--events", report, *outputs, *PATIENT)
        wait_for_frames(status, 3)
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=LONG)
        assert [r["state"] for r in records(out)] == states and f"  {report}     {TEXT}" in stdout
        assert (tmp_path / "crops" / str(records(out)[0]["crop"])).exists()


def test_a_camera_that_is_unplugged_ends_as_source_lost(
    camera: Any, plate_scene: Scene, tmp_path: Path
) -> None:
    camera.image = plate_scene(TEXT)
    out_file = tmp_path / "o.jsonl"
    process = start(camera.address, "--reconnect", "0", "--jsonl", out_file, *PATIENT)
    wait_until(lambda: out_file.exists() and records(out_file))
    camera.plugged = False
    out, err = process.communicate(timeout=LONG)
    assert process.returncode == 2 and err.startswith(f"edge-lpr: {camera.address}: source lost after")
    assert TEXT in out
    assert [r["state"] for r in records(out_file)] == ["new", "end"]  # it was in view at the end


def test_who_reads_our_output_may_leave(scenes: Path) -> None:
    # More than the pipe holds, and what we read ahead: it is still writing when we leave.
    process = start(*[scenes / "1.png"] * 60, "--jsonl", "-", pipesize=4096)
    assert process.stdout is not None and process.stderr is not None
    assert TEXT in process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(LONG) == 141
    process.stderr.close()


def test_an_output_that_fails_leaves_the_others(scenes: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    code, out, err = run(scenes, "--jsonl", "/dev/full", "--csv", "o.csv")
    assert code == 1 and err == "edge-lpr: /dev/full: cannot be written (No space left on device)\n"
    assert out.count("\n") == 3 and (tmp_path / "o.csv").read_text(encoding="utf-8").count("\n") == 4
    with Path("/dev/full").open("w") as full:
        code, _, err = run(scenes / "1.png", "--csv", "o.csv", stdout=full)
    assert code == 1 and err == "edge-lpr: standard output: cannot be written (No space left on device)\n"
    assert (tmp_path / "o.csv").read_text(encoding="utf-8").count("\n") == 2


def test_an_address_that_never_answers_does_not_hang(scenes: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"rtsp://u:secret@127.0.0.1:{server.getsockname()[1]}/1"
        code, out, err = run(address, scenes / "1.png", "--timeout", 1, "--reconnect", 0)
    assert code == 2 and TEXT in out
    masked = address.replace("u:secret", "***")
    hint = "check address and network, or allow more with --timeout"
    assert err == f"edge-lpr: {masked}: no answer within 1 s; {hint}\n"


def test_damaged_files_do_not_make_libraries_talk(scenes: Path) -> None:
    data = (scenes / "1.png").read_bytes()
    (scenes / "1.png").write_bytes(data[: len(data) // 2])  # libpng itself writes to stderr about this
    code, _, err = run(scenes / "1.png")
    assert code == 2 and err.count("\n") == 1 and "libpng" not in err
    code, _, err = run(scenes / "1.png", "--debug")
    assert code == 2 and "1.png: damaged or cut short" in err


def test_on_a_terminal_there_are_states_and_colour(scenes: Path) -> None:
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    process = start(scenes, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    text = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:
            break
        if not chunk:
            break
        text += chunk
    os.close(ours)
    assert process.wait(LONG) == 0
    shown = text.decode("utf-8")
    assert "onnxruntime" in shown or "ONNX Runtime" in shown
    assert f"\x1b[1m{TEXT}" in shown and "done, 2 images" in shown and "done, 55 frames" in shown
    assert "1 plate" in shown and "2 plates" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--jsonl", "x/o.jsonl"], 1, "x/o.jsonl: cannot be written, there is no folder x; create it first"),
        (["--jsonl", "o", "--csv", "o"], 2, "--jsonl and --csv are the same"),
        (["--jsonl", "-", "--csv", "-"], 2, "--jsonl and --csv are the same"),
        (["--save", "1.png"], 2, "--save 1.png: would overwrite 1.png"),
        (
            ["--bundle", "none"],
            2,
            "none: no such folder; a bundle is a folder with a bundle.json, or one of",
        ),
        (["--box-thresh", "3"], 2, "argument --box-thresh: '3', expected a number from 0 to 1"),
        (["--every-frame", "--events", "new"], 2, "--every-frame gives reads and no events"),
        (["--every-frame", "--gate", "auto"], 2, "--every-frame looks at all of each frame"),
        (["--events", "some"], 2, "argument --events: invalid choice: 'some'"),
        (["--score-mode", "medium"], 2, "argument --score-mode: 'medium', expected fast or slow"),
        (["--backend", "tensorrt"], None, ""),
    ],
)
def test_what_cannot_be_done_is_one_line_before_anything_is_read(
    arguments: list[str], code: int | None, message: str, scenes: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(scenes)
    before = sorted(scenes.iterdir())
    found = main(["1.png", *arguments])
    captured = capsys.readouterr()
    assert captured.out == "" or found == 0
    if code is None:  # a machine with a GPU may well have it
        assert found in (0, 1, 2)
    else:
        assert found == code and captured.err.startswith(f"edge-lpr: {message}")
    assert captured.err.count("\n") <= 1 and sorted(scenes.iterdir()) == before


def test_a_damaged_bundle_is_one_line(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from edge_lpr.bundle.manifest import bundled

    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for path in bundled().iterdir():
        data = path.read_bytes()
        (bundle / path.name).write_bytes(data if path.suffix == ".json" else data[:-1] + b"\0")
    assert main([str(scenes / "1.png"), "--bundle", str(bundle)]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and ".onnx" in captured.err and captured.out == ""


def test_the_longest_names_of_sources(
    plate_scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "in" / ("d" * 255)
    folder.mkdir(parents=True)
    write_video(tmp_path / "v.avi", plate_scene, 6, 0)
    (tmp_path / "v.avi").rename(folder / ("n" * 252 + ".ts"))
    for name in ("车" * 83 + ".jpg", "m" * 251 + ".png", "m" * 250 + ".jpeg"):
        cv2.imencode(".png", plate_scene(TEXT))[1].tofile(folder / name)
    longest = "o" * 255
    outputs = ["--jsonl", longest, "--csv", "表" * 85, "--save", "out", "--crops", "crops", "--every-frame"]
    assert main(["in", *outputs, *FAST]) == 0 and capsys.readouterr().err == ""
    lines = records(tmp_path / longest)
    assert len(lines) == 3 + 6 and {line["text"] for line in lines} == {TEXT}
    assert len({line["crop"] for line in lines}) == 9
    assert len(list((tmp_path / "out" / folder.name).iterdir())) == 4


@pytest.mark.parametrize("source", ["images", "images/2.png", "cut.mp4", "http://127.0.0.1:1/none"])
def test_a_run_that_can_decode_nothing_leaves_older_results_as_they_are(
    source: str, scenes: Path, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    data = (scenes / "1.png").read_bytes()
    for name in ("1.png", "2.png"):
        (tmp_path / "images" / name).write_bytes(data[: len(data) // 2])
    (tmp_path / "cut.mp4").write_bytes((scenes / "街.avi").read_bytes()[:2000])
    outputs = ["o.jsonl", "o.csv"] if "://" not in source else []  # a stream's are added to
    for name in outputs:
        (tmp_path / name).write_text("older")
    wanted = (f"--{Path(n).suffix[1:]}={n}" for n in outputs)
    code, out, err = run(source, *wanted, "--crops", "crops", "--reconnect", 0)
    assert code == 2 and out == "" and err
    for name in outputs:
        assert (tmp_path / name).read_text() == "older"
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize(
    "wrong", [["--bundle", "none"], ["--save", "x.gif"], ["--engines", "none"], ["--threads", "0"]]
)
def test_what_cannot_begin_leaves_older_results_as_they_are(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("o.jsonl", "o.csv"):
        (tmp_path / name).write_text("older")
    code, _, err = run(scenes, "--jsonl", "o.jsonl", "--csv", "o.csv", *wrong)
    assert code == 2 and err.count("\n") == 1
    assert [(tmp_path / name).read_text() for name in ("o.jsonl", "o.csv")] == ["older", "older"]
    assert not list(tmp_path.glob(".*part"))
