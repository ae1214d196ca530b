"""The outputs of one run, and one of one's own among them."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.cli import main
from edge_lpr.errors import OutputError, SettingError
from edge_lpr.io.frames import Source
from edge_lpr.io.sources import Target
from edge_lpr.outputs import OUTPUTS, Output, OutputKind, Result, RunInfo, RunOutputs
from edge_lpr.pipeline.stream import FrameResult

Make = Callable[..., Any]
RUN = RunInfo([Target("video", "street.mp4", (Path("street.mp4"),))])


class Gone(io.StringIO):
    """Standard output whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


class Broker(Output):
    """Keeps what it is sent; down at the address "down"."""

    def __init__(self, address: str, run: RunInfo) -> None:
        self.address, self.run = address, run
        self.sent: list[str] = []
        self.finished: list[str] = []
        self.closed = 0

    def write(self, frame_result: FrameResult, results: Sequence[Result]) -> None:
        if self.address == "down" and results:
            raise OutputError(f"{self.address}: no broker answers there")
        self.sent += [f"{result.item.text} {result.crop}" for result in results]

    def finish(self, source: Source) -> None:
        self.finished.append(source.label)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Broker]]:
    """An output of one's own, registered as one from elsewhere would be; gives those that were opened."""
    opened: list[Broker] = []

    def opener(value: str, run: RunInfo) -> Broker:
        opened.append(Broker(value, run))
        return opened[-1]

    assert "broker" not in OUTPUTS
    monkeypatch.setattr(OUTPUTS, "_choices", dict(OUTPUTS._choices))
    OUTPUTS.register(OutputKind("broker", 35, opener, "--broker", "ADDRESS", "a message per result"))
    yield opened


def test_the_outputs_by_rank() -> None:
    own = ("crops", "jsonl", "csv", "lines", "save")
    assert tuple(name for name in OUTPUTS.names() if name in own) == own


def test_nothing_is_lost_when_the_reader_of_our_output_leaves(
    tmp_path: Path, an_event: Make, a_source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Gone())
    outputs = RunOutputs({"jsonl": str(tmp_path / "o.jsonl"), "lines": "-"}, RUN, print)
    found = FrameResult(a_source(), None, [], [an_event(), an_event()], True)
    with pytest.raises(BrokenPipeError):
        outputs.write(found)
    outputs.write(found)  # the vehicles still in view, on the way out
    outputs.close()
    assert (tmp_path / "o.jsonl").read_text(encoding="utf-8").count("\n") == 4 and not outputs.failed


def test_a_failing_output_is_named_once_and_the_rest_goes_on(
    tmp_path: Path, an_event: Make, a_source: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    crops = tmp_path / "crops"
    requested = {"crops": str(crops), "jsonl": str(tmp_path / "o"), "lines": "-"}
    outputs = RunOutputs(requested, RUN, lines.append)
    crops.rmdir()
    crops.touch()
    for _ in range(2):
        outputs.write(FrameResult(a_source(), None, [], [an_event()], True))
    outputs.close()
    assert len(lines) == 1 and "crops: cannot be written" in lines[0] and outputs.failed
    assert (tmp_path / "o").read_text(encoding="utf-8").count('"crop": null') == 2
    assert capsys.readouterr().out.count("皖A13H25") == 2 and outputs.count == 2


def test_records_show_the_crop_of_the_same_run(tmp_path: Path, an_event: Make, a_source: Make) -> None:
    # Asked for in the other order: what puts something into a result comes first by its rank.
    requested = {"jsonl": str(tmp_path / "o.jsonl"), "crops": str(tmp_path / "crops")}
    with RunOutputs(requested, RUN, print) as outputs:
        outputs.write(FrameResult(a_source(), None, [], [an_event()], True))
    record = json.loads((tmp_path / "o.jsonl").read_text("utf-8"))
    assert [record["crop"]] == [path.name for path in (tmp_path / "crops").iterdir()]


@pytest.mark.parametrize(
    ("requested", "message"),
    [
        ({"jsonl": "o", "csv": "o"}, "--jsonl and --csv are the same; give each its own file, or '-' to one"),
        ({"csv": "-", "jsonl": "-"}, "--jsonl and --csv are the same"),
        ({"jsonl": "o", "csv": "./o"}, "--jsonl and --csv are the same"),
        ({"save": "o", "jsonl": "o"}, "--jsonl and --save are the same"),
        ({"save": "o.mp4", "jsonl": "o.mp4"}, "--jsonl and --save are the same"),
        ({"crops": "-"}, "--crops -: does not go to standard output; a folder of that name is ./-"),
        ({"mqtt": "host"}, "output 'mqtt': expected one of crops, jsonl, csv, lines, save"),
    ],
)
def test_what_does_not_go_together_is_refused(
    requested: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError) as caught:
        RunOutputs(requested, RUN, print)
    assert str(caught.value).startswith(message) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("way", ["as it is", "through a link", "another name of it", "through a folder"])
@pytest.mark.parametrize("name", ["jsonl", "csv", "save"])
def test_what_is_read_is_not_written_over(way: str, name: str, tmp_path: Path) -> None:
    source, bundle = tmp_path / "in" / "s.mp4", tmp_path / "bundle.json"
    (tmp_path / "in").mkdir()
    for path in (source, bundle):
        path.write_text("precious")
    run = RunInfo([Target("video", str(source), (source,))], reads=[("--bundle", bundle)])
    for path in (source, bundle):
        out = tmp_path / f"{path.stem}-{name}.mp4"
        if way == "as it is":
            out = path
        elif way == "through a link":
            out.symlink_to(path)
        elif way == "another name of it":
            out.hardlink_to(path)
        else:
            folder = tmp_path / f"to-{path.stem}"
            folder.symlink_to(path.parent)
            out = folder / path.name
        if name == "save" and out.suffix == ".json":
            continue  # a folder's name
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(SettingError, match=f"--{name} .*: would overwrite .*, which is read"):
            RunOutputs({name: str(out)}, run, print)
        assert path.read_text() == "precious" and sorted(tmp_path.rglob("*")) == before


def test_two_names_of_one_file_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("o").touch()
    Path("link").symlink_to("o")
    Path("other").hardlink_to("o")
    Path("new").symlink_to("none")
    os.mkfifo("pipe")
    pairs = [("o", "link"), ("other", "o"), ("new", "none"), ("pipe", "./pipe")]
    for one, two in [*pairs, (f"../{tmp_path.name}/o", "o")]:
        with pytest.raises(SettingError, match="--jsonl and --csv are the same"):
            RunOutputs({"jsonl": one, "csv": two}, RUN, print)
    RunOutputs({"jsonl": "/dev/null", "csv": "/dev/null"}, RUN, print).close()
    Path("out").mkdir()
    with pytest.raises(SettingError, match="--jsonl and --save are the same"):
        RunOutputs({"save": "out", "jsonl": "out/street.mp4"}, RUN, print)


def test_standard_output_sent_to_the_file_of_an_output_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "o").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        with pytest.raises(SettingError, match="lines and --jsonl are the same"):
            RunOutputs({"jsonl": str(tmp_path / "o"), "lines": "-"}, RUN, print)
        with pytest.raises(SettingError, match="--csv and --jsonl are the same"):
            RunOutputs({"jsonl": f"/dev/fd/{file.fileno()}", "csv": "-"}, RUN, print)


