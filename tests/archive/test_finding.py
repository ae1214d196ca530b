"""Sources of an archive: files, addresses, lists; what is no source, and what would be a secret in a plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.capabilities import as_a_plain_user
from helpers.extras import reason

pytest.importorskip("fsspec", reason=reason("fsspec", "scale"))
pytest.importorskip("pyarrow", reason=reason("pyarrow", "scale"))

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from edge_lpr.archive.days import day_of
from edge_lpr.archive.finding import HIDDEN_NAME, find
from edge_lpr.archive.lists import addresses_in
from edge_lpr.archive.storage import check_source, read_bytes
from edge_lpr.archive.units import NO_DAY, SourceFile
from edge_lpr.errors import SourceError

from .conftest import read_here

STREET = Path(__file__).parents[2] / "samples" / "street.mp4"


@pytest.fixture
def remote(pictures: Path) -> Iterator[str]:
    """The pictures at an address, beside a video, a text and a hidden file."""
    fs = fsspec.filesystem("memory")
    for path in pictures.rglob("*.jpg"):
        fs.pipe(f"/archive/{path.relative_to(pictures)}", path.read_bytes())
    fs.pipe("/archive/street.mp4", STREET.read_bytes())
    fs.pipe("/archive/notes.txt", b"none")
    fs.pipe("/archive/.hidden/9.jpg", b"none")
    yield "memory://archive"
    fs.rm("/archive", recursive=True)


def test_what_lies_at_an_address_is_found_as_in_a_folder(remote: str, pictures: Path) -> None:
    found = find([remote])
    names = [file.name.rsplit("/", 1)[1] for file in found.pictures]
    assert sorted(names) == [f"{n}.jpg" for n in range(8)]
    assert [file.name for file in found.videos] == ["memory:///archive/street.mp4"]
    assert [file.index for file in found.pictures] == [*range(8)]
    assert dict(found.left_out) == {".txt": 1} and not found.failures
    assert found.videos[0].size == STREET.stat().st_size
    one = find([f"{remote}/5.jpg", f"{remote}/5.jpg", f"{remote}/*.mp4"])
    assert (len(one.pictures), len(one.videos)) == (1, 1)


def test_rows_from_an_address_are_those_of_the_files(tmp_path: Path, remote: str, pictures: Path) -> None:
    def seen(rows: list[dict[str, object]]) -> list[object]:
        return sorted((r["text"], str(r["corners"]), r["score"], r["first_seen"]) for r in rows)

    near = read_here(tmp_path / "near", pictures, STREET, stride=6)
    far = read_here(tmp_path / "far", remote, stride=6)
    assert seen(far) == seen(near) and len(far) > 6
    assert all(str(row["source"]).startswith("memory:///archive/") for row in far)


def test_lists_are_text_or_parquet(tmp_path: Path, pictures: Path) -> None:
    text = tmp_path / "list.txt"
    text.write_text(f"\ufeff# pictures\n{pictures}/5.jpg\n\n{pictures}\n", "utf-8")
    assert list(addresses_in(text)) == [f"{pictures}/5.jpg", str(pictures)]
    (tmp_path / "gone").write_text("no/such.jpg\nrtsp://u:secret@10.0.0.5/1\n0\n")
    found = find([f"@{text}", f"@{tmp_path / 'gone'}"])
    assert len(found.pictures) == 8
    reasons = [failure.reason for failure in found.failures]
    assert reasons[0] == "no/such.jpg: no such file or folder" and "a stream has no end" in reasons[1]
    assert "a camera or stream" in reasons[2] and "secret" not in str(found.failures)
    table = tmp_path / "list.parquet"
    pq.write_table(pa.table({"uri": [str(pictures), None], "camera": ["a", "b"], "n": [1, 2]}), table)
    assert list(addresses_in(table, "uri")) == list(addresses_in(table)) == [str(pictures)]
    with pytest.raises(SourceError, match="no column 'n' of text; it has uri, camera: give one as --column"):
        list(addresses_in(table, "n"))
    pq.write_table(pa.table({"one": ["a"], "two": ["b"]}), table)
    with pytest.raises(SourceError, match="several columns of text; it has one, two"):
        list(addresses_in(table))


@pytest.mark.parametrize("data", [b"a\0b\n", b"x" * 9000, b"PAR1 and no more"])
def test_what_is_no_list_says_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "list").write_bytes(data)
    with pytest.raises(SourceError, match=r"^@.*list: (neither a text file|no Parquet file)"):
        list(addresses_in(tmp_path / "list"))
    with pytest.raises(SourceError, match="cannot be read"):
        list(addresses_in(tmp_path / "none"))


@pytest.mark.parametrize(
    "source",
    [
        "s3://AKIAKEY:hunter22@bucket/a",
        "https://cdn.example.org/a.jpg?X-Amz-Signature=hunter22",
        "rtsp://admin:hunter22@10.0.0.5/1",
        "admin:hunter22@10.0.0.5/1",
        "s3://key:hunter22%40bucket/a",
    ],
)
def test_what_holds_a_secret_is_refused_and_not_told(source: str) -> None:
    with pytest.raises(SourceError) as caught:
        check_source(source)
    assert "hunter22" not in str(caught.value) and "AKIAKEY" not in str(caught.value)


def test_what_storage_cannot_give_is_a_failure_of_one_line(tmp_path: Path) -> None:
    found = find(
        ["memory://nowhere", "none://x/y", "s3://bucket/*.jpg" if not has("s3fs") else "none://z", "no/such"]
    )
    assert not found.pictures and len(found.failures) == 4
    assert all("\n" not in one.reason for one in found.failures)
    assert found.failures[0].reason == "memory://nowhere: no such file or folder"
    assert "none" in found.failures[1].reason


def has(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


@pytest.mark.parametrize(
    ("address", "day"),
    [
        ("/a/2026-11-27/1.jpg", "2026-11-27"),
        ("/a/2025/gate_20261127181502.mp4", "2026-11-27"),
        ("s3://b/2026/11/27/x.jpg", "2026-11-27"),
        ("/a/20261127T18.mp4", "2026-11-27"),
        ("/2024-01-02/2026_11_27.jpg", "2026-11-27"),
        ("/a/1202611273.jpg", "2001-09-09"),
        ("/a/2026-02-31.jpg", "2001-09-09"),
        ("/a/2026-13-01.jpg", "2001-09-09"),
    ],
)
def test_the_day_is_the_names_else_the_times(address: str, day: str) -> None:
    assert day_of(SourceFile(address, address, 0, 1, 1e9)) == day
    assert day_of(SourceFile("/a/b.jpg", "b.jpg", 0, 1, None)) == NO_DAY


@pytest.mark.parametrize("modified", [1e12, -1e12, float("nan"), 1e300])
def test_a_time_that_no_calendar_has_is_no_day(modified: float) -> None:
    assert day_of(SourceFile("/a/b.jpg", "b.jpg", 0, 1, modified)) == NO_DAY


def test_a_file_is_read_once_by_whichever_way_its_folder_is_named(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to(pictures)
    found = find(["pictures", "pictures/../pictures", "link", "link/4.jpg"])
    assert [file.name.split("/")[0] for file in found.pictures] == ["pictures"] * 8


def test_an_address_of_this_machines_files_is_the_path(pictures: Path) -> None:
    found = find([f"file://{pictures}", str(pictures), f"FILE://{pictures}/4.jpg"])
    assert [file.name for file in found.pictures] == [file.name for file in find([str(pictures)]).pictures]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_folder_that_is_closed_is_a_failure_by_its_whole_name(pictures: Path, scheme: str) -> None:
    closed = pictures / "gate: north"
    (pictures / "2026-11-26").rename(closed)
    closed.chmod(0)
    try:
        with as_a_plain_user():
            found = find([f"{scheme}{pictures}"])
    finally:
        closed.chmod(0o755)
    assert len(found.pictures) == 4
    assert [(one.source, one.reason) for one in found.failures] == [
        (str(closed), f"{closed}: cannot be read (Permission denied)")
    ]


def test_what_a_list_holds_is_no_list_when_it_is_looked_for_again(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("@gone.jpg\n")
    (failure,) = find([f"@{tmp_path / 'list'}"]).failures
    assert failure.source == "@gone.jpg"
    assert find([failure.source], lists=False).failures == [failure]


@pytest.mark.parametrize(
    "line", ["rtsp:/admin:hunter22@10.0.0.5/1", "admin:hunter22@10.0.0.5/1", "host/v?password=hunter22"]
)
def test_a_secret_in_a_list_stands_in_no_failure(tmp_path: Path, line: str) -> None:
    (tmp_path / "list").write_text(line)
    (failure,) = find([f"@{tmp_path / 'list'}"]).failures
    assert "hunter22" not in str(failure.to_dict()) and failure.source.endswith(HIDDEN_NAME)


def test_brackets_in_an_objects_name_are_its_name(pictures: Path) -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe("/archive/cam[1]/4.jpg", (pictures / "4.jpg").read_bytes())
    try:
        found = find(["memory://archive/cam[1]/4.jpg", "memory://archive/cam*/*.jpg"])
    finally:
        fs.rm("/archive", recursive=True)
    assert len(found.pictures) == 1 and not found.failures


def test_colons_in_a_name_lead_to_no_other_file_system(tmp_path: Path) -> None:
    (tmp_path / "a::b.jpg").write_bytes(b"content")
    assert read_bytes(f"file://{tmp_path}/a::b.jpg") == b"content"
    (tmp_path / "local.jpg").write_bytes(b"of this machine")
    with pytest.raises(SourceError, match="cannot be read"):
        read_bytes(f"memory://bucket/x::file://{tmp_path}/local.jpg")


@pytest.mark.parametrize("kind", ["dictionary", "view"])
def test_a_column_of_text_is_one_however_it_is_stored(tmp_path: Path, kind: str) -> None:
    texts = pa.array(["a.jpg", "b.jpg", "a.jpg"])
    column = texts.dictionary_encode() if kind == "dictionary" else texts.cast(pa.string_view())
    pq.write_table(pa.table({"number": [1, 2, 3], "uri": column}), tmp_path / "list")
    assert list(addresses_in(tmp_path / "list")) == ["a.jpg", "b.jpg", "a.jpg"]


def test_a_list_without_text_says_so(tmp_path: Path) -> None:
    pq.write_table(pa.table({"number": [1]}), tmp_path / "list")
    with pytest.raises(SourceError, match=r"list: no column of text; it has none$"):
        list(addresses_in(tmp_path / "list"))


def test_a_list_with_text_that_is_no_unicode_says_so(tmp_path: Path) -> None:
    ends = pa.array([0, 2], pa.int32()).buffers()[1]
    broken = pa.StringArray.from_buffers(1, ends, pa.py_buffer(b"\xff\xfe"))
    pq.write_table(pa.table({"uri": broken}), tmp_path / "list")
    with pytest.raises(SourceError, match="no Parquet file that can be read"):
        list(addresses_in(tmp_path / "list"))
