"""Whatever operation on the disk fails: each file that is written whole is the old one or the new one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.failing_disk import failing_disks, parts_in

from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.bundle.writer import BundleParts, NewModel, add_precisions, create_bundle
from edge_lpr.errors import OutputError
from edge_lpr.io.atomic_io import write_bytes, write_json


@pytest.fixture(params=[False, True], ids=["one operation fails", "all that follow fail"])
def lasting(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def contents(folder: Path) -> dict[str, bytes]:
    """The files that have their names; those beside them, which messages name, are left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part in (path, *path.parents) for part in parts_in(folder))
    }


def run_through(
    folder: Path,
    prepare: Callable[[], None],
    work: Callable[[], object],
    check: Callable[[Mapping[str, bytes], Mapping[str, bytes]], bool],
    lasting: bool,
) -> None:
    """Does a work on each failing disk, and checks what it leaves.

    Args:
        folder: Where it writes.
        prepare: Makes the older files.
        work: Writes the new ones.
        check: Tells from the older files and those found whether what is there is whole.
        lasting: See `failing_disks`.
    """
    for disk in failing_disks(lasting):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        prepare()
        before, said = contents(folder), ""
        with disk:
            try:
                work()
            except OutputError as e:
                said = str(e)
        found = contents(folder)
        assert "\n" not in said and all(str(part) in said for part in parts_in(folder)), said
        if said:
            assert disk.failed
        elif disk.failed:
            raise AssertionError(f"nobody is told of {disk.failed}")
        assert check(before, found), (said, sorted(found))
    assert found != before


def test_whole_files(lasting: bool, tmp_path: Path) -> None:
    path = tmp_path / "out" / "a.json"
    new = {"a": list(range(99))}
    for write in (lambda: write_json(path, new), lambda: write_bytes(path, json.dumps(new).encode())):
        run_through(
            path.parent,
            lambda: path.write_text("older"),  # type: ignore[arg-type,return-value]
            write,
            lambda before, found: found == before or json.loads(found["a.json"]) == new,
            lasting,
        )


def test_files_that_are_soon_made_again_leave_nothing(lasting: bool, tmp_path: Path) -> None:
    path = tmp_path / "out" / "a.png"
    run_through(
        path.parent,
        lambda: None,
        lambda: write_bytes(path, b"whole", durable=False),
        lambda before, found: found in ({}, {"a.png": b"whole"}) and not parts_in(path.parent),
        lasting,
    )


def test_checkpoints(lasting: bool, tmp_path: Path) -> None:
    path = tmp_path / "out" / "a.pdparams"
    old, new = ({"w": np.full((9, 9), value, np.float32)} for value in (1, 2))
    run_through(
        path.parent,
        lambda: save_checkpoint(path, old),
        lambda: save_checkpoint(path, new),
        lambda before, found: load_checkpoint(path)["w"].mean() in (1, 2),
        lasting,
    )


def model(name: str) -> bytes:
    tiny_bundle = pytest.importorskip("helpers.tiny_bundle", reason="needs onnx", exc_type=ImportError)
    proto = pytest.importorskip("onnx").load_from_string(tiny_bundle.rec_model())
    proto.producer_name = name
    return bytes(proto.SerializeToString())


def tiny_parts(name: str) -> BundleParts:
    return BundleParts(
        name=name, licence="MIT", origin={}, det=model(f"{name} det"), rec=model(f"{name} rec"),
        charset="京AB1", unknown_class=False, det_arch="d", rec_arch="r", rec_height=48,
    )  # fmt: skip


def bundle_is_whole(folder: Path) -> bool:
    bundle = load_bundle(folder)
    return all(m.read() for part in (bundle.det, bundle.rec) for m in part.precisions.values())


def test_bundles(lasting: bool, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "b"

    def whole(before: Mapping[str, bytes], found: Mapping[str, bytes]) -> bool:
        if lasting and not folder.exists():
            # Between two renamings that cannot be taken back: both lie beside, as the message says.
            assert len(parts_in(folder.parent)) == 2
            return all(bundle_is_whole(part) for part in parts_in(folder.parent))
        return bundle_is_whole(folder)

    run_through(
        folder.parent,
        lambda: create_bundle(tiny_parts("old"), folder),  # type: ignore[arg-type,return-value]
        lambda: create_bundle(tiny_parts("new"), folder, {"parity.json": b"{}"}),
        whole,
        lasting,
    )


def test_bundles_that_are_added_to(lasting: bool, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "b"

    def prepare() -> None:
        bundle = create_bundle(tiny_parts("old"), folder)
        add_precisions(bundle, {("det", "int8"): NewModel(model("old"), {})}, {})

    def work() -> None:
        models: dict[Any, NewModel] = {(part, "int8"): NewModel(model("new"), {}) for part in ("det", "rec")}
        add_precisions(load_bundle(folder), models, {"seed": 1})

    run_through(folder.parent, prepare, work, lambda before, found: bundle_is_whole(folder), lasting)
