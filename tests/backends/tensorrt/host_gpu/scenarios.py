"""What `test_on_host.py` runs, one scenario per process: python scenarios.py NAME VERSION FOLDER."""

from __future__ import annotations

import ctypes
import gc
import hashlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import trt_double

from edge_lpr.backends.lending import lend
from edge_lpr.backends.tensorrt.api import TensorRT
from edge_lpr.backends.tensorrt.backend import TensorRTBackend
from edge_lpr.backends.tensorrt.engine_manifest import EngineManifest
from edge_lpr.backends.tensorrt.profile import Profile
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.errors import BackendError
from edge_lpr.precisions import PRECISIONS, Precision

Scenario = Callable[[Path, ModelFile], None]

DRIVER = ctypes.CDLL("libcuda.so.1")
PLAN = trt_double.plan()
MIB = 1 << 20


def install(version: str, folder: Path) -> ModelFile:
    """Puts the double in TensorRT's place and one engine of it into a folder."""
    trt_double.driver = DRIVER
    sys.modules["tensorrt"] = trt_double.module(version)  # type: ignore[assignment]
    # Processes that are started get this path too.
    sys.path.append(str(Path(__file__).with_name("children")))
    os.environ["HOST_GPU_VERSION"] = version
    (folder / "m.onnx").write_bytes(b"model")
    model = ModelFile(folder / "m.onnx", hashlib.sha256(b"model").hexdigest(), 5, "fp16", {})
    machine = TensorRT.open().machine
    manifest = EngineManifest(
        path=folder / "m.json",
        key="0" * 64,
        bundle="test",
        part="det",
        model_file="m.onnx",
        model_sha256=model.sha256,
        precision="fp16",
        calibration="",
        machine=machine,
        profiles=tuple(Profile(low, high, high) for low, high in trt_double.PROFILES),
        flags={},
        engine_sha256=hashlib.sha256(PLAN).hexdigest(),
        engine_bytes=len(PLAN),
        created="2026-11-22T00:00:00+00:00",
        seconds=1.0,
        tool="test",
    )
    manifest.write(PLAN)
    return model


def held() -> dict[str, int]:
    """What the driver has not got back yet."""
    names = ("device", "host", "streams", "graphs", "contexts", "events")
    values = (ctypes.c_longlong * len(names))()
    DRIVER.host_gpu_held(values)
    return dict(zip(names, values, strict=True))


