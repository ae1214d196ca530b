"""The timing cache file, with a configuration that joins caches as TensorRT does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.waiting import LONG

from edge_lpr.backends.tensorrt.engine_manifest import Machine
from edge_lpr.engines.timing_cache import TimingCache, slug

MACHINE = Machine("10.3.0", "NVIDIA GeForce RTX 4090", "8.9")


class Cache:
    def __init__(self, data: bytes) -> None:
        self.known = set(data.split(b",")) - {b""}

    def combine(self, other: Cache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.known |= other.known
        return True

    def serialize(self) -> bytes:
        return b",".join(sorted(self.known))


class Config:
    """Refuses what TensorRT would: a cache that is not its own."""

    def __init__(self) -> None:
        self.cache: Cache | None = None

    def create_timing_cache(self, data: bytes) -> Cache | None:
        return None if b"garbage" in data else Cache(data)

    def set_timing_cache(self, cache: Cache, ignore_mismatch: bool) -> bool:
        self.cache = cache
        return True

    def get_timing_cache(self) -> Cache | None:
        return self.cache


def build(folder: Path, learned: bytes) -> Any:
    config: Any = Config()
    cache = TimingCache(folder, MACHINE)
    cache.attach(config)
    before = config.cache.serialize()
    config.cache.known.add(learned)
    return before, lambda: cache.keep(config)


def test_builds_learn_from_each_other(tmp_path: Path) -> None:
    first, keep_first = build(tmp_path / "engines", b"a")
    keep_first()
    second, keep_second = build(tmp_path / "engines", b"b")
    third, keep_third = build(tmp_path / "engines", b"c")
    keep_third()
    keep_second()  # ends last, and keeps what the third learned
    assert (first, second, third) == (b"", b"a", b"a")
    assert TimingCache(tmp_path / "engines", MACHINE).load() == b"a,b,c"


def test_a_damaged_cache_costs_time_and_no_build(tmp_path: Path) -> None:
    cache = TimingCache(tmp_path, MACHINE)
    cache.path.write_bytes(b"garbage")
    before, keep = build(tmp_path, b"a")
    assert before == b""
    keep()
    assert cache.load() == b"a"


def test_other_machines_have_other_caches(tmp_path: Path) -> None:
    names = {
        TimingCache(tmp_path, machine).path.name
        for machine in (MACHINE, Machine("10.4.0", MACHINE.gpu, "8.9"), Machine("10.3.0", "Orin", "8.7"))
    }
    assert len(names) == 3
    assert "timing.nvidia-geforce-rtx-4090.trt10.3.0.cache" in names


def test_the_lock_holds_other_processes_off(tmp_path: Path) -> None:
    cache = TimingCache(tmp_path, MACHINE)
    code = (
        "import sys; from pathlib import Path\n"
        "from edge_lpr.backends.tensorrt.engine_manifest import Machine\n"
        "from edge_lpr.engines.timing_cache import TimingCache\n"
        "cache = TimingCache(Path(sys.argv[1]), Machine('10.3.0', 'NVIDIA GeForce RTX 4090', '8.9'))\n"
        "print('waiting', flush=True)\n"
        "with cache.locked(): print('locked', flush=True)\n"
    )
    with cache.locked():
        other = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None and other.stdout.readline() == "waiting\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.3)
    out, _ = other.communicate(timeout=LONG)
    assert out == "locked\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("NVIDIA H200", "nvidia-h200"), ("../../etc", "etc"), ("车", "unnamed"), ("a" * 99, "a" * 40)],
)
def test_slug(text: str, expected: str) -> None:
    assert slug(text) == expected


def test_without_locks_what_was_learned_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    _, keep = build(tmp_path / "engines", b"a")
    keep()
    assert TimingCache(tmp_path / "engines", MACHINE).load() == b"a"
