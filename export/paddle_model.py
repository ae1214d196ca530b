"""Paddle models to ONNX: finding the files, checking them, and calling the worker that holds Paddle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_lpr.architectures.checkpoint_files import checkpoint_file
from edge_lpr.architectures.pdparams import load_checkpoint, select_branch
from edge_lpr.architectures.registry import Architecture, identify
from edge_lpr.environment import cores
from edge_lpr.errors import BackendError, MissingExtraError, ModelError
from edge_lpr.export.inference_yml import InferenceConfig, read_inference_yml
from edge_lpr.export.paddle_program import check_program, check_weights
from edge_lpr.export.paddle_worker import STARTED
from edge_lpr.installing import install_command
from edge_lpr.onnx_graph.graph import load_onnx
from edge_lpr.types import Part

__all__ = ["PaddleModel", "open_model"]

_TIME_LIMIT = 900.0  # seconds; a model converts in under ten
_PROGRAMS = (".json", ".pdmodel")
_WORKER = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from edge_lpr.export.paddle_worker import main; sys.exit(main(sys.argv[1]))"
)


@dataclass
class PaddleModel:
    """A Paddle model that was found and checked, ready to be converted and run.

    Attributes:
        part: "det" or "rec".
        source: What the user gave.
        architecture: The network that a checkpoint is of; None for an inference model, which brings its own.
        branch: Which network of a distillation checkpoint.
        config: What `inference.yml` beside an inference model says.
        ignored: Parameters of a checkpoint that only training uses.
        classes: Classes of a recognition checkpoint's head; None where only conversion tells.
    """

    part: Part
    source: Path
    architecture: Architecture | None = None
    branch: str = "Student"
    config: InferenceConfig = field(default_factory=InferenceConfig)
    ignored: list[str] = field(default_factory=list)
    classes: int | None = None
    _folder: tempfile.TemporaryDirectory[str] | None = None
    _files: tuple[Path, Path] | None = None

    @property
    def title(self) -> str:
        """What the bundle calls its network."""
        if self.config.name:
            return self.config.name
        if self.architecture:
            return self.architecture.title
        return "PaddleOCR det (DB)" if self.part == "det" else "PaddleOCR rec (CTC)"

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return "training checkpoint" if self.architecture else "inference model"

    def files(self) -> list[Path]:
        """Returns the files that the user gave."""
        if self.architecture or self._files is None:
            return [self.source]
        return list(self._files)

    def convert(self) -> onnx.ModelProto:
        """Converts it to ONNX by paddle2onnx, as it is: float32 N×3×H×W in, nothing folded.

        Raises:
            ModelError: Paddle cannot read it, or paddle2onnx cannot convert it.
        """
        folder = self._work_folder()
        out = folder / "raw.onnx"
        if self.architecture and self._files is None:
            task = {"network": self.part, "checkpoint": str(self.source.resolve()), "branch": self.branch}
            self._files = (folder / "inference.json", folder / "inference.pdiparams")
        else:
            model, params = self._require_files()
            task = {"model": str(model), "params": str(params)}
        self._work({**task, "convert": str(out)})
        return load_onnx(out, f"{self.source} (converted)")

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Runs it in Paddle, on the CPU and without Paddle's own graph changes; `convert` comes first.

        Args:
            inputs: float32 N×3×H×W, normalised, by any names.

        Returns:
            What the model returns, by the same names.

        Raises:
            ModelError: Paddle cannot run it.
        """
        folder = self._work_folder()
        model, params = self._require_files()
        given, taken = folder / "inputs.npz", folder / "outputs.npz"
        np.savez(given, **dict(inputs))  # type: ignore[arg-type]
        paths = {"model": model, "params": params, "inputs": given, "outputs": taken}
        self._work({**{k: str(v) for k, v in paths.items()}, "threads": cores()})
        with np.load(taken, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def close(self) -> None:
        """Removes what it wrote for Paddle; may be called twice."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _require_files(self) -> tuple[Path, Path]:
        assert self._files is not None, "convert() comes first"
        return self._files

    def _work_folder(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="edge-lpr-export-")
        return Path(self._folder.name)

    def _work(self, task: Mapping[str, object]) -> None:
        for package in ("paddle", "paddle2onnx"):
            if find_spec(package) is None:
                raise MissingExtraError(package, "export", "`edge-lpr export`")
        folder = self._work_folder()
        reply = folder / "reply.json"
        for left in (reply, folder / STARTED):
            left.unlink(missing_ok=True)
        (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
        # The worker takes its modules from where this process does, whatever lies in the working folder.
        command = [sys.executable, "-c", _WORKER, str(folder), *sys.path]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_TIME_LIMIT, check=False)
        except subprocess.TimeoutExpired as e:
            raise ModelError(f"{self.source}: Paddle was not done with it after {_TIME_LIMIT:.0f} s") from e
        if not (folder / STARTED).is_file():
            why = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise BackendError(
                f"Paddle's process could not start ({_ending(done.returncode)}; {' '.join(why)[:200]}): "
                f"{install_command('export')}"
            )
        if not reply.is_file():
            raise ModelError(
                f"{self.source}: Paddle ended with {_ending(done.returncode)} over the model: the file is "
                "damaged or truncated, or was saved by a newer Paddle than the one installed here"
            )
        told: dict[str, str] = json.loads(reply.read_text(encoding="utf-8"))
        if "broken" in told:
            raise BackendError(
                f"Paddle cannot be imported here ({told['broken']}): {install_command('export')}"
            )
        if "error" in told:
            raise ModelError(told["error"])
        if "failure" in told:
            raise ModelError(f"{self.source}: Paddle cannot use the model: {told['failure']}")


def _ending(code: int) -> str:
    try:
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"
    except ValueError:
        return f"exit code {code}"


def open_model(path: str | Path, part: Part, branch: str = "Student") -> PaddleModel:
    """Finds and checks a Paddle model without starting Paddle.

    Args:
        path: A checkpoint, by any of the names that `checkpoint_file` knows; or an inference model: its
            folder, one of its two files, or their common name without ending.
        part: What it must be.
        branch: Which network of a distillation checkpoint to take.

    Returns:
        The model; the caller closes it.

    Raises:
        ModelError: Missing, too large, damaged, quantized, or not a model of that part.
    """
    source = Path(path)
    program = _program(source)
    if program is None:
        checkpoint = checkpoint_file(source)
        if checkpoint is not None:
            return _open_checkpoint(checkpoint, part, branch)
        raise _nothing_there(source)
    weights = program.with_suffix(".pdiparams")
    if not weights.is_file():
        raise ModelError(f"{program}: no {weights.name} beside it; an inference model has both")
    check_program(program)
    check_weights(weights)
    config = read_inference_yml(program.with_name("inference.yml"))
    return PaddleModel(part, source, config=config, _files=(program, weights))


def _open_checkpoint(source: Path, part: Part, branch: str) -> PaddleModel:
    arrays = select_branch(load_checkpoint(source), branch, str(source))
    found = identify(arrays, part, str(source))
    return PaddleModel(
        part, source, found.architecture, branch, ignored=found.ignored, classes=found.classes or None
    )


def _program(source: Path) -> Path | None:
    """Returns the program of the inference model that a path stands for; None where there is none."""
    if source.is_dir():
        programs = [source / f"inference{ending}" for ending in _PROGRAMS]
    elif source.suffix in (*_PROGRAMS, ".pdiparams"):
        given = [source] if source.suffix in _PROGRAMS else []
        programs = [*given, *(source.with_suffix(ending) for ending in _PROGRAMS)]
    elif source.suffix in (".pdparams", ".pdopt"):
        programs = []
    else:
        programs = [source.with_name(source.name + ending) for ending in _PROGRAMS]
    return next((p for p in programs if p.is_file()), None)


def _nothing_there(source: Path) -> ModelError:
    inside = sorted({p.parent.name for p in source.glob("*/inference.pdiparams")}) if source.is_dir() else []
    if inside:
        return ModelError(f"{source}: a folder of models; name one of them: {', '.join(inside[:4])}")
    what = "no inference model in it" if source.is_dir() else "no such model"
    return ModelError(
        f"{source}: {what}; expected a .pdparams checkpoint, or inference.json or inference.pdmodel with "
        "inference.pdiparams beside it"
    )
