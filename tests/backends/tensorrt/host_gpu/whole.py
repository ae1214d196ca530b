"""The commands and the benchmark on the stand-ins: python whole.py NAME VERSION FOLDER, as scenarios.py."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import io
import itertools
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trt_double
from scenarios import DRIVER, MIB, execute, held

from edge_lpr.benchmarks import gpu
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.cli import main
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.image_io import read_image
from edge_lpr.io.sources import open_source
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.stream import Stream

SAMPLES = Path(__file__).resolve().parents[4] / "samples"
IMAGE = SAMPLES / "street.jpg"
PROTOCOL = Path(__file__).resolve().parents[2] / "test_protocol.py"
VIDEO = SAMPLES / "street.mp4"


def typed(out: io.StringIO, *arguments: str) -> tuple[int, str]:
    """Runs the command and returns its exit code and what it printed."""
    out.seek(0)
    out.truncate()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main([*arguments])
    return code, out.getvalue()


def commands(folder: Path, model: ModelFile) -> None:
    """build, engines and the reader on the package's bundle, one after the other, as a user types them."""
    os.environ["EDGE_LPR_ENGINES"] = str(folder / "engines")
    DRIVER.host_gpu_set(ctypes.c_longlong(4096 * MIB), 0, 0)
    out = io.StringIO()
    build = ("build", "--precision", "fp32", "--det-size", "640x384", "--batch", "1", "2")
    old = trt_double.Builder.old
    os.environ["HOST_GPU_NOTES"] = str(folder / "notes")

    os.environ["HOST_GPU_FAILING"] = "parse"
    code, said = typed(out, *build)
    node = '(in node 17 [Fancy -> "fancy_17"])' if old else "(in Fancy node 'Fancy_17')"
    assert code == 2 and f"cannot read it: No importer registered for op: Fancy {node}" in said, said
    os.environ["HOST_GPU_FAILING"] = "build"
    code, said = typed(out, *build)
    assert code == 1 and "no implementation for node Conv_3" in said, said
    os.environ["HOST_GPU_FAILING"] = "crash"
    code, said = typed(out, *build)
    assert code == 1 and "the process that builds it ended at profile 1 of 2 (SIGSEGV)" in said, said
    assert not list((folder / "engines").glob("*.engine"))
    os.environ["HOST_GPU_FAILING"] = ""

    assert typed(out, *build, "--rebuild", "never")[0] == 1
    options = ("--workspace", "512", "--tactic-sources", "jit_convolutions")
    code, said = typed(out, *build, *options)
    assert (
        code == 0 and said.count("built") == 2 and said.count("\nquick ") + said.startswith("quick ") == 2
    ), said
    noted = notes(folder)[-1]
    assert noted["workspace"] == 512 * MIB and noted["tactics"] == 1 << 4
    assert noted["previews"] == (["PROFILE_SHARING_0806"] if old else [])
    code, said = typed(out, *build)
    assert code == 0 and said.count("built") == 2 and "quick" not in said, (
        said
    )  # other settings are another engine
    code, said = typed(out, *build)
    assert code == 0 and said.count("there") == 2 and "built" not in said, said
    code, said = typed(out, "engines", "list")
    assert code == 0 and said.count("valid") == 2 and said.count("superseded") == 2, said
    code, said = typed(out, "engines", "prune")
    assert code == 0 and "2 of 4 removed" in said, said
    code, said = typed(out, "engines", "inspect", "det.fp32", "--profile", "1")
    assert code == 0 and "1 in FP32" in said, said

    with PlateReader(precision="fp32") as reader, PlateReader(backend="onnxruntime", threads=1) as other:
        assert reader.description.endswith("on Host memory, no GPU, fp32"), reader.description
        other.detector.backend.sizes = reader.detector.backend.sizes
        image = cv2.resize(read_image(IMAGE), (640, 360))
        both = [r.detector.detect_batch([image, image, image]) for r in (reader, other)]
        assert [len(b) for b in both[0]] == [len(b) for b in both[1]] and both[0][0]
        for one, two in zip(itertools.chain(*both[0]), itertools.chain(*both[1]), strict=True):
            np.testing.assert_array_equal(one.corners, two.corners)


