"""Archives that are read in this process, without Ray: what its readers do, in any order."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from numpy.typing import NDArray

pytest.importorskip("pyarrow", reason=reason("pyarrow", "scale"))
pytest.importorskip("fsspec", reason=reason("fsspec", "scale"))

import fsspec
import pyarrow.dataset as ds

from edge_lpr.archive.job import Job
from edge_lpr.archive.places import place_of
from edge_lpr.archive.run import ArchiveRun
from edge_lpr.archive.settings import ReaderSettings
from edge_lpr.archive.store import Store
from edge_lpr.archive.units import Failure, Unit
from edge_lpr.archive.worker import Orders, Worker

SMALL = {"det_limit_side_len": 320, "det_limit_type": "max"}
Rows = list[dict[str, Any]]


def rows_of(folder: Path | str) -> Rows:
    """All rows of a data set as another program reads it, sorted."""
    fs, path = fsspec.core.url_to_fs(str(folder))
    fs.invalidate_cache()
    table = ds.dataset(path, format="parquet", partitioning="hive", filesystem=fs).to_table()
    return sorted(
        table.to_pylist(), key=lambda row: (row["source"], row["first_frame"], row["track"] or 0, row["text"])
    )


def begin(
    folder: Path | str, *sources: Path | str, **job: Any
) -> tuple[ArchiveRun, list[Unit], list[Failure]]:
    """Plans an archive; returns its run, its units, and what failed before there were any."""
    settings = {**SMALL, **job.pop("settings", {})}
    asked = Job(sources=tuple(map(str, sources)), settings=settings, models={"precision": "fp32"}, **job)
    run = ArchiveRun(Store(place_of(str(folder))), asked.with_bundle(), ReaderSettings())
    return run, *run.prepare(resume=False)


def read_here(folder: Path | str, *sources: Path | str, seed: int = 1, **job: Any) -> Rows:
    """Reads an archive in this process, its units in an order drawn by chance; returns its rows."""
    run, units, found = begin(folder, *sources, **job)
    worker = Worker(Orders(str(folder), run.job.to_dict(), retries=0))
    random.Random(seed).shuffle(units)
    for unit in units:
        worker.do(unit)
    worker.close()
    run.store.failures.write(run.store.failures.gathered(found))
    return rows_of(folder)


def two_machines(*nodes: dict[str, Any]) -> tuple[Any, Any]:
    """Starts a cluster, again where a busy machine takes too long for Ray; returns its last machine too."""
    from ray.cluster_utils import Cluster

    for left in (2, 1, 0):
        cluster = Cluster()
        try:
            return cluster, [cluster.add_node(**node, include_dashboard=False) for node in nodes][-1]
        except Exception:
            cluster.shutdown()
            if not left:
                raise
    raise AssertionError


@pytest.fixture
def pictures(tmp_path: Path, plate_scene: Callable[..., NDArray[np.uint8]]) -> Path:
    """A folder of six pictures with plates, and two that are damaged, one in each block of four."""
    folder = tmp_path / "pictures"
    (folder / "2026-11-26").mkdir(parents=True)
    for number in range(8):
        text = f"皖A13H2{number}"
        data = bytes(cv2.imencode(".jpg", plate_scene(text))[1])
        name = folder / ("2026-11-26" if number < 4 else ".") / f"{number}.jpg"
        name.write_bytes(data[: len(data) // 2] if number in (2, 5) else data)
    return folder
