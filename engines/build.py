"""Builds engines: one way for all TensorRT versions, with the precision in the ONNX file."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_lpr.backends.tensorrt.api import TensorRT
from edge_lpr.backends.tensorrt.engine_folder import read_manifests
from edge_lpr.backends.tensorrt.engine_manifest import (
    MANIFEST,
    EngineManifest,
    Machine,
    engine_key,
    frame_flag,
)
from edge_lpr.backends.tensorrt.profile import Profile
from edge_lpr.bundle.manifest import Bundle, DetSpec
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.engines.build_settings import BuildSettings, known_names
from edge_lpr.engines.profiles import det_sizes, frame_sizes, profiles
from edge_lpr.engines.qdq_trt8 import rewrite_for_trt8
from edge_lpr.engines.timing_cache import TimingCache, slug
from edge_lpr.environment import tool
from edge_lpr.errors import BackendError, MissingExtraError, ModelError, SettingError
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.precisions import PRECISIONS, engine_precisions
from edge_lpr.types import PARTS, Part, Size

if TYPE_CHECKING:
    import tensorrt as trt


@dataclass(frozen=True)
class Edges:
    """What an engine's graph has beside the model; see `edge_lpr.engines.engine_graph`.

    Attributes:
        output: Name of the detector's map; "" in a recognizer.
        threshold: DB's threshold, 0 to 1, that the map is compared with; None returns it in float.
        frame: Height and width, in pixels, of a camera's frames, and of the network's input; None takes
            images in the network's size.
    """

    output: str = ""
    threshold: float | None = None
    frame: tuple[Size, Size] | None = None

    def added(self, data: bytes, label: str) -> bytes:
        """Returns a model with them; see `with_edges`."""
        if self.threshold is None and self.frame is None:
            return data
        try:
            from edge_lpr.engines.engine_graph import with_edges
        except ImportError as e:
            raise MissingExtraError("onnx", "tensorrt", "Building a detector's engine") from e
        return with_edges(data, label, self.output, self.threshold, self.frame)


@dataclass(frozen=True)
class BuildJob:
    """One engine to be built.

    Attributes:
        bundle: The bundle's name.
        part: "det" or "rec".
        input: Name of the model's input.
        model: The ONNX file.
        profiles: The shapes that the engine is to take.
        settings: How it is built.
        edges: What is added to the model's graph.
    """

    bundle: str
    part: Part
    input: str
    model: ModelFile
    profiles: tuple[Profile, ...]
    settings: BuildSettings
    edges: Edges = Edges()

    @property
    def types(self) -> tuple[str, ...]:
        """The reduced types in the model, by the names of TensorRT's builder flags; none in an FP32 model."""
        return PRECISIONS[self.model.precision].tensorrt_types

    @property
    def label(self) -> str:
        """What is built, for messages: "det fp16", "det fp16 1920x1080"."""
        frame = self.edges.frame
        return f"{self.part} {self.model.precision}" + (f" {frame[0][1]}x{frame[0][0]}" if frame else "")

    @property
    def flags(self) -> dict[str, Any]:
        """What of the settings a manifest keeps, and of the frames that the engine takes."""
        return self.settings.flags() | frame_flag(self.edges.frame)

    def key(self, machine: Machine) -> str:
        """Returns the engine's key on a machine."""
        return engine_key(self.model, machine, self.profiles, self.flags)

    def path(self, folder: Path, machine: Machine) -> Path:
        """Returns where the engine's manifest lies in a folder of engines."""
        stem = (
            f"{slug(self.bundle)}.{self.part}.{self.model.precision}.{slug(machine.gpu)}"
            f".trt{machine.tensorrt}.{self.key(machine)[:12]}"
        )
        return folder / f"{stem}{MANIFEST}"

    def existing(self, folder: Path, machine: Machine) -> EngineManifest | None:
        """Finds an engine that is just what this build would make, undamaged."""
        key = self.key(machine)
        manifests, _ = read_manifests(folder)
        return next((m for m in manifests if m.key == key and not m.damage()), None)


@dataclass(frozen=True)
class Watch:
    """How a build tells how far it is, where the version can.

    Attributes:
        phase: Called with the name of a phase that begins.
        step: Called for each step that is done; False ends the build.
    """

    phase: Callable[[str], None]
    step: Callable[[], bool]


