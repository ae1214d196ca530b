"""Tries a model repository in a real Triton, on a machine without a GPU, and without NVIDIA's container.

    edge-lpr build --triton repository/
    pip download --no-deps nvidia-pytriton==0.7.0 && unzip -q nvidia_pytriton-*.whl -d triton
    python3.11 -m venv asks && asks/bin/pip install "numpy<2" onnxruntime tritonclient grpcio
    asks/bin/python packaging/try_triton.py triton/pytriton/tritonserver repository/

The wheel has NVIDIA's server, but of its backends Python's alone, which hands on no arrays of NumPy 2: ONNX
models are run by that environment's ONNX Runtime, through a backend of some lines (`_BACKEND`). The server
reads the configuration, holds names, types and shapes of requests to it, and joins them to batches; all that
is the real one's. What it answers is compared with ONNX Runtime. Ends with exit code 1 at the first thing
that is wrong.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import tritonclient.grpc as triton
from numpy.typing import NDArray

_BACKEND = """
import json
import pathlib

import onnxruntime
import triton_python_backend_utils as backend


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        return config

    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.inputs = [one["name"] for one in config["input"]]
        self.outputs = [one["name"] for one in config["output"]]
        folder = pathlib.Path(args["model_repository"], args["model_version"])
        self.session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])

    def execute(self, requests):
        responses = []
        for request in requests:
            feed = {n: backend.get_input_tensor_by_name(request, n).as_numpy() for n in self.inputs}
            found = zip(self.outputs, self.session.run(self.outputs, feed))
            responses.append(backend.InferenceResponse([backend.Tensor(n, a) for n, a in found]))
        return responses
"""
_SHAPES = {"edge_lpr_det": ((320, 320), (320, 512)), "edge_lpr_rec": ((48, 160), (48, 224))}
"""Heights and widths of the pictures that each model is asked about."""
_REQUESTS = 32
_START = 120.0  # seconds
Array = NDArray[Any]


def backends(server: Path, folder: Path) -> None:
    """Makes a folder of backends: Python's with the stub for this Python, and ONNX Runtime's through it."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copytree(server / "backends" / "python", folder / "python")
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise SystemExit(f"{stub.parent}: no stub for Python {version}; take another Python or release")
    shutil.copy(stub, folder / "python")
    (folder / "python" / stub.name).chmod(0o755)
    (folder / "onnxruntime").mkdir()
    (folder / "onnxruntime" / "model.py").write_text(_BACKEND, encoding="utf-8")


def free_ports(count: int) -> list[int]:
    """Returns ports of loopback that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def ask(client: triton.InferenceServerClient, model: str, picture: Array) -> Array:
    """Asks a model about a batch, uint8 N×H×W×3 BGR; returns its output."""
    given = triton.InferInput("image", list(picture.shape), "UINT8")
    given.set_data_from_numpy(picture)
    (name,) = (output.name for output in client.get_model_metadata(model).outputs)
    answer: Array = client.infer(model, [given]).as_numpy(name)
    return answer


def check(client: triton.InferenceServerClient, repository: Path, model: str) -> None:
    """Compares what a model answers, in batches that Triton makes, with ONNX Runtime; a wrong shape, too.

    Args:
        client: Asks the server.
        repository: The model repository.
        model: The model's name in it.
    """
    session = onnxruntime.InferenceSession(
        repository / model / "1" / "model.onnx", providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(0)
    pictures = [
        rng.integers(0, 256, (1 + n % 2, *_SHAPES[model][n // 2 % 2], 3), np.uint8) for n in range(_REQUESTS)
    ]
    with ThreadPoolExecutor(_REQUESTS) as pool:
        answers = list(pool.map(lambda picture: ask(client, model, picture), pictures))
    worst = 0.0
    for picture, answer in zip(pictures, answers, strict=True):
        (expected,) = session.run(None, {"image": picture})
        if answer.shape != expected.shape:
            raise SystemExit(f"{model}: WRONG: shape {answer.shape}, expected {expected.shape}")
        worst = max(worst, float(np.abs(answer - expected).max()))
    statistics = client.get_inference_statistics(model).model_stats[0]
    print(
        f"{model}: {statistics.inference_count} pictures in {_REQUESTS} requests, "
        f"run {statistics.execution_count} times; differs from ONNX Runtime by {worst:.1e} at most"
    )
    if worst > 1e-4:
        raise SystemExit(f"{model}: WRONG: expected 1e-4 at most")
    try:
        ask(client, model, np.zeros((1, 32, 32, 4), np.uint8))
    except triton.InferenceServerException as e:
        print(f"{model}: a picture with four channels is refused: {e.message().split('. NOTE')[0]}")
    else:
        raise SystemExit(f"{model}: WRONG: a picture with four channels was taken")


def main() -> None:
    """Starts the server, asks, and stops it."""
    if int(np.__version__.split(".")[0]) > 1:
        raise SystemExit(
            f"NumPy {np.__version__}: the server's Python backend needs one before 2; see the head"
        )
    if len(sys.argv) != 3:
        raise SystemExit("usage: try_triton.py SERVER_FOLDER REPOSITORY")
    server, repository = (Path(argument).resolve() for argument in sys.argv[1:])
    binary = server / "bin" / "tritonserver"
    binary.chmod(0o755)
    grpc, http = free_ports(2)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        backends(server, Path(folder))
        options = {"model-repository": repository, "backend-directory": folder}
        options |= {"grpc-address": "127.0.0.1", "grpc-port": grpc}
        options |= {"http-address": "127.0.0.1", "http-port": http, "allow-metrics": "false"}
        # The configuration has to be whole as it is.
        arguments = ["--disable-auto-complete-config", *(f"--{n}={value}" for n, value in options.items())]
        env = os.environ | {
            # Its own libraries, which the copied stub would not find; and this Python with its packages.
            "LD_LIBRARY_PATH": str(server.parents[1] / "nvidia_pytriton.libs"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path[1:] if entry),
        }
        process = subprocess.Popen([binary, *arguments], stdout=log, stderr=log, env=env)
        try:
            client = triton.InferenceServerClient(f"127.0.0.1:{grpc}")
            wait(client, process)
            print(f"Triton {client.get_server_metadata().version}")
            for model in _SHAPES:
                check(client, repository, model)
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read())
            raise
        finally:
            process.terminate()
            process.wait()


def wait(client: triton.InferenceServerClient, process: subprocess.Popen[bytes]) -> None:
    """Waits until the server has loaded all models."""
    until = time.monotonic() + _START
    while True:
        try:
            if client.is_server_ready():
                return
        except triton.InferenceServerException:
            pass
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit("WRONG: the server has not loaded the repository")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