def engines_elsewhere(folder: Path, model: ModelFile) -> None:
    """Engines in a folder of one's own: built with --out, read with --engines, several batches in flight."""
    DRIVER.host_gpu_set(ctypes.c_longlong(4096 * MIB), 0, 0)
    os.environ["EDGE_LPR_ENGINES"] = str(folder / "none")
    out, mine = io.StringIO(), str(folder / "mine")
    build = ("build", "--precision", "fp32", "--det-size", "640x384", "--batch", "8", "--out", mine)
    code, said = typed(out, *build, "--rebuild", "never")
    assert code == 1 and said.endswith(f"build them: edge-lpr build --out {mine}\n"), said
    code, said = typed(out, *build)
    assert code == 0 and f"edge-lpr --engines {mine} SOURCE" in said, said
    code, said = typed(out, "--backend", "tensorrt", "--precision", "fp32", str(IMAGE))
    assert code == 1 and said.count("\n") == 1 and "no engine of det.fp32.onnx" in said, said
    assert said.endswith("--precision fp32\n"), said
    with PlateReader(backend="onnxruntime") as other:
        other.detector.backend.sizes = ((384, 640),)
        texts = [read.text for read in other.read(read_image(IMAGE))]
    assert texts
    code, said = typed(out, "--backend", "tensorrt", "--precision", "fp32", "--engines", mine, str(IMAGE))
    assert code == 0 and all(text in said for text in texts), said

    for graphs, options in ((2, ()), (0, ("--no-cuda-graphs", "--gpu-memory", "mapped"))):
        settings = {"graphs": False, "mapped": True} if options else {}
        with PlateReader(precision="fp32", options={"engines": mine, **settings}) as reader:
            image = read_image(IMAGE)
            for _ in range(3):
                reader.read(image)
            assert held()["graphs"] == graphs, held()
        code, said = typed(out, "--precision", "fp32", "--engines", mine, *options, str(IMAGE))
        assert code == 0 and all(text in said for text in texts), said

    (engine,) = Path(mine).glob("*.det.fp32.*.engine")
    data = engine.read_bytes()
    read = ("--backend", "tensorrt", "--precision", "fp32", "--engines", mine, str(IMAGE))
    for harmed, reason in ((data[:-9], "its manifest says"), (data[::-1], "sha256 differs")):
        engine.write_bytes(harmed)
        code, said = typed(out, *read)
        assert code == 1 and said.count("\n") == 1 and reason in said and "build it" in said, said
    engine.write_bytes(data)
    DRIVER.host_gpu_set(ctypes.c_longlong(5000), 0, 0)
    code, said = typed(out, *read)
    assert code == 1 and said.count("\n") == 1 and "out of memory; a run needs" in said, said
    with PlateReader(precision="fp32", options={"engines": mine}) as reader:  # "auto" goes on with another
        assert reader.detector.backend.name == "onnxruntime"
        assert "out of memory; a run needs" in reader.description, reader.description
    DRIVER.host_gpu_set(ctypes.c_longlong(4096 * MIB), 0, 0)

    found = []
    with (
        PlateReader(precision="fp32", options={"engines": mine}) as reader,
        PlateReader(backend="onnxruntime") as other,
    ):
        assert other.workers == 1
        reader.workers = 3
        other.detector.backend.sizes = reader.detector.backend.sizes
        for one in (reader, other):
            with open_source(VIDEO, CaptureOptions(stride=3)) as source:
                steps = list(Stream(one, source))
            found.append([(s.frame.index, [r.text for r in s.reads]) for s in steps if s.frame])
    assert found[0] == found[1] and any(texts for _, texts in found[0]), found


def frames(folder: Path, model: ModelFile) -> None:
    """Whole frames go in where an engine takes them, packed maps come out, and the same is read."""
    DRIVER.host_gpu_set(ctypes.c_longlong(4096 * MIB), 0, 0)
    out, mine = io.StringIO(), str(folder / "mine")
    build = ("build", "--precision", "fp32", "--det-size", "640x384", "--batch", "1", "--out", mine)
    code, said = typed(out, *build, "--frame-size", "960x540")
    assert code == 0 and said.count("built") == 3 and "det fp32 960x540" in said, said
    code, said = typed(out, *build)
    assert code == 0 and said.count("there") == 2, said  # the frames' engine is one more
    os.environ["EDGE_LPR_ENGINES"] = mine
    code, said = typed(out, "engines", "list")
    assert code == 0 and said.count("valid") == 3, said
    image = read_image(IMAGE)
    with (
        PlateReader(precision="fp32", options={"engines": mine}) as reader,
        PlateReader(backend="onnxruntime", threads=1) as other,
    ):
        assert reader.description.endswith("fp32, frames of 960x540 resized there"), reader.description
        ((sizes, whole),) = reader.detector.frames.items()
        assert sizes == ((540, 960), (544, 960))
        outputs = whole.run({"image": image[None]})
        assert sum(o.nbytes for o in outputs.values()) == 544 * 960 * 9 // 8 + 4, outputs.keys()
        both = [one.read(image) for one in (reader, other)]
        texts = [[read.text for read in reads] for reads in both]
        assert texts[0] == texts[1] and texts[0], texts
        small = cv2.resize(image, (640, 360))
        assert reader.detector.detect(small), "a picture of another size is resized on the host"