def build_jobs(bundle: Bundle, precisions: Sequence[str], settings: BuildSettings) -> Iterator[BuildJob]:
    """Lists the engines to be built.

    Args:
        bundle: The bundle.
        precisions: Names of precisions; empty takes all that the bundle has and engines are built of.
        settings: How they are built.

    Raises:
        BundleError: The bundle lacks a precision.
        SettingError: Sizes or batches are out of range, the DLA cannot do a precision, or it is for a CPU.
    """
    sizes = det_sizes(bundle.det, settings.det_sizes)
    frames = frame_sizes(bundle.det, settings.frame_sizes)
    buildable = engine_precisions()
    for precision in precisions or [p for p in bundle.precisions() if p in buildable]:
        if precision not in buildable:
            raise SettingError(
                f"precision {precision!r}: made for a CPU; engines are built of {', '.join(buildable)}"
            )
        if settings.dla is not None and PRECISIONS[precision].tensorrt_types != ("FP16",):
            # NVIDIA's TensorRT guide, "Working with DLA": FP16 and INT8 only, and no explicit quantization.
            raise SettingError(f"--dla: a DLA takes no {precision} model of this kind: give --precision fp16")
        for part in PARTS:
            for frame in (None, *(frames if part == "det" else ())):
                shapes = profiles(bundle, part, settings.batches, sizes if frame is None else [frame[0]])
                if settings.dla is not None:
                    shapes = tuple(replace(profile, min=profile.max) for profile in shapes)
                yield BuildJob(
                    bundle=bundle.name,
                    part=part,
                    input=(bundle.det if part == "det" else bundle.rec).input_name,
                    model=bundle.model(part, precision),
                    profiles=shapes,
                    settings=settings,
                    edges=_edges(bundle.det, settings, frame) if part == "det" else Edges(),
                )


def _edges(model: DetSpec, settings: BuildSettings, frame: tuple[Size, Size] | None) -> Edges:
    threshold = None if settings.float_map else DetectorSettings.for_model(model).thresh
    return Edges(model.output_name, threshold, frame)


def build_engine(
    api: TensorRT, job: BuildJob, folder: Path, watch: Watch | None = None, spent: float = 0.0
) -> EngineManifest:
    """Builds one engine and writes it with its manifest, the manifest last.

    Args:
        api: TensorRT on this machine.
        job: What to build.
        folder: Where engines lie.
        watch: What to tell how far it is; needs TensorRT 10.
        spent: Seconds that were spent on it before.

    Returns:
        The manifest as written.

    Raises:
        BundleError: The model's file is damaged.
        MissingExtraError: A package that the build needs is not installed.
        ModelError: TensorRT cannot read the model; its errors, with the nodes' names, are in the message.
        SettingError: This TensorRT or this GPU cannot do what the settings ask for.
        BackendError: The build failed; TensorRT's own lines are in the message.
        OutputError: The engine cannot be written.
    """
    began = time.monotonic()
    serialized = _plan(api, job, folder, watch)
    manifest = make_manifest(job, api.machine, folder, serialized, spent + time.monotonic() - began)
    manifest.write(serialized)
    return manifest


def time_kernels(api: TensorRT, job: BuildJob, folder: Path, watch: Watch | None = None) -> None:
    """Builds an engine and keeps only what was learned of kernels, in the folder's timing cache.

    Raises:
        EdgeLprError: As for `build_engine`.
    """
    _plan(api, job, folder, watch)


def make_manifest(
    job: BuildJob, machine: Machine, folder: Path, serialized: bytes, seconds: float
) -> EngineManifest:
    """Makes the manifest of an engine that was just built.

    Args:
        job: What was built.
        machine: On what.
        folder: Where it will lie.
        serialized: TensorRT's plan.
        seconds: How long it took.
    """
    model = job.model
    calibration = model.extra.get("calibration")
    return EngineManifest(
        path=job.path(folder, machine),
        key=job.key(machine),
        bundle=job.bundle,
        part=job.part,
        model_file=model.path.name,
        model_sha256=model.sha256,
        precision=model.precision,
        calibration=_digest(calibration) if calibration else "",
        machine=machine,
        profiles=job.profiles,
        flags=job.flags,
        engine_sha256=hashlib.sha256(serialized).hexdigest(),
        engine_bytes=len(serialized),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        tool=tool(),
    )


