"""Clocks and power under load, out of what nvidia-smi writes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge_lpr.benchmarks import gpu_clocks
from edge_lpr.benchmarks.gpu_clocks import UnderLoad, parse_row, power_mode, summary

ROW = "1980, 2619, 412.35, 700.00, 55, 100, 0x0000000000000004, P0"


def test_a_line_of_nvidia_smi() -> None:
    assert parse_row(ROW) == {
        "sm_mhz": 1980.0,
        "memory_mhz": 2619.0,
        "power_w": 412.35,
        "power_limit_w": 700.0,
        "temperature_c": 55.0,
        "utilization_percent": 100.0,
        "held_down_by": ["power limit"],
        "pstate": "P0",
    }
    unknown = parse_row("[N/A], 2619, [Not Supported], 700.00, 55, 100, Not Active, P0")
    assert unknown["sm_mhz"] is None and unknown["power_w"] is None and unknown["held_down_by"] == []
    assert parse_row("an error") == {}


def test_what_is_seen_is_summed_up() -> None:
    rows = [
        parse_row(ROW),
        parse_row(ROW.replace("1980", "1200").replace("0x0000000000000004", "0x40")),
        parse_row(ROW),
    ]
    found = summary(rows)
    assert (found["looks"], found["sm_mhz"], found["sm_mhz_least"], found["power_w"]) == (
        3,
        1980,
        1200,
        412.35,
    )
    assert found["held_down_by"] == ["power limit", "thermal limit (hardware)"]
    assert summary([]) == {}


def test_the_gpu_is_looked_at_while_it_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[list[str]] = []
    enough = threading.Event()

    def answer(command: list[str]) -> str:
        asked.append(command)
        if len(asked) > 2:
            enough.set()
        return ROW

    monkeypatch.setattr(gpu_clocks, "_INTERVAL", 0.01)
    monkeypatch.setattr(gpu_clocks, "_answer", answer)
    with UnderLoad(1) as load:
        assert enough.wait(60)
    assert load.found["sm_mhz"] == 1980.0 and load.found["looks"] >= 2
    assert asked[0][:2] == ["nvidia-smi", "--id=1"]
    assert power_mode() == ROW  # nvpmodel's words, whatever they are


def test_a_jetson_has_no_nvidia_smi_and_its_clock_is_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu_clocks, "_answer", lambda command: "")
    monkeypatch.setattr(gpu_clocks, "_DEVFREQ", tmp_path)
    assert gpu_clocks._of_jetson() == {} and power_mode() == ""
    (tmp_path / "17000000.gpu").mkdir()
    (tmp_path / "17000000.gpu" / "cur_freq").write_text("1020000000\n")
    assert gpu_clocks._of_jetson() == {"sm_mhz": 1020.0}
    with UnderLoad() as load:
        pass
    assert load.found == {} or load.found["sm_mhz"] == 1020.0