def int8(folder: Path, model: ModelFile) -> None:
    """INT8 engines are made of weights in INT8, and before TensorRT 10 of weights in float."""
    import onnx

    DRIVER.host_gpu_set(ctypes.c_longlong(4096 * MIB), 0, 0)
    build = ("build", "--precision", "int8", "--det-size", "320x192", "--batch", "1", "--out", str(folder))
    code, said = typed(io.StringIO(), *build)
    assert code == 0 and said.count("built") == 2, said
    old = trt_double.Builder.old
    for path in folder.glob("*.int8.*.engine"):
        plan = json.loads(path.read_text(encoding="utf-8"))
        graph = onnx.load_from_string(base64.b64decode(plan["model"])).graph
        kinds = {item.name: item.data_type for item in graph.initializer}
        weights = {kinds[n.input[0]] for n in graph.node if "Linear" in n.op_type and n.input[0] in kinds}
        scales = {kinds[n.input[1]] for n in graph.node if "Linear" in n.op_type}
        assert not old or scales == {onnx.TensorProto.FLOAT}, scales
        assert weights == {onnx.TensorProto.FLOAT if old else onnx.TensorProto.INT8}, weights
    assert len(list(folder.glob("*.int8.*.engine"))) == 2


def notes(folder: Path) -> list[dict[str, Any]]:
    """What the processes built, or began to."""
    path = folder / "notes"
    return (
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    )


def interrupted(folder: Path, model: ModelFile) -> None:
    """Ctrl-C ends a build whatever TensorRT is at and leaves nothing half-written; the next goes on there."""
    os.environ.update(EDGE_LPR_ENGINES=str(folder / "engines"), HOST_GPU_NOTES=str(folder / "notes"))
    build = ("build", "--precision", "fp32", "--det-size", "256x192", "--batch", "1", "2", "--no-quick-first")
    os.environ["HOST_GPU_ENDLESS_FROM"] = "1"  # the second profile is never done

    def wait_and_cut() -> None:
        while len(notes(folder)) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait_and_cut, daemon=True).start()
    code, said = typed(io.StringIO(), *build)
    assert code == 130 and len(notes(folder)) == 2, (code, said)
    left = [path.name for path in (folder / "engines").glob("*")]
    assert not [name for name in left if "engine" in name or "json" in name or "part" in name], left
    del os.environ["HOST_GPU_ENDLESS_FROM"]
    code, said = typed(io.StringIO(), *build)
    assert code == 0 and said.count("built") == 2, (code, said)
    det = notes(folder)[2:5]
    assert [one["profiles"] for one in det] == [1, 1, 2]
    # The profile before the one that was lost was in the cache, and all of it for the whole.
    assert [len(one["new"]) for one in det] == [0, 1, 0], det


def quick_first(folder: Path, model: ModelFile) -> None:
    """Quick engines of all models are there before the first real one, and gone once that is."""
    os.environ.update(EDGE_LPR_ENGINES=str(folder / "engines"), HOST_GPU_NOTES=str(folder / "notes"))
    build = ("build", "--precision", "fp32", "--det-size", "256x192", "--batch", "1")
    out = io.StringIO()
    code, said = typed(out, *build)
    assert code == 0 and said.count("quick   ") == 2, said
    assert [one["level"] for one in notes(folder)] == [0, 0, 3, 3], notes(folder)
    code, said = typed(out, "engines", "list")
    assert code == 0 and said.count("valid") == 2 and "superseded" not in said, said
    (folder / "notes").unlink()
    code, said = typed(out, *build, "--optimization-level", "0")  # one that is quick needs none before it
    assert code == 0 and [one["level"] for one in notes(folder)] == [0, 0], said
    # What a build that was killed left serves until the next one is through.
    typed(out, "engines", "prune", "--all")
    os.environ["HOST_GPU_FAILING"] = "slow"
    code, said = typed(out, *build)
    assert code == 1 and said.count("quick   ") == 2, said
    code, said = typed(out, "engines", "list")
    assert said.count("valid") == 2, said