def _plan(api: TensorRT, job: BuildJob, folder: Path, watch: Watch | None) -> bytes:
    data = job.edges.added(job.model.read(), str(job.model.path))
    float_nodes: tuple[str, ...] | None = None
    if "INT8" in job.types and not api.features.int8_weights:
        data, float_nodes = rewrite_for_trt8(data)
    timing_cache = TimingCache(folder, api.machine)
    with api.gpu.active():
        return _build(api, job, data, float_nodes, timing_cache, watch)


def _build(
    api: TensorRT,
    job: BuildJob,
    data: bytes,
    float_nodes: Collection[str] | None,
    timing_cache: TimingCache,
    watch: Watch | None,
) -> bytes:
    import tensorrt as trt

    what = f"{job.model.path.name}: TensorRT {api.version} cannot build it"
    mark = api.log.mark()
    try:
        builder = trt.Builder(api.logger)
    except TypeError as e:  # pybind11's word for a null pointer
        raise api.failure(f"TensorRT {api.version} cannot start", mark) from e
    network = api.network(builder, typed=job.settings.dla is None)
    _parse(api, job, data, network)
    config = builder.create_builder_config()
    _configure(api, job, float_nodes, builder, network, config)
    timing_cache.attach(config)
    if watch is not None:
        api.watch_progress(config, watch.phase, watch.step)
    serialized = builder.build_serialized_network(network, config)
    timing_cache.keep(config)
    if serialized is None:
        raise api.failure(what, mark)
    return bytes(serialized)


def _parse(api: TensorRT, job: BuildJob, data: bytes, network: trt.INetworkDefinition) -> None:
    import tensorrt as trt

    mark = api.log.mark()
    parser = trt.OnnxParser(network, api.logger)
    if not parser.parse(data):
        errors = [api.parser_error(parser.get_error(i), mark) for i in range(parser.num_errors)]
        found = "; ".join(dict.fromkeys(errors)) or api.log.since(mark) or "no reason given"
        raise ModelError(f"{job.model.path}: TensorRT {api.version} cannot read it: {found}")
    inputs = [network.get_input(i).name for i in range(network.num_inputs)]
    if inputs != [job.input]:
        raise ModelError(f"{job.model.path}: its inputs are {', '.join(inputs)}, expected {job.input!r}")


def _configure(
    api: TensorRT,
    job: BuildJob,
    float_nodes: Collection[str] | None,
    builder: trt.Builder,
    network: trt.INetworkDefinition,
    config: trt.IBuilderConfig,
) -> None:
    import tensorrt as trt

    settings = job.settings
    # Layers' names and precisions stay in the engine for `edge-lpr engines inspect`; they cost no time.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if not job.types and not settings.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    typed = settings.dla is None
    api.allow_types(config, network, job.model.precision, typed=typed, float_nodes=float_nodes)
    api.share_profiles(config)
    if settings.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace << 20)
    if settings.optimization_level is not None:
        config.builder_optimization_level = settings.optimization_level
    if settings.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if settings.hardware_compatible:
        if api.gpu.integrated:
            raise SettingError(f"--hardware-compatible: not on {api.gpu.name}, whose engines run there alone")
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if settings.tactic_sources:
        members = trt.TacticSource.__members__
        chosen = known_names(settings.tactic_sources, tuple(members), "--tactic-sources")
        config.set_tactic_sources(sum(1 << int(members[name]) for name in chosen))
    if settings.dla is not None:
        if settings.dla >= builder.num_DLA_cores:
            raise SettingError(
                f"--dla {settings.dla}: {api.gpu.name} with TensorRT {api.version} has "
                f"{builder.num_DLA_cores} DLA cores"
            )
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = settings.dla
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    for profile in job.profiles:
        shapes = builder.create_optimization_profile()
        shapes.set_shape(job.input, profile.min, profile.opt, profile.max)
        if config.add_optimization_profile(shapes) < 0:
            raise BackendError(f"{job.model.path.name}: TensorRT refuses the profile {profile}")


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
