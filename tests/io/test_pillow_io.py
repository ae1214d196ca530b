"""Pictures that Pillow reads, and the orientation of all."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from helpers.limited import run_limited
from helpers.pictures import animated_gif, encoded, heic_of_tiles, quarters, turned
from PIL import Image

from edge_lpr.errors import SourceError
from edge_lpr.io.image_io import decode_image, read_image
from edge_lpr.io.image_source import ImageSource

FORMATS = ("GIF", "JPEG2000", "PPM", "AVIF", "HEIF")


@pytest.fixture(autouse=True)
def heif() -> None:
    pytest.importorskip("pillow_heif", reason=reason("pillow_heif", "heif"))


def far(a: object, b: object) -> float:
    return float(np.abs(np.asarray(a, np.float32) - np.asarray(b, np.float32)).mean())


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["picture", "picture.jpg", "picture.JFIF"])
def test_a_picture_is_read_whatever_its_format_and_name(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / name).write_bytes(encoded(quarters(), kind))
    image = read_image(tmp_path / name)
    assert image.shape == (64, 96, 3) and image.dtype == np.uint8 and image.flags.c_contiguous
    assert far(image, quarters()) < 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "RGB"),
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "L"),
        ("WEBP", "RGB"),
        ("WEBP", "RGBA"),
        ("TIFF", "RGB"),
        ("TIFF", "RGBA"),
        ("AVIF", "RGB"),
        ("HEIF", "RGB"),
        ("HEIF", "RGBA"),
    ],
)
def test_every_format_is_turned_upright(kind: str, mode: str, orientation: int) -> None:
    shown = quarters()
    image = decode_image(turned(shown, kind, orientation, mode), "p")
    if mode == "L":
        shown = cv2.cvtColor(cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    assert image.shape == shown.shape and far(image, shown) < 12


def test_exif_that_is_damaged_turns_nothing() -> None:
    data = turned(quarters(), "PNG", 6, "RGBA")
    at = data.index(b"eXIf") + 4
    for place, bad in ((at, b"XX"), (at + 4, b"\xff\xff\xff\xff"), (at + 18, b"\x63\x63")):
        broken = data[:place] + bad + data[place + len(bad) :]
        assert decode_image(broken, "p").shape == (96, 64, 3)  # as it is stored


def test_heic_of_tiles_is_one_picture(tmp_path: Path) -> None:
    image = cv2.resize(quarters(), (320, 256), interpolation=cv2.INTER_NEAREST)
    (tmp_path / "IMG_1.HEIC").write_bytes(heic_of_tiles(image, 64))
    found = read_image(tmp_path / "IMG_1.HEIC")
    assert found.shape == (256, 320, 3) and far(found, image) < 8


def test_heic_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(quarters(), "HEIF")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    said = (
        r"a\.heic: a HEIC image, and the package 'pillow_heif' of the extra 'heif' is not installed: pip inst"
    )
    with pytest.raises(SourceError, match=said):
        decode_image(data, "a.heic")


@pytest.mark.parametrize(("mode", "kind"), [("LA", "JPEG2000"), ("RGBA", "JPEG2000"), ("RGBA", "AVIF")])
def test_transparency_is_laid_on_white(mode: str, kind: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (16, 16), (0,) * len(mode)).save(out, kind)
    assert decode_image(out.getvalue(), "p").min() > 250


def test_deep_grey_is_scaled_by_its_bits() -> None:
    pixels = np.array([[0, 2048, 4095]], ">u2")
    data = b"P5\n# a camera's\n3 1\n65535\n" + (pixels * 16).astype(">u2").tobytes()
    assert decode_image(data, "p")[0, :, 0].tolist() == [0, 128, 255]
    data = b"P5 3 1 4095\n" + pixels.tobytes()
    assert decode_image(data, "p")[0, :, 0].tolist() == [0, 128, 255]


def test_the_first_image_of_a_gif() -> None:
    assert decode_image(animated_gif(40, 90), "p")[0, 0].tolist() == [40, 40, 40]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_cut_is_an_error_or_an_image(kind: str) -> None:
    data = encoded(quarters(), kind)
    for end in range(1, len(data), max(1, len(data) // 30)):
        try:
            assert decode_image(data[:end], "p").shape == (64, 96, 3)
        except SourceError as e:
            assert "\n" not in str(e) and str(e).startswith("p: ")


@pytest.mark.parametrize("kind", FORMATS)
def test_the_limit_holds_for_every_format(kind: str) -> None:
    data = encoded(quarters(), kind)
    assert decode_image(data, "p", 64 * 96 * 4 // 3).shape == (64, 96, 3)
    with pytest.raises(SourceError, match=r"p: 96×64 pixels of 4 bytes, more than the limit of 0\.0081"):
        decode_image(data, "p", 64 * 96 * 4 // 3 - 1)


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    jp2 = bytearray(encoded(quarters(), "JPEG2000", no_jp2=True))
    sizes = struct.unpack(">4I", jp2[8:24])
    assert sizes == (96, 64, 0, 0)
    large, tiles = bytearray(jp2), bytearray(jp2)
    large[8:16] = large[24:32] = struct.pack(">II", 60_000, 60_000)
    tiles[24:32] = struct.pack(">II", 1, 1)
    tiles[8:16] = struct.pack(">II", 250, 250)
    files = {
        "large.j2k": (bytes(large), "60000×60000 pixels of 4 bytes, more than the limit"),
        "tiles.j2k": (bytes(tiles), "62500 tiles of 3 channels, more than 16384 together"),
        "large.ppm": (b"P6\n60000 60000\n255\n", "60000×60000 pixels of 4 bytes, more than the limit"),
        "large.gif": (b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0) + b";", "large.gif: "),
    }
    imports = "from edge_lpr.io.image_io import read_image\nimport PIL.Jpeg2KImagePlugin, PIL.PpmImagePlugin"
    for name, (data, said) in files.items():
        (tmp_path / name).write_bytes(data)
        told = run_limited("read_image(sys.argv[1])", tmp_path / name, megabytes=64, imports=imports)
        assert "SourceError" in told and said in told


def test_what_pillow_reads_is_not_decoded_ahead_unbounded(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.jp2" for i in range(3)]
    for path in paths:
        path.write_bytes(encoded(quarters(), "JPEG2000"))
    told: list[str] = []
    frames = list(ImageSource("p", paths, 64 * 96 * 4 // 3, told.append))
    assert [frame.index for frame in frames] == [0, 1, 2] and told == []


def test_pillow_is_imported_with_the_first_picture_that_needs_it(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), quarters())
    (tmp_path / "a.ppm").write_bytes(encoded(quarters(), "PPM"))
    program = (
        "import sys\nfrom edge_lpr.io.image_io import read_image\n"
        "for path in sys.argv[1:]:\n    read_image(path)\n    print('PIL' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "a.jpg"), str(tmp_path / "a.ppm")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == [
        "False",
        "True",
    ]
