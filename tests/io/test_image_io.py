"""Images of every kind that people hand in."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from helpers.limited import run_limited
from numpy.typing import NDArray

from edge_lpr.errors import OutputError, SourceError
from edge_lpr.io.image_header import check_structure, read_header
from edge_lpr.io.image_io import decode_image, read_image, write_image

Image = NDArray[np.uint8]


def encoded(image: NDArray[np.generic], suffix: str) -> bytes:
    return bytes(cv2.imencode(suffix, image)[1])


def size(data: bytes) -> tuple[int, int]:
    header = read_header(data)
    assert header is not None
    return header.width, header.height


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nearly nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.fixture
def colours() -> Image:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif"])
def test_formats_have_their_size_read_from_the_header(colours: Image, suffix: str) -> None:
    data = encoded(colours, suffix)
    assert size(data) == (30, 20)
    assert decode_image(data, "p").shape == (20, 30, 3)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_lossless_formats_come_back_as_they_were(colours: Image, suffix: str) -> None:
    assert np.array_equal(decode_image(encoded(colours, suffix), "p"), colours)


def test_webp_with_alpha_has_its_size_read() -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)
    assert size(encoded(rgba, ".webp")) == (30, 20)


def test_16_bit_takes_the_upper_byte(colours: Image) -> None:
    wide = colours.astype(np.uint16) * 257
    wide[0, 0, 0] = 65535
    colours[0, 0, 0] = 255
    assert np.array_equal(decode_image(encoded(wide, ".png"), "p"), colours)


def test_12_bits_in_16_are_not_black(colours: Image) -> None:
    colours[0, 0, 0] = 255
    assert np.array_equal(decode_image(encoded(colours.astype(np.uint16) * 16, ".tif"), "p"), colours)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_becomes_three_equal_channels(dtype: type) -> None:
    image = decode_image(encoded(np.full((20, 30), np.iinfo(dtype).max, dtype), ".png"), "p")
    assert image.shape == (20, 30, 3) and image.dtype == np.uint8 and image.min() == 255


def test_transparency_is_laid_on_white() -> None:
    rgba = np.zeros((4, 3, 4), np.uint8)
    rgba[1, :, 3], rgba[2, :, 3] = 255, 128
    image = decode_image(encoded(rgba, ".png"), "p")
    assert [int(v) for v in image[:, 0, 0]] == [255, 0, 127, 255]


def test_opaque_alpha_changes_nothing(colours: Image) -> None:
    rgba = np.dstack([colours, np.full((20, 30), 255, np.uint8)])
    assert np.array_equal(decode_image(encoded(rgba, ".png"), "p"), colours)


def test_16_bit_alpha() -> None:
    rgba = np.full((4, 3, 4), 65535, np.uint16)
    rgba[..., :3] = 0
    rgba[0, :, 3] = 0
    image = decode_image(encoded(rgba, ".png"), "p")
    assert [int(v) for v in image[:, 0, 0]] == [255, 0, 0, 0]


def test_exif_orientation_is_applied() -> None:
    pillow = pytest.importorskip("PIL.Image", reason=reason("PIL.Image", "test"))
    out, exif = io.BytesIO(), pillow.Exif()
    exif[0x0112] = 6  # turned a quarter: shown upright it is 20 wide and 30 high
    pillow.new("RGB", (30, 20)).save(out, "JPEG", exif=exif)
    assert size(out.getvalue()) == (30, 20)
    assert decode_image(out.getvalue(), "p").shape == (30, 20, 3)


@pytest.mark.parametrize("size", [(1, 1), (20_000, 200), (200, 20_000)])
def test_extreme_sizes(size: tuple[int, int]) -> None:
    width, height = size
    data = encoded(np.zeros((height, width, 3), np.uint8), ".png")
    assert decode_image(data, "p").shape == (height, width, 3)


@pytest.mark.parametrize("size", [(50_000, 50_000), (2_000_000, 1000), (100_000_001, 1)])
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(SourceError, match=r"p: .* pixels, more than the limit of 100 megapixels"):
        decode_image(png(*size), "p")


def test_a_bomb_in_every_format_is_refused(colours: Image) -> None:
    jpeg = bytearray(encoded(colours, ".jpg"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 65000, 65000)
    bmp = bytearray(encoded(colours, ".bmp"))
    bmp[18:26] = struct.pack("<ii", 65000, -65000)
    tiff = bytearray(encoded(colours, ".tif"))
    directory = struct.unpack("<I", tiff[4:8])[0]
    for i in range(struct.unpack("<H", tiff[directory : directory + 2])[0]):
        entry = directory + 2 + 12 * i
        if struct.unpack("<H", tiff[entry : entry + 2])[0] in (256, 257):
            tiff[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, 65000)
    for data in (jpeg, bmp, tiff):
        with pytest.raises(SourceError, match="65000×65000 pixels, more than the limit"):
            decode_image(bytes(data), "p")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"p: the file is empty \(0 bytes\)"),
        (b"hello", "p: not an image that edge-lpr reads; expected JPEG.* starts with 'hello'"),
        (b"\0\x01\x02", "p: not an image .* starts with '000102'"),
        (b"\x89PNG\r\n\x1a\n", "p: not an image"),
        (b"II*\0\xff\xff\xff\xff", "p: not an image"),
        (b"\xff\xd8\xff\xe0\0\0", "p: not an image"),
        (png(0, 5), "p: damaged, its header says 0×5"),
        (png(30, 20), "p: damaged or cut short"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        decode_image(data, "p")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif"])
def test_every_cut_is_an_error_or_an_image(colours: Image, suffix: str) -> None:
    # Whatever OpenCV makes of half a file, it is never another exception.
    data = encoded(colours, suffix)
    for end in range(1, len(data), max(1, len(data) // 40)):
        try:
            assert decode_image(data[:end], "p").shape == (20, 30, 3)
        except SourceError as e:
            assert "\n" not in str(e)


def test_float_samples_are_refused() -> None:
    with pytest.raises(SourceError, match="float32 samples; expected 8 or 16 bits"):
        decode_image(encoded(np.zeros((4, 4, 3), np.float32), ".tif"), "p")


def test_chinese_and_blanks_in_the_path(tmp_path: Path, colours: Image) -> None:
    path = tmp_path / "中文 目录" / "车牌 照片.png"
    path.parent.mkdir()
    path.write_bytes(encoded(colours, ".png"))
    assert np.array_equal(read_image(path), colours)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(SourceError, match="cannot be read"):
        read_image(tmp_path)


def test_images_by_suffix_in_any_path(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path = tmp_path / "中文 车.png"
    write_image(path, image)
    assert np.array_equal(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), image)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match=r"20000×1 pixels cannot be encoded as \.webp"):
        write_image(tmp_path / "a.webp", np.zeros((1, 20_000, 3), np.uint8))
    with pytest.raises(OutputError, match="there is no folder"):
        write_image(tmp_path / "none" / "a.png", image)


def test_the_limit_may_be_another(colours: Image) -> None:
    data = encoded(colours, ".png")
    assert decode_image(data, "p", 600).shape == (20, 30, 3)
    with pytest.raises(SourceError, match=r"30×20 pixels, more than the limit of 0\.000599 megapixels"):
        decode_image(data, "p", 599)


def test_16_bits_and_transparency_count_for_what_they_decode_to() -> None:
    data = encoded(np.zeros((20, 30, 4), np.uint16), ".png")
    assert decode_image(data, "p", 1600).shape == (20, 30, 3)
    with pytest.raises(SourceError, match="30×20 pixels of 8 bytes, more than the limit"):
        decode_image(data, "p", 1599)


def test_16_bits_are_changed_without_copies_of_the_whole(tmp_path: Path) -> None:
    (tmp_path / "deep.png").write_bytes(encoded(np.zeros((3000, 3000, 4), np.uint16), ".png"))
    # 72 MB as it is decoded and 27 MB as it is given; an array of all its products would be 54 MB more.
    code = "print(read_image(sys.argv[1]).shape)"
    imports = "from edge_lpr.io.image_io import read_image"
    assert "(3000, 3000, 3)" in run_limited(code, tmp_path / "deep.png", megabytes=150, imports=imports)


def chunk(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    head = struct.pack(">I", len(body) if length is None else length)
    return head + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_a_png_is_walked_before_it_is_decoded(tmp_path: Path) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    for name in (b"IDAT", b"eXIf", b"fdAT"):
        data = b"\x89PNG\r\n\x1a\n" + header + chunk(name, b"", 0xFFFFFFF0)
        assert len(data) == 45
        (tmp_path / "p.png").write_bytes(data)
        imports = "from edge_lpr.io.image_io import read_image"
        said = run_limited("read_image(sys.argv[1])", tmp_path / "p.png", megabytes=64, imports=imports)
        assert f"damaged or cut short: its chunk {name!r} at byte 33 claims 4294967280 bytes" in said


def test_a_png_has_one_header(colours: Image) -> None:
    data = encoded(colours, ".png")
    second = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    with pytest.raises(SourceError, match="IHDR stands first and once"):
        decode_image(data[:33] + second + data[33:], "p")


def test_chunks_that_say_nothing_of_the_pixels_never_reach_the_decoder(colours: Image) -> None:
    data = encoded(colours, ".png")
    bomb = zlib.compress(b"\0" * (64 << 20))
    extra = chunk(b"acTL", struct.pack(">II", 0x7FFFFFFF, 0)) + chunk(b"iCCP", b"p\0\0" + bomb)
    marked = data[:33] + chunk(b"gAMA", struct.pack(">I", 45455)) + extra + data[33:]
    assert check_structure(data) is data
    assert check_structure(marked) == data
    assert np.array_equal(decode_image(marked, "p"), colours)


def tiff(*entries: tuple[int, int, int, int], strip: bytes = b"\x50" * 300) -> bytes:
    """A little-endian TIFF of one strip, from (tag, type, count, value) of its directory."""
    entries = (*entries, (273, 4, 1, 8), (279, 4, 1, len(strip)))
    body = b"".join(
        struct.pack("<HHII" if kind != 3 else "<HHIHxx", tag, kind, count, value)
        for tag, kind, count, value in entries
    )
    head = b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip
    return head + struct.pack("<H", len(entries)) + body + bytes(4)


GREY = ((258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1))


def test_a_tag_that_stands_twice_is_refused(tmp_path: Path) -> None:
    small = (256, 3, 1, 20), (257, 3, 1, 15)
    assert decode_image(tiff(*small, *GREY), "p").shape == (15, 20, 3)
    for tag, first in ((256, 30_000), (257, 30_000), (258, 64), (277, 4)):
        (tmp_path / "p.tif").write_bytes(tiff((tag, 3, 1, first), *small, *GREY))
        imports = "from edge_lpr.io.image_io import read_image"
        said = run_limited("read_image(sys.argv[1])", tmp_path / "p.tif", megabytes=64, imports=imports)
        assert f"its tag {tag} stands there 2 times" in said


@pytest.mark.parametrize(
    "entries",
    [
        ((256, 3, 1, 9000), (257, 3, 1, 9000), (258, 3, 1, 64), (277, 3, 1, 1)),
        ((256, 3, 1, 9000), (257, 3, 1, 9000), (258, 4, 1, 64), (277, 3, 1, 1)),
        ((256, 3, 1, 9000), (257, 3, 1, 9000), (258, 3, 1, 8), (277, 3, 1, 65535)),
        ((256, 3, 1, 9), (257, 3, 1, 9), *GREY, (322, 4, 1, 60_000), (323, 4, 1, 60_000)),
    ],
    ids=["64 bits", "64 bits as a long", "65535 samples", "a tile of 3.6 gigapixels"],
)
def test_a_tiff_counts_for_what_its_samples_and_tiles_take(entries: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(SourceError, match="more than the limit of 100 megapixels"):
        decode_image(tiff(*entries), "p")  # type: ignore[arg-type]


def test_a_tiff_of_an_unknown_type_is_no_image() -> None:
    with pytest.raises(SourceError, match="not an image that edge-lpr reads"):
        decode_image(tiff((256, 9, 1, 20), (257, 3, 1, 15), *GREY), "p")


def test_scans_over_the_same_pixels_are_counted() -> None:
    gradient = np.add.outer(np.arange(256), np.arange(256)).astype(np.uint8) // 2
    data = bytes(cv2.imencode(".jpg", gradient, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1])
    assert 1 < data.count(b"\xff\xda") < 64
    assert decode_image(data, "p").shape == (256, 256, 3)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(SourceError, match="scans over the same pixels, more than 64"):
        decode_image(data[:last] + 100 * data[last:-2] + data[-2:], "p")
