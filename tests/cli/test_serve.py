"""`edge-lpr serve`: what it prints, and what it says of a configuration that cannot be used."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.extras import reason
from helpers.videos import write_video

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from edge_lpr.cli import main
from edge_lpr.serve.regions import DrawnRegions, RegionFile
from edge_lpr.serve.web.auth import ScryptHash

GOOD = """
[cameras.gate]
source = "rtsp://admin:${GATE_PASSWORD}@10.0.0.5/1"
schedule = ["Mon-Fri"]
max_fps = 5
[cameras.yard]
source = "street.mp4"
masks = [[[0, 0], [1, 0], [1, 0.1]]]
[lists.residents]
action = "allow"
plates = ["京A12345"]
file = "residents.csv"
[outputs.home]
type = "mqtt"
host = "broker"
user = "u"
password = "mqttpw99"
[outputs.gate]
type = "webhook"
url = "https://user:hookpw99@host/open"
events = "lists"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_video(tmp_path / "street.mp4", 3)
    (tmp_path / "residents.csv").write_text("plate,name\n粤B1234D,An\n", encoding="utf-8")
    monkeypatch.setenv("GATE_PASSWORD", "camerapw99")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> str:
    (folder / "cameras.toml").write_text(text, encoding="utf-8")
    return str(folder / "cameras.toml")


def test_a_good_configuration_is_shown_in_tables_without_its_secrets(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--check", write(folder, GOOD)]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert ["gate", "rtsp://***@10.0.0.5/1", "5", "a", "second"] in [row[:5] for row in rows]
    assert ["yard", str(folder / "street.mp4"), "every", "frame", "none", "all,", "1", "masked"] in rows
    assert ["residents", "allow", "2"] in rows and ["home", "mqtt", "broker:1883", "edge-lpr/", "all"] in rows
    assert ["gate", "webhook", "https://host/***", "lists"] in rows
    assert "pw99" not in out and rows[-1] == [str(folder / "cameras.toml") + ":", "good"]
    assert not (folder / "edge-lpr-data").exists()


def test_what_was_drawn_on_the_page_is_shown_as_the_file_would_have_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(folder, GOOD)
    (folder / "edge-lpr-data").mkdir()
    drawn = RegionFile(folder / "edge-lpr-data" / "regions.json")
    drawn.write("gate", DrawnRegions(regions=[[(0.1, 0.2), (0.9, 0.2), (0.5, 0.9)]]))
    assert main(["serve", "--check", path]) == 0
    out = capsys.readouterr().out
    assert "drawn on the page" in out.splitlines()[1] and "[cameras.gate]" in out
    assert "regions = [[[0.1000, 0.2000], [0.9000, 0.2000], [0.5000, 0.9000]]]" in out
    drawn.path.write_text("{", encoding="utf-8")
    assert main(["serve", "--check", path]) == 2
    assert "regions.json: " in capsys.readouterr().err


def test_all_that_is_wrong_is_a_line_each_and_the_code_is_two(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(folder, "[cameras.gate]\nsorce = '0'\ntransport = 'tpc'\n")
    for command in (["serve", "--check", path], ["serve", path]):
        assert main(command) == 2
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(": ")[0].rpartition(":")[2] for line in lines] == ["1", "2", "3"]
        assert all(line.startswith(f"{path}:") for line in lines)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "which configuration? edge-lpr serve --example > cameras.toml makes one"),
        (["--settings", "x.toml"], "--settings takes no FILE"),
        (["none.toml"], "none.toml: no such file; edge-lpr serve --example prints one to begin with"),
        (["--check", "street.mp4"], "street.mp4:1: not UTF-8"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    folder: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *words]) == 2
    err = capsys.readouterr().err
    assert told in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("data", ["street.mp4/data", "taken"])
def test_a_data_folder_that_cannot_be_one_is_bad_input_in_one_line(
    folder: Path, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "taken" / "events.db").mkdir(parents=True)
    path = write(folder, f"[cameras.gate]\nsource = 'street.mp4'\n[service]\ndata = '{data}'\n")
    assert main(["serve", path]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "cannot be " in line and data in line]) == 1, lines


def test_a_hash_is_of_the_line_that_is_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def send(data: bytes, encoding: str = "utf-8") -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding, "surrogateescape"))

    send(b"correct horse\nnot this\n")
    assert main(["serve", "--hash"]) == 0
    out = capsys.readouterr().out
    assert ScryptHash.parse(out.strip()).matches("correct horse") and "horse" not in out
    send(b"short\n")
    assert main(["serve", "--hash"]) == 2
    assert "a password or token of 5 characters, expected 8" in capsys.readouterr().err
    # In a locale of C it is what a browser sends all the same.
    send("密码密码密码密码\n".encode(), "ascii")
    assert main(["serve", "--hash"]) == 0
    assert ScryptHash.parse(capsys.readouterr().out.strip()).matches("密码密码密码密码")
    send(b"caf\xe9 caf\xe9\n")
    assert main(["serve", "--hash"]) == 2
    assert "no UTF-8" in capsys.readouterr().err


def test_a_hash_asks_a_person_twice_and_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = ["correct horse", "correct horse", "correct horse", "correct house"]
    monkeypatch.setattr("getpass.getpass", lambda prompt: answers.pop(0))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert main(["serve", "--hash"]) == 0
    assert main(["serve", "--hash"]) == 2
    assert "the two are not the same" in capsys.readouterr().err


def test_settings_and_example_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--settings"]) == 0
    assert "| `decide_within` | number, 0.2 to 60 | `1` |" in capsys.readouterr().out
    assert main(["serve", "--example"]) == 0
    assert main(["serve", "--check", write(folder, capsys.readouterr().out)]) == 0


def test_without_the_extra_it_says_what_to_type() -> None:
    program = (
        "import sys; sys.modules['pydantic'] = None; "
        "from edge_lpr.cli import main; sys.exit(main(['serve', '--check', 'x.toml']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert "`edge-lpr serve` needs the package 'pydantic' of the extra 'serve'" in done.stderr


def test_it_brings_nothing_along_that_reading_does_not_need() -> None:
    program = (
        "import sys, edge_lpr.cli.serve; print(*sorted(m for m in ('pydantic', 'cv2') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_an_example_without_the_sample_video_says_what_to_put_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("edge_lpr.serve.example.ROOT", tmp_path / "site-packages")
    assert main(["serve", "--example"]) == 0
    said = capsys.readouterr()
    assert "put the addresses of your cameras in for camera.example" in said.err
    (tmp_path / "cameras.toml").write_text(said.out, encoding="utf-8")
    assert main(["serve", "--check", "cameras.toml"]) == 0
