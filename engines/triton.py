"""A model repository for NVIDIA Triton: both networks of a bundle, as ONNX or engines, configured.

Triton serves the networks alone. What comes before and after them (the detector's boxes, crops, the decoder)
stays with the client. `config.pbtxt` is protobuf's text format of Triton's `ModelConfig`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_lpr.backends.tensorrt.engine_folder import read_manifests
from edge_lpr.backends.tensorrt.engine_manifest import EngineManifest
from edge_lpr.bundle.manifest import Bundle, DetSpec, RecSpec
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.bundle.onnx_reader import read_onnx
from edge_lpr.engines.profiles import MAX_PROFILE_BATCH
from edge_lpr.errors import BackendError, ModelError, SettingError
from edge_lpr.io.atomic_io import create_folder, write_bytes
from edge_lpr.types import PARTS, Part

__all__ = ["TritonModel", "engines_for", "models_of", "write_repository"]

_DELAY = 2000  # microseconds for which a request may wait for others of its shape


@dataclass(frozen=True)
class TritonModel:
    """One model of a repository.

    Attributes:
        bundle: The bundle's name.
        part: "det" or "rec".
        model: Its ONNX file.
        input: The input's name, of uint8 N×H×W×3.
        input_sides: H, W and 3; -1 where a side is free.
        output: The output's name, of float32.
        output_sides: Its sides without the batch, likewise.
        batch: Most images that Triton joins.
        engine: The engine that takes the place of the ONNX file; None for that.
    """

    bundle: str
    part: Part
    model: ModelFile
    input: str
    input_sides: tuple[int, ...]
    output: str
    output_sides: tuple[int, ...]
    batch: int
    engine: EngineManifest | None = None

    @property
    def name(self) -> str:
        """What Triton calls it: the name of its folder."""
        return f"edge_lpr_{self.part}"

    @property
    def file(self) -> str:
        """What its file is called, as Triton has it by default."""
        return "model.onnx" if self.engine is None else "model.plan"

    def paths(self, folder: Path) -> tuple[Path, Path]:
        """Returns where its configuration and its file lie in a repository."""
        return folder / self.name / "config.pbtxt", folder / self.name / "1" / self.file

    def config(self) -> str:
        """Returns its configuration, as the text of Triton's `ModelConfig`."""
        engine = self.engine
        numbers = [] if engine is None else [str(number) for number in range(len(engine.profiles))]
        profiles = f" profile: {json.dumps(numbers)}" if numbers else ""
        kind = "KIND_AUTO" if engine is None else "KIND_GPU"
        parameters = {"bundle": self.bundle, "precision": self.model.precision, "sha256": self.model.sha256}
        lines = [
            f"name: {json.dumps(self.name)}",
            f'backend: "{"onnxruntime" if engine is None else "tensorrt"}"',
            f"max_batch_size: {self.batch}",
            f"input {{ name: {json.dumps(self.input)} data_type: TYPE_UINT8 dims: {[*self.input_sides]} }}",
            f"output {{ name: {json.dumps(self.output)} data_type: TYPE_FP32 dims: {[*self.output_sides]} }}",
            f"dynamic_batching {{ max_queue_delay_microseconds: {_DELAY} }}",
            f"instance_group {{ count: 1 kind: {kind}{profiles} }}",
            *(
                f'parameters {{ key: "edge_lpr.{key}" value {{ string_value: {json.dumps(value)} }} }}'
                for key, value in parameters.items()
            ),
        ]
        return "\n".join(lines) + "\n"


def models_of(bundle: Bundle, precision: str, batch: int) -> list[TritonModel]:
    """Returns what a repository has of a bundle.

    Args:
        bundle: The bundle.
        precision: Which of its models.
        batch: Most images that Triton joins.

    Raises:
        BundleError: The bundle lacks the precision, or a file of it is damaged.
        SettingError: The batch is out of its range.
        ModelError: A model takes no batch of any size.
    """
    if not 1 <= batch <= MAX_PROFILE_BATCH:
        raise SettingError(f"--batch {batch}: expected sizes from 1 to {MAX_PROFILE_BATCH}")
    return [_model(bundle, part, precision, batch) for part in PARTS]


def engines_for(models: Sequence[TritonModel], folder: Path) -> list[TritonModel]:
    """Returns models whose engines take the place of their ONNX files.

    Args:
        models: The models.
        folder: Where engines lie.

    Raises:
        BackendError: One has no engine there, or only such that Triton's clients cannot use.
    """
    manifests, _ = read_manifests(folder)
    found = []
    for model in models:
        fitting = [
            one
            for one in manifests
            if one.model_sha256 == model.model.sha256 and one.frame is None and not one.damage()
        ]
        usable = next((one for one in fitting if model.part == "rec" or one.flags.get("float_map")), None)
        if usable is None:
            why = "only one that returns its map packed" if fitting else "none"
            raise BackendError(
                f"{model.part} {model.model.precision}: an engine for Triton is needed in {folder}, there is "
                f"{why}; build it: edge-lpr build {model.model.path.parent} --precision "
                f"{model.model.precision} --float-map"
            )
        batch = min(model.batch, max(profile.max[0] for profile in usable.profiles))
        found.append(replace(model, engine=usable, batch=batch))
    return found


def write_repository(folder: Path, models: Sequence[TritonModel]) -> Iterator[Path]:
    """Writes a repository; a model's configuration last, without which Triton takes none.

    Args:
        folder: The repository; other models in it stay.
        models: What is written.

    Yields:
        Each file that was written.

    Raises:
        BundleError: A model's file is damaged.
        OutputError: One cannot be written.
    """
    for model in models:
        config, file = model.paths(folder)
        create_folder(file.parent)
        data = model.model.read() if model.engine is None else model.engine.engine_path.read_bytes()
        for other in ("model.onnx", "model.plan"):  # of an earlier repository: Triton would find two
            if other != model.file:
                file.with_name(other).unlink(missing_ok=True)
        write_bytes(file, data)
        yield file
        write_bytes(config, model.config().encode())
        yield config


def _model(bundle: Bundle, part: Part, precision: str, batch: int) -> TritonModel:
    spec: DetSpec | RecSpec = bundle.det if part == "det" else bundle.rec
    model = bundle.model(part, precision)
    graph = read_onnx(model.read())
    taken, given = graph.inputs[spec.input_name], graph.output_shapes[spec.output_name]
    if len(taken) != 4 or len(given) != 3 or taken[0] > 0:
        raise ModelError(f"{model.path}: takes {taken}, expected N×H×W×3 with any N")
    # The sides of the output follow from those of the input where the file does not say them.
    return TritonModel(
        bundle.name, part, model, spec.input_name, taken[1:], spec.output_name, given[1:], batch
    )
