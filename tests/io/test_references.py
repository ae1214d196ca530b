"""Names, variables and files in place of addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_lpr.errors import SourceError
from edge_lpr.io.references import resolve


def of(source: str) -> list[tuple[str, str]]:
    return [(reference.name, reference.text) for reference in resolve(source)]


@pytest.mark.parametrize(
    ("source", "name", "text"),
    [
        ("rtsp://h/a=b", "", "rtsp://h/a=b"),
        (" rtsp://h/1 ", "", "rtsp://h/1"),
        ("gate=rtsp://h/1", "gate", "rtsp://h/1"),
        ("东门-1.b=rtsp://h/1", "东门-1.b", "rtsp://h/1"),
        ("gate=0", "gate", "0"),
        ("gate=/dev/video1", "gate", "/dev/video1"),
        ("gate=videotestsrc pattern=0 ! appsink", "gate", "videotestsrc pattern=0 ! appsink"),
        ("videotestsrc pattern=0 ! appsink", "", "videotestsrc pattern=0 ! appsink"),
        ("date=2026/clip.mp4", "", "date=2026/clip.mp4"),
        ("a=b.mp4", "", "a=b.mp4"),
        ("rtsp://u:$HOME@h/1", "", "rtsp://u:$HOME@h/1"),
    ],
)
def test_a_name_stands_before_what_is_live(source: str, name: str, text: str) -> None:
    assert of(source) == [(name, text)]


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER_1", "admin")
    monkeypatch.setenv("GATE", "p4ss${USER_1}")
    (one,) = resolve("gate=rtsp://${USER_1}:${GATE}@h/1")
    assert one.text == "rtsp://admin:p4ss${USER_1}@h/1" and one.indirect  # once: a value is no program
    assert "p4ss" not in repr(one)
    monkeypatch.setenv("CAMERA", "rtsp://u:p4ss@h/1")
    assert of("${CAMERA}") == [("", "rtsp://u:p4ss@h/1")]


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_named(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATE", raising=False)
    if value is not None:
        monkeypatch.setenv("GATE", value)
    with pytest.raises(SourceError, match=r"rtsp://\*\*\*@h/1: the variable GATE is not set, or empty"):
        resolve("rtsp://u:${GATE}@h/1")


def test_a_file_holds_sources_one_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cams@1.txt"
    path.write_text("# gates\n\ngate=rtsp://u:p4ss@h/1\r\n  rtsp://h/2\nback=${OTHER}\n", encoding="utf-8")
    monkeypatch.setenv("OTHER", "rtsp://h/3")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    expected = [("gate", "rtsp://u:p4ss@h/1"), ("", "rtsp://h/2"), ("back", "rtsp://h/3")]
    assert of(f"@{path}") == expected and of("@${FOLDER}/cams@1.txt") == expected
    with pytest.raises(SourceError, match=r"gate=@.*: one name for 3 sources; name each inside the file"):
        resolve(f"gate=@{path}")
    path.write_text("rtsp://u:p4ss@h/1", encoding="utf-8")
    assert of(f"yard=@{path}") == [("yard", "rtsp://u:p4ss@h/1")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no address in it; expected one a line"),
        ("rtsp://h/1\nroot:x:0:0:secret", "line 2: neither an address nor a pipeline, nor NAME= before one"),
        ("gate=@other", "line 1: neither an address nor a pipeline"),
        ("${UNSET_ONE}", "line 1: the variable UNSET_ONE is not set"),
    ],
)
def test_a_file_of_something_else_is_not_shown(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "cameras"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SourceError, match=message) as caught:
        resolve(f"@{path}")
    assert "secret" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"@{tmp_path}/none: cannot be read \(No such file"):
        resolve(f"@{tmp_path}/none")
    (tmp_path / "big").write_bytes(b"#" * (1 << 17))
    with pytest.raises(SourceError, match="not a file of addresses"):
        resolve(f"@{tmp_path}/big")


def test_a_variable_leads_to_a_file_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("${NEXT}", encoding="utf-8")
    monkeypatch.setenv("NEXT", f"@{tmp_path}/a")
    with pytest.raises(SourceError, match="a file of sources names no further one"):
        resolve(f"@{tmp_path}/a")
