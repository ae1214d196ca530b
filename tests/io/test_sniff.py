"""What a file is by its content."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from helpers.pictures import animated_gif, encoded, quarters

from edge_lpr.io.sniff import HEAD, is_image, medium_of, sniff

PICTURES = {
    "JPEG": "JPEG",
    "PNG": "PNG",
    "BMP": "BMP",
    "WEBP": "WebP",
    "TIFF": "TIFF",
    "GIF": "GIF",
    "JPEG2000": "JPEG 2000",
    "PPM": "PNM",
    "AVIF": "AVIF",
    "HEIF": "HEIC",
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_are_known_by_their_first_bytes(kind: str, tmp_path: Path) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif", reason=reason("pillow_heif", "heif"))
    data = encoded(quarters(), kind)
    found = sniff(data[:HEAD])
    assert found is not None and (found.medium, found.format) == ("image", PICTURES[kind])
    assert is_image(data[:HEAD]) is (kind != "GIF")
    for name in ("picture", "picture.dat", "picture.mp4", "picture.png"):
        (tmp_path / name).write_bytes(data)
        assert medium_of(tmp_path / name) == ("image" if kind != "TIFF" or "dat" not in name else None)


def video(codec: str, container: str) -> bytes:
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for value in range(12):
            image = np.full((48, 64, 3), 20 * value, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        file.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize(
    ("codec", "container", "name"),
    [
        ("mpeg4", "mp4", "MP4"),
        ("mpeg4", "mov", "MP4"),
        ("mpeg4", "matroska", "Matroska"),
        ("mpeg4", "avi", "AVI"),
        ("mpeg2video", "mpegts", "MPEG-TS"),
        ("mpeg2video", "mpeg", "MPEG"),
        ("flv1", "flv", "FLV"),
        ("msmpeg4", "asf", "ASF"),
        ("libx264", "h264", "H.264"),
    ],
)
def test_videos_are_known_by_their_first_bytes(codec: str, container: str, name: str, tmp_path: Path) -> None:
    data = video(codec, container)
    found = sniff(data[:HEAD])
    assert found is not None and (found.medium, found.format) == ("video", name)
    assert not is_image(data[:HEAD])
    for file in ("clip", "clip.jpg", "clip.dat"):
        (tmp_path / file).write_bytes(data)
        assert medium_of(tmp_path / file) == "video"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"some notes\n",
        b"BMW and others",
        b"P5 is a name\n",
        b"{}",
        b"%PDF-1.7\n",
        b"PK\x03\x04",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42",
        b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom",
        b"OggS" + bytes(24) + b"\x01vorbis",
        b"\0\0\x01\xff",
        b"\x47" + bytes(600),
    ],
)
def test_what_is_neither(head: bytes, tmp_path: Path) -> None:
    assert sniff(head) is None
    for name, medium in (("f", None), ("f.txt", None), ("f.jpg", "image"), ("f.mp4", "video")):
        (tmp_path / name).write_bytes(head)
        assert medium_of(tmp_path / name) == medium


@pytest.mark.parametrize(
    ("major", "others", "name"),
    [
        (b"mif1", b"mif1heic", "HEIC"),
        (b"mif1", b"avifmif1", "AVIF"),
        (b"msf1", b"hevcmsf1", "HEIC"),
        (b"heix", b"mif1heix", "HEIC"),
        (b"avis", b"avifmsf1", "AVIF"),
        (b"isom", b"isomheic", "MP4"),
        (b"qt  ", b"qt  ", "MP4"),
    ],
)
def test_the_brands_of_a_container_say_what_is_in_it(major: bytes, others: bytes, name: str) -> None:
    found = sniff(struct.pack(">I", 16 + len(others)) + b"ftyp" + major + bytes(4) + others)
    assert found is not None and found.format == name
    assert found.medium == ("video" if name == "MP4" else "image")


def test_a_gif_of_several_images_is_a_video(tmp_path: Path) -> None:
    for name, values, medium in (("one", (9,), "image"), ("two", (9, 90), "video")):
        (tmp_path / f"{name}.gif").write_bytes(animated_gif(*values))
        assert medium_of(tmp_path / f"{name}.gif") == medium
    (tmp_path / "cut.gif").write_bytes(b"GIF89a")
    assert medium_of(tmp_path / "cut.gif") == "image"


def test_motion_jpeg_begins_like_a_picture(tmp_path: Path) -> None:
    data = bytes(cv2.imencode(".jpg", quarters())[1])
    for name, medium in (("a.mjpeg", "video"), ("a.mjpg", "video"), ("a.avi", "image")):
        (tmp_path / name).write_bytes(2 * data)
        assert medium_of(tmp_path / name) == medium