def archive(folder: Path, model: ModelFile) -> None:
    """A reader whose machine has no bundle and no engines fetches and builds them; the next does not."""
    sys.path.append(str(Path(__file__).resolve().parents[3]))
    from helpers.tiny_bundle import write_bundle

    from edge_lpr.archive.job import Job
    from edge_lpr.archive.models import offer
    from edge_lpr.archive.run import ArchiveRun
    from edge_lpr.archive.settings import ReaderSettings
    from edge_lpr.archive.store import Store
    from edge_lpr.archive.worker import Orders, Worker

    DRIVER.host_gpu_set(ctypes.c_longlong(4096 * MIB), 0, 0)
    os.environ.update(XDG_CACHE_HOME=str(folder / "cache"), HOST_GPU_NOTES=str(folder / "notes"))
    bundle = write_bundle(folder / "bundle")
    job = Job(sources=(str(IMAGE),), models={"bundle": str(bundle), "backend": "tensorrt"}).with_bundle()
    run = ArchiveRun(Store(folder / "plates"), job, ReaderSettings())
    (unit,), _ = run.prepare(resume=False)
    offer(job, run.store.models)
    bundle.rename(folder / "away")
    orders = Orders(str(folder / "plates"), job.to_dict(), fetch=True)
    for _ in range(2):  # the second reader of the machine finds what the first one made
        worker = Worker(orders)
        assert worker.do(unit).failures == 0
        assert "on Host memory, no GPU, fp32" in worker._reader.description
        built = len(notes(folder))
        worker.close()
    assert built == len(notes(folder)) > 1
    assert len(list((folder / "cache" / "edge-lpr" / "engines").glob("*.engine"))) == 2


def protocol(folder: Path, model: ModelFile) -> None:
    """The protocol tests that a GPU is to pass, so that they fail there for no fault of their own."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = pytest.main([str(PROTOCOL), "-m", "gpu", "-q", "-p", "no:cacheprovider"])
    assert code == 0 and "passed" in out.getvalue() and "skipped" not in out.getvalue(), out.getvalue()


def benchmark(folder: Path, model: ModelFile) -> None:
    """`benchmarks/gpu.py` from end to end: every part runs, agrees, refuses and writes. No number is one."""
    DRIVER.host_gpu_set(ctypes.c_longlong(4096 * MIB), 0, 0)
    arguments = ["--precision", "fp32", "--det-size", "256x160", "--batch", "2", "--seconds", "0.05"]
    arguments += ["--frames", "16", "--workers", "2"]
    target = folder / "out" / "gpu.json"
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = gpu.main([*arguments, "--images", "3", "--video", str(VIDEO), "--json", str(target)])
    assert code == 0, out.getvalue()
    report = json.loads(target.read_text(encoding="utf-8"))
    parts = report["parts"]
    assert [part["state"] for part in parts.values()] == ["done"] * 10, parts
    agreed = parts["agreement fp32"]["result"]
    assert agreed["same_texts"] == agreed["images"] == 3 and agreed["reached"], agreed
    assert all(r["refused"] for r in parts["refusals"]["result"].values()), parts["refusals"]
    assert parts["memory"]["result"]["frames"] == 16
    assert parts["pipeline fp32"]["result"]["engines_alone"] > 0
    assert parts["build det fp32"]["result"]["state"] == "built"
    assert report["machine"]["gpu"] == "Host memory, no GPU"
    speeds = parts["throughput fp32"]["result"]
    assert all(one["engine_images_per_second"] > 0 for name, one in speeds.items() if "batch" in name)
    layers = parts["layers fp32"]["result"]["det fp32 256x160 batch 2"]
    assert [one["layer"] for one in layers["slowest"]] == ["second", "first"] and layers["ms"] == 0.75
    raw = json.loads((target.parent / "gpu.inspector-det-fp32.json").read_text(encoding="utf-8"))
    assert raw["Layers"][0]["Name"] == "all"


if __name__ == "__main__":
    execute(
        (commands, engines_elsewhere, frames, int8, interrupted, quick_first, archive, protocol, benchmark)
    )
