"""What runs inside Paddle, in a process of its own.

Paddle's readers end the whole process on some damaged models, print as they please and keep their memory. So
the exporter calls `main` in another: the task is task.json in its folder, the answer reply.json. Where the
file `started` is missing, too, it was not Paddle that ended it. A task has these steps, each optional:

- `network`: build the "det" or "rec" network of a checkpoint, and save it as an inference model;
- `convert`: write the inference model as ONNX;
- `run`: give the arrays of an .npz to the inference model, and write what it returns as another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from edge_lpr.architectures.pdparams import load_checkpoint, select_branch
from edge_lpr.errors import EdgeLprError, ModelError, one_line
from edge_lpr.export.converted import unsqueeze_scalars
from edge_lpr.onnx_graph.graph import OPSET, load_onnx

__all__ = ["STARTED", "main"]

STARTED = "started"


def _save_network(task: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    import paddle

    from edge_lpr.architectures.paddle_builder import filled
    from edge_lpr.architectures.registry import identify

    arrays = select_branch(load_checkpoint(task["checkpoint"]), task["branch"], task["checkpoint"])
    checkpoint = identify(arrays, task["network"], task["checkpoint"])
    network = filled(checkpoint, arrays)
    spec = paddle.static.InputSpec([None, 3, checkpoint.architecture.height, None], "float32", "x")
    paddle.jit.save(network, str(folder / "inference"), input_spec=[spec])
    return folder / "inference.json", folder / "inference.pdiparams"


def _convert(model: Path, params: Path, out: Path) -> None:
    import paddle2onnx

    # Without a file name it hands the bytes back, and leaves Polygraphy alone, which would install packages.
    data = paddle2onnx.export(
        str(model), str(params), None, opset_version=OPSET, auto_upgrade_opset=False, enable_optimize=False
    )
    data = unsqueeze_scalars(data)
    # Looked at here because onnx's own checker, too, ends the process on some models.
    try:
        load_onnx(data, str(model))
    except ModelError as e:
        raise ModelError(f"{e}; does {params.name} belong to this program?") from e
    out.write_bytes(data)


def _predictor(model: Path, params: Path, threads: int, *, fast: bool) -> Any:  # noqa: ANN401
    from paddle import inference

    config = inference.Config(str(model), str(params))
    config.disable_gpu()
    if fast:
        # Paddle's own kernels unfold what a kernel of 9x9 sees: gigabytes and minutes for a server model.
        config.enable_mkldnn()
        config.set_mkldnn_cache_capacity(1)
    else:
        config.disable_mkldnn()
    config.disable_glog_info()
    config.switch_ir_optim(False)
    config.set_cpu_math_library_num_threads(threads)
    return inference.create_predictor(config)


def _run(model: Path, params: Path, inputs: Path, outputs: Path, threads: int) -> None:
    try:
        _run_with(_predictor(model, params, threads, fast=True), model, inputs, outputs)
    except ModelError:
        raise
    except Exception:  # oneDNN has no kernel for something, or none for this processor
        _run_with(_predictor(model, params, threads, fast=False), model, inputs, outputs)


def _run_with(predictor: Any, model: Path, inputs: Path, outputs: Path) -> None:  # noqa: ANN401
    names = predictor.get_input_names()
    found = predictor.get_output_names()
    if len(names) != 1 or len(found) != 1:
        raise ModelError(f"{model}: {len(names)} inputs and {len(found)} outputs, expected one of each")
    results: dict[str, Any] = {}
    with np.load(inputs, allow_pickle=False) as arrays:
        for key in arrays.files:
            handle = predictor.get_input_handle(names[0])
            handle.copy_from_cpu(arrays[key])
            predictor.run()
            results[key] = predictor.get_output_handle(found[0]).copy_to_cpu()
    np.savez(outputs, **results)


def main(work: str) -> int:
    """Does the task of a folder.

    Args:
        work: The folder where task.json lies; its values say where everything else lies.

    Returns:
        0; failures that are understood stand in reply.json.
    """
    folder = Path(work)
    (folder / STARTED).touch()
    task: dict[str, Any] = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    reply: dict[str, str] = {}
    try:
        if "network" in task:
            model, params = _save_network(task, folder)
        else:
            model, params = Path(task["model"]), Path(task["params"])
        if "convert" in task:
            _convert(model, params, Path(task["convert"]))
        if "inputs" in task:
            _run(model, params, Path(task["inputs"]), Path(task["outputs"]), task["threads"])
    except EdgeLprError as e:
        reply["error"] = str(e)
    except ImportError as e:
        reply["broken"] = one_line(e)
    except Exception as e:  # Paddle raises classes of its own, with pages of text
        reply["failure"] = _reason(str(e)) or type(e).__name__
    (folder / "reply.json").write_text(json.dumps(reply), encoding="utf-8")
    return 0


def _reason(text: str) -> str:
    # Paddle's messages end in the line that says what was wrong, after C++ call stacks and banners.
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("---", "[operator", "[Hint", "C++"))]
    told = [line for line in lines if "Error:" in line]
    return " ".join((told or lines or [""])[-1].split())[:200]
