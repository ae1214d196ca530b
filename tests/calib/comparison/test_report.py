"""The page and the tables of a comparison, of figures made up."""

from __future__ import annotations

import datetime
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_lpr.calib.comparison.compare import Measured, Variant
from edge_lpr.calib.comparison.plots import draw_plots
from edge_lpr.calib.comparison.report import differences, page, summary, write_report
from edge_lpr.environment import machine
from edge_lpr.errors import OutputError
from edge_lpr.evaluation.evaluate import ALL, Evaluation, Miss
from edge_lpr.evaluation.metrics import RecScore


class Page(HTMLParser):
    """What is on a page: texts by element, and sources of images; elements are closed as they were opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {}
        self.images: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")
        if tag not in ("img", "meta", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.setdefault(self._open[-1], []).append(data.strip())


def measured(folder: Path, precision: str, text: str) -> Measured:
    image = folder / "<i>皖A12345.png"
    cv2.imencode(".png", np.full((40, 120, 3), 99, np.uint8))[1].tofile(image)
    score = RecScore()
    right = score.add("皖A12345", text)
    misses = [] if right else [Miss(str(image), str(image), "<b>", ("皖A12345",), (text,))]
    result = Evaluation(
        {"<b>": score, ALL: score}, misses, {str(image): right}, calls=[(0.01, 1), (0.02, 1), (9.0, 10)]
    )
    return Measured(Variant(precision, "onnxruntime"), "a reader", {"rec": result}, 3_000_000, None, 1)


@pytest.fixture
def variants(tmp_path: Path) -> list[Measured]:
    return [measured(tmp_path, "fp32", "皖A12345"), measured(tmp_path, "int8", "皖A1&<5")]


def test_the_page_shows_everything_and_needs_no_other_file(variants: list[Measured]) -> None:
    html = page(variants, "A & B", draw_plots(variants))
    shown = Page(html)
    assert shown.texts["h1"] == shown.texts["title"] == ["A & B"]
    assert shown.texts["h2"] == [
        *("Against FP32", "Plots", "Recognition by subset", "Characters confused", "Measured on"),
        "From right to wrong",
    ]
    assert shown.texts["h3"] == ["int8 onnxruntime", "int8 onnxruntime, recognition: 1"]
    cells = shown.texts["td"]
    for expected in ("rec acc", "1.0000", "0.0000", "3.00", "-", "-100.00", "1.3", "<b>", "(none)"):
        assert expected in cells
    # The median of the single runs; the batch's mean is longer than either.
    assert "15.00" in cells
    assert shown.texts["span"] == ["皖A12345", "皖A1&<5"]
    assert [uri[:22] for uri in shown.images] == [*["data:image/png;base64,"] * 3, "data:image/jpeg;base64"]
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|@import", html)


def test_names_of_files_are_texts_on_the_page(variants: list[Measured]) -> None:
    html = page(variants, "<script>x</script>", {'a"b<c.png': b"x"})
    assert "<script" not in html and "<i>" not in html and "<b>" not in html
    assert "<i>皖A12345.png" in Page(html).texts["small"]


def test_one_variant_alone_is_compared_with_nothing(variants: list[Measured]) -> None:
    html = page(variants[:1], "t", {})
    assert Page(html).texts["h2"] == ["Plots", "Recognition by subset", "Measured on"]


def test_the_page_says_where_and_when(variants: list[Measured]) -> None:
    cells = Page(page(variants, "t", {})).texts["td"]
    here = machine()
    assert datetime.date.fromisoformat(cells[cells.index("date") + 1]).year >= 2026
    assert cells[cells.index("machine") + 1] == f"{here['cpu']}, {here['cores']} cores, {here['system']}"
    assert f"numpy {np.__version__}" in cells[cells.index("software") + 1]
    assert cells[-2:] == ["int8 onnxruntime", "a reader"]


def test_tables_for_a_terminal(variants: list[Measured]) -> None:
    lines = str(summary(variants)).splitlines()
    assert lines[0].split() == ["fp32", "onnxruntime", "int8", "onnxruntime"]
    assert lines[1].split() == ["rec", "acc", "1.0000", "0.0000"]
    assert lines[-1].split() == ["peak", "memory", "MB", "-", "-"]
    lines = str(differences(variants)).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split()[:4] == ["int8", "onnxruntime", "rec", "-100.00"]


def test_a_report_is_a_page_and_its_plots(variants: list[Measured], tmp_path: Path) -> None:
    write_report(tmp_path / "a" / "b", variants, "t")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == [
        *("accuracy.png", "latency.png", "report.html", "size.png")
    ]
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "file" / "b", variants, "t")


def test_plots_have_a_panel_per_figure(variants: list[Measured]) -> None:
    plots = {
        name: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        for name, data in draw_plots(variants).items()
    }
    # Peak memory is not known: one panel is left of the sizes'.
    widths = {name: image.shape[1] for name, image in plots.items()}
    assert len(set(widths.values())) == 1 and list(widths) == ["accuracy.png", "latency.png", "size.png"]
    variants[0].peak_bytes = variants[1].peak_bytes = 10_000_000
    size = cv2.imdecode(np.frombuffer(draw_plots(variants)["size.png"], np.uint8), cv2.IMREAD_COLOR)
    assert size.shape[1] > widths["size.png"]
