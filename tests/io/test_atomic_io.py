"""Files that are complete, or not there under their name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_lpr.errors import OutputError
from edge_lpr.io.atomic_io import (
    TextFile,
    create_folder,
    safe_name,
    unique,
    write_bytes,
)

FULL = Path("/dev/full")


def test_a_file_takes_its_name_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "结果 1.jsonl"
    path.write_text("older")
    file = TextFile(path)
    file.write("车牌\n")
    assert path.read_text(encoding="utf-8") == "older"
    aside = [p for p in tmp_path.iterdir() if p != path]
    assert len(aside) == 1 and aside[0].read_text(encoding="utf-8") == "车牌\n"  # written through already
    file.close()
    file.close()
    assert path.read_text(encoding="utf-8") == "车牌\n" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match="already closed"):
        file.write("x")


def test_appending_keeps_what_was_there_and_repairs_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    first = TextFile(path, append=True)
    assert first.empty
    first.write("1\n")
    assert path.read_text() == "1\n"  # readable while it runs
    first.close()
    with path.open("a") as file:
        file.write('{"half')
    second = TextFile(path, append=True)
    assert not second.empty
    second.write("2\n")
    second.close()
    assert path.read_text() == '1\n{"half\n2\n'


def test_a_mark_for_excel_stands_at_the_start_alone(tmp_path: Path) -> None:
    for _ in range(2):
        file = TextFile(tmp_path / "a.csv", append=True, bom=True)
        file.write("车\n")
        file.close()
    assert (tmp_path / "a.csv").read_bytes() == b"\xef\xbb\xbf" + "车\n车\n".encode()


def test_text_that_is_no_unicode_is_escaped(tmp_path: Path) -> None:
    file = TextFile(tmp_path / "a")
    file.write("bad \udcff name\n")
    file.close()
    assert (tmp_path / "a").read_bytes() == b"bad \\udcff name\n"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    file = TextFile(tmp_path / "link")
    file.close()
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").is_file()


def test_missing_folder_and_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"there is no folder .*none; create it first"):
        TextFile(tmp_path / "none" / "a.csv")
    with pytest.raises(OutputError, match="it is a folder; expected a file"):
        TextFile(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        TextFile(tmp_path / "a.csv")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_is_named() -> None:
    file = TextFile(FULL)
    with pytest.raises(OutputError, match=r"/dev/full: cannot be written \(No space left on device\)"):
        file.write("x\n")
    file.close()


def test_a_disk_that_fills_up_leaves_whole_lines(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    file = TextFile(tmp_path / "a.jsonl")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        with pytest.raises(OutputError, match=r"a\.jsonl: cannot be written \(File too large\)"):
            for _ in range(50):
                file.write("0123456789abcde\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    file.close()
    assert (tmp_path / "a.jsonl").read_text() == "0123456789abcde\n" * 6


def test_folders_are_made_and_tried(tmp_path: Path) -> None:
    create_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: cannot be written"):
        create_folder(tmp_path / "file")


def test_names_are_safe_and_unique() -> None:
    assert safe_name("rtsp://user:***@10.0.0.5/1?x=../../etc") == "rtsp_user_10.0.0.5_1_x_.._.._etc"
    assert safe_name("皖A·D1234") == "皖A·D1234" and safe_name("../") == "_"
    taken: set[str] = set()
    assert [unique(n, taken) for n in ("a.png", "A.png", "a.png")] == ["a.png", "A-2.png", "a-3.png"]


def test_a_pipe_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_bytes(pipe, b"whole")
        assert os.read(reader, 99) == b"whole"
    finally:
        os.close(reader)
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]


def test_a_link_is_followed_by_whole_files_too(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_bytes(tmp_path / "link", b"whole")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"whole"


def test_what_is_given_up_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").write_text("older")
    file = TextFile(tmp_path / "o.jsonl")
    file.write("x")
    file.discard()
    file.discard()
    assert [p.read_text() for p in tmp_path.iterdir()] == ["older"]