def make_image(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def check(backend: TensorRTBackend, image: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    got = backend.run({"image": image})["prob"]
    np.testing.assert_array_equal(got, 2.0 * image[..., 0])


def results(folder: Path, model: ModelFile) -> None:
    """Every shape, again and again: first run, capture, replay; results belong to the caller."""
    backend = TensorRTBackend(model, folder=folder)
    assert backend.max_batch == 4
    assert backend.sizes == ((8, 8), (16, 8))
    assert (backend.precision, backend.device) == ("fp16", "Host memory, no GPU")
    first = backend.run({"image": make_image(1, 8, 8)})["prob"]
    kept = first.copy()
    for seed in range(5):
        for shape in ((1, 8, 8), (2, 8, 8), (4, 8, 8), (2, 16, 8), (3, 8, 8)):
            check(backend, make_image(*shape, seed=seed))
    np.testing.assert_array_equal(first, kept)
    assert held()["graphs"] == 5, held()
    backend.close()


def without_graphs(folder: Path, model: ModelFile) -> None:
    backend = TensorRTBackend(model, folder=folder, graphs=False)
    for seed in range(4):
        check(backend, make_image(2, 8, 8, seed=seed))
    assert held()["graphs"] == 0
    backend.close()


def refused_graphs(folder: Path, model: ModelFile) -> None:
    """A network that cannot be captured runs without a graph, and says so."""
    DRIVER.host_gpu_set(ctypes.c_longlong(64 * MIB), 0, 1)
    backend = TensorRTBackend(model, folder=folder, slots=1)
    for seed in range(4):
        check(backend, make_image(2, 8, 8, seed=seed))
    assert "cannot be captured" in backend.graph_refusal, backend.graph_refusal
    assert held()["graphs"] == 0
    backend.close()


def mapped(folder: Path, model: ModelFile) -> None:
    """An integrated GPU works on the host's memory: on the device there is nothing but the activations."""
    backend = TensorRTBackend(model, folder=folder, slots=1)
    for seed in range(4):
        check(backend, make_image(2, 8, 8, seed=seed))
        check_lent(backend, make_image(2, 8, 8, seed=seed))
    assert (held()["device"], held()["host"]) == (1, 2), held()
    backend.close()


def threads(folder: Path, model: ModelFile) -> None:
    """Eight threads on two slots: every result is its own image's, and no thread keeps a context."""
    backend = TensorRTBackend(model, folder=folder, slots=2)
    problems: list[str] = []

    def work(number: int) -> None:
        try:
            for turn in range(25):
                shape = ((1, 8, 8), (2, 8, 8), (1, 16, 8))[(number + turn) % 3]
                check(backend, make_image(*shape, seed=100 * number + turn))
            if held()["contexts"]:
                problems.append("a context is left current")
        except BaseException as e:
            problems.append(repr(e))

    all_at_work(work, backend, problems)


def all_at_work(work: Callable[[int], None], backend: TensorRTBackend, problems: list[str]) -> None:
    """Has eight threads work with a backend of two slots, sees that none had a problem, and closes it."""
    workers = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not problems, problems[:3]
    assert held()["streams"] <= 2
    backend.close()


def in_flight(folder: Path, model: ModelFile) -> None:
    """Two runs started before either is waited for; one that nobody waits for spoils nothing."""
    backend = TensorRTBackend(model, folder=folder, slots=2)
    for seed in range(4):
        a, b = make_image(2, 8, 8, seed=seed), make_image(2, 8, 8, seed=seed + 50)
        first, second = backend.submit({"image": a}), backend.submit({"image": b})
        np.testing.assert_array_equal(second.result()["prob"], 2.0 * b[..., 0])
        np.testing.assert_array_equal(first.result()["prob"], 2.0 * a[..., 0])
        backend.submit({"image": make_image(1, 8, 8, seed=seed)})
        gc.collect()
        check(backend, make_image(1, 8, 8, seed=seed + 9))
    assert not backend.graph_refusal, backend.graph_refusal
    run = backend.submit({"image": make_image(1, 8, 8)})
    backend.close()
    run.result()  # a run that was started ends, and what it held goes then


def bad_shapes(folder: Path, model: ModelFile) -> None:
    backend = TensorRTBackend(model, folder=folder)
    for array, said in (
        (make_image(5, 8, 8), "5×8×8×3, but the engine takes 1×8×8×3, 2–4×8×8×3, 1–2×16×8×3: build"),
        (make_image(1, 9, 8), "1×9×8×3, but"),
        (make_image(1, 8, 8).astype(np.float32), "float32, but the engine takes uint8"),
    ):
        expect(said, lambda array=array: backend.run({"image": array}))
    expect("inputs x, but the engine has 'image'", lambda: backend.run({"x": make_image(1, 8, 8)}))
    check(backend, make_image(1, 8, 8))
    backend.close()
    expect("was closed", lambda: backend.run({"image": make_image(1, 8, 8)}))


def failures(folder: Path, model: ModelFile) -> None:
    """A refused enqueue and a failing device are errors with the reason; the next run works."""
    backend = TensorRTBackend(model, folder=folder, slots=1, graphs=False)
    check(backend, make_image(1, 8, 8))
    trt_double.failing["enqueue"] = True
    expect(
        "could not run on Host memory, no GPU: [executionContext.cpp] no kernel",
        lambda: check(backend, make_image(1, 8, 8)),
    )
    trt_double.failing["enqueue"] = False
    check(backend, make_image(1, 8, 8, seed=1))
    trt_double.failing["kernel"] = True
    expect("failed while running (cuStreamSynchronize failed", lambda: check(backend, make_image(1, 8, 8)))
    trt_double.failing["kernel"] = False
    check(backend, make_image(2, 8, 8, seed=2))
    backend.close()


def out_of_memory(folder: Path, model: ModelFile) -> None:
    """Not enough memory is one line with what there is as the engine is opened, and nothing stays taken."""
    DRIVER.host_gpu_set(ctypes.c_longlong(5000), 0, 0)
    expect("out of memory", lambda: TensorRTBackend(model, folder=folder))
    gc.collect()
    assert sum(held().values()) == 0, held()
    expect("0 of 0 MiB are free: end other programs", lambda: TensorRTBackend(model, folder=folder))
    DRIVER.host_gpu_set(ctypes.c_longlong(64 * MIB), 0, 0)
    backend = TensorRTBackend(model, folder=folder)
    check(backend, make_image(1, 8, 8))
    backend.close()


def fewer_slots(folder: Path, model: ModelFile) -> None:
    """Where two slots find room and not four, two are used, whoever asks for more; that is said once."""
    DRIVER.host_gpu_set(ctypes.c_longlong(13_000), 0, 0)
    told: list[str] = []
    logging.getLogger("edge_lpr").addHandler(handler := logging.Handler())
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    backend = TensorRTBackend(model, folder=folder, slots=4)
    assert held()["streams"] == 1
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(check, backend, make_image(2, 8, 8, seed=seed)) for seed in range(40)]:
            done.result()
    assert backend.reserve() == 2 and held()["streams"] == 2, held()
    (line,) = told
    assert "out of memory" in line and line.endswith("going on with fewer at once"), line
    backend.close()


def timed(folder: Path, model: ModelFile) -> None:
    """Times by the device's clock and by layer; what is run for that spoils no result, and is given back."""
    for graphs in (True, False):
        backend = TensorRTBackend(model, folder=folder, slots=1, graphs=graphs)
        check(backend, make_image(2, 8, 8))
        before = held()
        assert backend.time_resident((2, 8, 8, 3), 20) > 0
        gc.collect()
        assert held() == before, (before, held())
        for _ in range(3):
            check(backend, make_image(2, 8, 8, seed=3))
        layers = backend.time_layers((2, 8, 8, 3), 4)
        assert layers == {"first": 0.25, "second": 0.5}, layers
        for seed in range(3):
            check(backend, make_image(2, 8, 8, seed=seed))
        resident, by_layer = backend.time_resident, backend.time_layers
        expect("no profile holds", partial(resident, (9, 8, 8, 3), 1))
        trt_double.failing["enqueue"] = True
        expect("no kernel for this device", partial(resident, (2, 8, 8, 3), 1))
        expect("no kernel for this device", partial(by_layer, (2, 8, 8, 3), 1))
        trt_double.failing["enqueue"] = False
        backend.close()


def bad_plan(folder: Path, model: ModelFile) -> None:
    """A plan that TensorRT refuses, although its manifest is right."""
    path = folder / "m.engine"
    data = b"junk"
    path.write_bytes(data)
    text = (folder / "m.json").read_text(encoding="utf-8")
    text = text.replace(hashlib.sha256(PLAN).hexdigest(), hashlib.sha256(data).hexdigest())
    (folder / "m.json").write_text(text.replace(f'"bytes": {len(PLAN)}', '"bytes": 4'), encoding="utf-8")
    expect("cannot load it: magicTag mismatch", lambda: TensorRTBackend(model, folder=folder))


def old_driver(folder: Path, model: ModelFile) -> None:
    """TensorRT's number for a driver that is too old becomes a sentence."""
    trt_double.failing["start"] = True
    said = "the driver supports CUDA 12.6, less than this TensorRT needs: upgrade it"
    expect(said, lambda: TensorRTBackend(model, folder=folder))


def steady(folder: Path, model: ModelFile) -> None:
    """Nothing is taken per run once every shape was seen."""
    backend = TensorRTBackend(model, folder=folder, slots=1)
    shapes = ((1, 8, 8), (2, 8, 8), (2, 16, 8))
    for shape in shapes * 3:
        check(backend, make_image(*shape))
    before = held()
    for turn in range(300):
        check(backend, make_image(*shapes[turn % 3], seed=turn))
    assert held() == before, (before, held())
    backend.close()


def left_open(folder: Path, model: ModelFile) -> None:
    """A backend that nobody closed goes at the end of the process, without a word."""
    backend = TensorRTBackend(model, folder=folder)
    check(backend, make_image(1, 8, 8))
    globals()["forgotten"] = backend


def types(folder: Path, model: ModelFile) -> None:
    """The flags that an FP16 network needs: none where its types bind, else those that leave it as it is."""
    api = TensorRT.open()
    builder = trt_double.Builder(api.logger)
    network: Any = api.network(builder, typed=True)  # type: ignore[arg-type]
    config: Any = builder.create_builder_config()
    api.allow_types(config, network, "fp16", typed=True)
    kept = {one.type: one.precision for one in builder.networks[-1]}
    if trt_double.Builder.old:
        assert network.flags == 1 and config.flags == {"FP16", "PREFER_PRECISION_CONSTRAINTS"}
        float32 = trt_double.DataType["FLOAT"]
        assert kept == {"cast": None, "conv": None, "pool": float32, "constant": None}, kept
    else:
        assert network.flags == 2 and not config.flags and not any(kept.values()), (network.flags, kept)
    # A precision that is new to the kit: the flags that its entry names.
    PRECISIONS.register(Precision("mixed", 9, 9, "", 0.1, ("INT8",)))
    network, config = api.network(builder, typed=True), builder.create_builder_config()  # type: ignore[arg-type]
    api.allow_types(config, network, "mixed", typed=True)
    assert {"FP16", "INT8"} <= config.flags if trt_double.Builder.old else not config.flags
    network, config = api.network(builder, typed=False), builder.create_builder_config()  # type: ignore[arg-type]
    api.allow_types(config, network, "fp16", typed=False)  # for a DLA, which has no FP32
    assert network.flags == 1 and "FP16" in config.flags
    assert not any(one.precision for one in builder.networks[-1])


def check_lent(backend: TensorRTBackend, image: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    with lend(backend, "image", image.shape) as loan:
        loan.batch[:] = image
        np.testing.assert_array_equal(loan.run()["prob"], 2.0 * image[..., 0])


def lent(folder: Path, model: ModelFile) -> None:
    """Batches are written where the device reads and results stay where it wrote, untouched by other runs."""
    backend = TensorRTBackend(model, folder=folder, slots=1)
    for seed in range(4):
        for shape in ((1, 8, 8), (2, 8, 8), (2, 16, 8)):
            check_lent(backend, make_image(*shape, seed=seed))
    assert held()["graphs"] == 3, held()
    before = held()
    one, other = make_image(2, 8, 8, seed=7), make_image(2, 8, 8, seed=8)
    with lend(backend, "image", one.shape) as first, lend(backend, "image", other.shape) as second:
        assert not np.shares_memory(first.batch, second.batch)
        first.batch[:], second.batch[:] = one, other
        found = first.run()["prob"]
        np.testing.assert_array_equal(second.run()["prob"], 2.0 * other[..., 0])
        check(backend, make_image(2, 8, 8, seed=9))
        check_lent(backend, make_image(2, 8, 8, seed=10))
        np.testing.assert_array_equal(found, 2.0 * one[..., 0])
        np.testing.assert_array_equal(first.batch, one)
    # Three were lent at once, one of which was there before; a slot holds its own beside them.
    assert held()["host"] == before["host"] + 2 * 2, (before, held())
    with lend(backend, "image", one.shape) as again:
        assert np.shares_memory(again.batch, first.batch) or np.shares_memory(again.batch, second.batch)
    expect("1×9×8×3, but the engine takes", lambda: lend(backend, "image", (1, 9, 8, 3)).__enter__())
    expect("the engine has 'image'", lambda: lend(backend, "x", (1, 8, 8, 3)).__enter__())
    with lend(backend, "image", one.shape) as late:
        late.batch[:] = one
        kept = late.run()["prob"]
        backend.close()
        np.testing.assert_array_equal(kept, 2.0 * one[..., 0])  # what is lent goes when it comes back


def lent_to_threads(folder: Path, model: ModelFile) -> None:
    """Eight threads on two slots look at their results for longer than they have a slot."""
    backend = TensorRTBackend(model, folder=folder, slots=2)
    problems: list[str] = []
    everyone = threading.Barrier(8)

    def work(number: int) -> None:
        try:
            for turn in range(12):
                image = make_image(
                    *((1, 8, 8), (2, 8, 8), (1, 16, 8))[(number + turn) % 3], seed=turn + 100 * number
                )
                with lend(backend, "image", image.shape) as loan:
                    loan.batch[:] = image
                    found = loan.run()["prob"]
                    everyone.wait()  # all have run, and none has read
                    np.testing.assert_array_equal(found, 2.0 * image[..., 0])
        except BaseException as e:
            problems.append(repr(e))
            everyone.abort()

    all_at_work(work, backend, problems)


def lent_in_vain(folder: Path, model: ModelFile) -> None:
    """What a failed run may still write to is not lent again, and goes at the end."""
    backend = TensorRTBackend(model, folder=folder, slots=1, graphs=False)
    check_lent(backend, make_image(1, 8, 8))
    for reason in ("enqueue", "kernel"):
        with lend(backend, "image", (1, 8, 8, 3)) as spoilt:
            pass
        trt_double.failing[reason] = True
        expect(" ", lambda: check_lent(backend, make_image(1, 8, 8)))
        trt_double.failing[reason] = False
        with lend(backend, "image", (1, 8, 8, 3)) as loan:
            assert not np.shares_memory(loan.batch, spoilt.batch)
        check_lent(backend, make_image(1, 8, 8, seed=2))
    backend.close()


def expect(said: str, call: Callable[[], object]) -> None:
    try:
        call()
    except BackendError as e:
        assert said in str(e) and "\n" not in str(e), f"{e} does not say {said!r}"
    else:
        raise AssertionError(f"no error; expected {said!r}")


SCENARIOS = (
    results,
    without_graphs,
    refused_graphs,
    mapped,
    threads,
    in_flight,
    bad_shapes,
    failures,
    out_of_memory,
    fewer_slots,
    timed,
    bad_plan,
    old_driver,
    steady,
    left_open,
    types,
    lent,
    lent_to_threads,
    lent_in_vain,
)


def execute(scenarios: Iterable[Scenario]) -> None:
    """Runs the scenario that the command line names, and sees that everything is given back."""
    name, version, place = sys.argv[1:]
    if name == "mapped":
        DRIVER.host_gpu_set(ctypes.c_longlong(64 * MIB), 1, 0)
    scenario = next(s for s in scenarios if s.__name__ == name)
    scenario(Path(place), install(version, Path(place)))
    gc.collect()
    if scenario is not left_open:
        assert sum(held().values()) == 0, f"not given back: {held()}"
    print("done")


if __name__ == "__main__":
    execute(SCENARIOS)