def test_a_run_that_read_nothing_replaces_nothing(tmp_path: Path, a_source: Make, a_frame: Make) -> None:
    for name in ("o.jsonl", "o.csv"):
        (tmp_path / name).write_text("older")
    requested = {name: str(tmp_path / f"o.{name}") for name in ("jsonl", "csv")}
    with RunOutputs(requested, RUN, print) as outputs:
        outputs.write(FrameResult(a_source(), None, [], [], True))  # the end of a source that gave no frame
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"o.jsonl": "older", "o.csv": "older"}
    with RunOutputs(requested, RUN, print) as outputs:
        outputs.write(FrameResult(a_source(), a_frame(), [], [], True))
    assert (tmp_path / "o.jsonl").read_text() == "" and (tmp_path / "o.csv").stat().st_size > 9


def test_what_fails_in_a_live_run_is_tried_again_and_counted(
    brokers: list[Broker], an_event: Make, a_source: Make
) -> None:
    lines: list[str] = []
    outputs = RunOutputs({"broker": "down"}, RunInfo(live=True), lines.append)
    found = FrameResult(a_source(live=True), None, [], [an_event(), an_event()], True)
    for _ in range(3):
        outputs.write(found)
    assert lines == ["down: no broker answers there; tried again with what follows"] and outputs.any_left
    brokers[0].address = "up"
    outputs.write(FrameResult(a_source(live=True), None, [], [], True))
    assert len(lines) == 1  # nothing was sent that could have arrived
    outputs.write(found)
    assert lines[1:] == ["--broker down: written again; 6 results were lost"] and len(brokers[0].sent) == 2
    brokers[0].address = "down"
    outputs.write(found)
    outputs.close()
    assert lines[3:] == ["--broker down: 2 results were lost"] and outputs.failed


def test_images_and_crops_may_lie_in_one_folder(tmp_path: Path) -> None:
    with RunOutputs({"save": str(tmp_path), "crops": str(tmp_path)}, RUN, print) as outputs:
        assert outputs.any_left
    assert not outputs.any_left


def test_an_output_of_ones_own_has_an_option(
    brokers: list[Broker], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--help"]) == 0
    assert "--broker ADDRESS" in capsys.readouterr().out and not brokers


def test_an_output_of_ones_own_receives_results_and_fails_alone(
    brokers: list[Broker],
    tmp_path: Path,
    plate_scene: Callable[..., NDArray[np.uint8]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = tmp_path / "1.png"
    cv2.imencode(".png", plate_scene("皖A13H25"))[1].tofile(image)
    common = [str(image), "--threads", "1", "--crops", str(tmp_path / "crops")]
    assert main([*common, "--broker", "10.0.0.5"]) == 0
    (broker,) = brokers
    assert broker.address == "10.0.0.5" and [t.paths for t in broker.run.targets] == [(image,)]
    assert broker.sent == ["皖A13H25 1-000000-皖A13H25.png"]
    assert broker.finished == [str(image)] and broker.closed == 1
    capsys.readouterr()

    assert main([*common, "--broker", "down"]) == 1
    captured = capsys.readouterr()
    assert captured.err == "edge-lpr: down: no broker answers there\n" and "皖A13H25" in captured.out
    assert brokers[1].closed == 1 and not brokers[1].sent
