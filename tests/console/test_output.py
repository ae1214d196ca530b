"""Nothing that comes from others drives the terminal, in any command."""

from __future__ import annotations

import ast
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from helpers.terminal import Terminal

from edge_lpr.cli import main
from edge_lpr.console.output import say, say_json
from edge_lpr.console.text import printable
from edge_lpr.io.plain_data import CONTROL

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("edge_lpr", "export", "calib", "engines", "finetune", "benchmarks")
# What rich writes to draw the line of progress over itself.
PROGRESS = re.compile(r"\r?\x1b\[(\?25[lh]|1A|2K)")
HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2028\r\n"


def test_everything_is_printed_through_the_console() -> None:
    """`print` and the streams themselves are used where masking is done, and nowhere else."""
    # Those of benchmarks run in another Python, where the kit is not, and are read by a program.
    printing = {"edge_lpr/outputs/_text.py", "edge_lpr/io/atomic_io.py"}
    printing |= {"benchmarks/peer_frames.py", "benchmarks/gst_rtsp_server.py"}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name.startswith("edge_lpr/console/") or name in printing:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                called = ast.unparse(node.func)
                assert called not in ("print", "sys.stdout.write", "sys.stderr.write"), (
                    f"{name}:{node.lineno}"
                )


def test_a_line_is_masked_and_painted() -> None:
    stream = io.StringIO()
    say("a", (HOSTILE, "red"), "b", stream=stream)
    assert stream.getvalue() == f"a{printable(HOSTILE)}b\n"
    terminal = Terminal()
    say((HOSTILE, "red"), stream=terminal)
    assert terminal.getvalue().count("\x1b") == 2 and "\x1b[31m" in terminal.getvalue()


def test_json_is_the_same_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    value = {HOSTILE: [HOSTILE, "皖", {"a": 1.5}]}
    say_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value and "皖" in out
    assert not CONTROL.search(out.replace("\n", ""))


def hostile_names(folder: Path) -> list[Path]:
    """Files and folders whose names are what a terminal would obey."""
    made = [folder / f"a{HOSTILE}.jpg", folder / f"b{HOSTILE}.mp4", folder / f"c{HOSTILE}"]
    for path in made[:2]:
        path.write_bytes(b"no picture\x00\x01")
    made[2].mkdir()
    return made


ON_TERMINALS = [
    ("{image}",),
    ("{street}",),
    ("{street}", "--jsonl", "-"),
    ("{street}", "--csv", "-"),
    ("engines", "list", "--dir", "{folder}"),
]
COMMANDS = [
    *ON_TERMINALS,
    ("{video}",),
    ("{folder}/nothing",),
    ("{image}", "--nope" + HOSTILE),
    ("{street}", "--bundle", "{folder}"),
    ("doctor", "--bundle", "{folder}"),
    ("dataset", "ccpd", "{folder}", "--out", "{folder}/out"),
    ("evaluate", "rec", "{labels}", "--list-errors"),
    ("evaluate", "rec", "{labels}", "--json", "-"),
    ("compare", "{folder}", "{labels}"),
    ("engines", "list", "--json", "--dir", "{folder}"),
    ("engines", "inspect", HOSTILE, "--dir", "{folder}"),
    ("build", "--dry-run", "--out", "{folder}"),
    ("build", "--dry-run", "--json", "--out", "{folder}"),
    ("export", "--det", "{image}", "--rec", "{image}", "--out", "{folder}/b"),
]


@pytest.mark.parametrize(
    ("command", "terminal"), [*((c, False) for c in COMMANDS), *((c, True) for c in ON_TERMINALS)]
)
def test_no_command_lets_a_name_drive_the_terminal(
    command: tuple[str, ...], terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, video, folder = hostile_names(tmp_path)
    street = folder / f"s{HOSTILE}.jpg"
    shutil.copy(ROOT / "samples" / "street.jpg", street)
    shutil.copy(image, folder / f"broken{HOSTILE}.json")
    labels = folder / f"labels{HOSTILE}.txt"
    text = json.dumps([{"transcription": HOSTILE + "皖", "points": [[1, 1], [90, 1], [90, 30], [1, 30]]}])
    name = HOSTILE.replace("\r\n", "") + ".jpg"
    shutil.copy(street, folder / name)
    labels.write_text(f"{name}\t{text}\nnothing{name}\t{text}\n", encoding="utf-8", newline="")
    places = {"image": image, "video": video, "folder": folder, "street": street, "labels": labels}
    stdout, stderr = (Shown(), Shown()) if terminal else (io.StringIO(), io.StringIO())
    monkeypatch.setattr("sys.stdout", stdout)
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setenv("NO_COLOR", "1")
    main([part.format(**places) for part in command])
    shown = stdout.getvalue() + stderr.getvalue()
    assert shown
    if "--csv" in command and not terminal:
        return  # a file's content: a spreadsheet is to find the name as it is
    shown = PROGRESS.sub("", shown).replace("\r\n", "\n").replace("\n", "")
    assert not CONTROL.search(shown), ascii(shown)


class Shown(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True
