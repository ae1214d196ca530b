"""Which GPU, and what is said of one that is not there."""

from __future__ import annotations

import ctypes
import re
from typing import Any

import pytest

from edge_lpr import devices
from edge_lpr.cli import main
from edge_lpr.errors import SettingError


class Driver:
    """libcuda, as far as it counts."""

    def __init__(self, count: int, refusal: int = 0) -> None:
        self.count, self.refusal = count, refusal

    def cuInit(self, flags: Any) -> int:  # noqa: N802
        return self.refusal

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self.count
        return 0


@pytest.mark.parametrize(
    ("driver", "device", "said"),
    [
        (None, 0, "device 0: no NVIDIA driver here; leave --device out to use what there is"),
        (Driver(0, refusal=100), 0, "device 0: CUDA shows no GPU here; leave --device out"),
        (Driver(1), 1, "device 1: no such GPU; CUDA shows the number 0 alone (nvidia-smi -L"),
        (Driver(4), 7, "device 7: no such GPU; CUDA shows the numbers 0 to 3 (nvidia-smi -L"),
        (Driver(1), -1, "device is -1, must be an integer ≥ 0"),
        (Driver(1), "0", "device is '0', must be an integer ≥ 0"),
        (Driver(1), True, "device is True, must be an integer ≥ 0"),
    ],
)
def test_a_gpu_that_is_not_there(
    driver: Driver | None, device: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def library(name: str) -> Driver:
        if driver is None:
            raise OSError(name)
        return driver

    monkeypatch.setattr(ctypes, "CDLL", library)
    with pytest.raises(SettingError, match=re.escape(said)):
        devices.check_device(device)


def test_a_gpu_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(2))
    for device in (None, 0, 1):
        devices.check_device(device)


@pytest.mark.parametrize(
    "command", [["x.jpg"], ["doctor"], ["build"], ["engines", "list"], ["evaluate", "x", "--data", "y"]]
)
def test_every_command_that_uses_a_gpu_says_it_in_one_line(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(devices, "gpu_count", lambda: 1)
    assert main([*command, "--device", "3"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1, said
    monkeypatch.setenv("EDGE_LPR_DEVICE", "two")
    assert main(command) == 2
    assert "EDGE_LPR_DEVICE" in capsys.readouterr().err
