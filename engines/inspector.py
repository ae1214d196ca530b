"""What TensorRT made of a model: its layers, and in which precision each really computes."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_lpr.backends.tensorrt.api import TensorRT
from edge_lpr.backends.tensorrt.backend import load_engine
from edge_lpr.backends.tensorrt.engine_manifest import EngineManifest
from edge_lpr.backends.tensorrt.tensors import Tensors
from edge_lpr.errors import BackendError

UNKNOWN = "?"
# Where a tensor's type stands, the surest first: by itself, as TensorRT 11 has it, whatever its case; as 8.6
# and 10 have it; and in a format's name.
_TYPE_FIELDS = ("datatype", "format/datatype", "format")
# What the inspector of any version calls a type there, as in "Channel major FP16 format where channel % 8 ==
# 0", "Thirty-two wide channel vectorized row major Int8 format" or plain "Half".
_TYPES = (
    ("INT8", re.compile(r"\bint8\b", re.IGNORECASE)),
    ("FP16", re.compile(r"\b(fp16|half|float16)\b", re.IGNORECASE)),
    ("BF16", re.compile(r"\b(bf16|bfloat16)\b", re.IGNORECASE)),
    ("FP32", re.compile(r"\b(fp32|float|float32)\b", re.IGNORECASE)),
)
# Layers that move, cast or hold data and compute nothing.
_CARRIERS = ("reformat", "constant", "shuffle", "noop", "cast", "identity", "signal", "wait")


@dataclass(frozen=True)
class EngineLayer:
    """One layer of an engine.

    Attributes:
        name: Its name: those of the ONNX nodes that were fused into it.
        kind: TensorRT's type of layer, "CaskConvolution".
        input: Type of its first input: "INT8", "FP16", "BF16", "FP32", or "?" where TensorRT does not say.
        output: Type of its first output.
        macs: Multiply-adds at the profile's shape; None for a layer that does not state its kernel.
        tactic: The kernel that was chosen.
    """

    name: str
    kind: str
    input: str
    output: str
    macs: int | None
    tactic: str

    @property
    def computes(self) -> bool:
        """Whether it does more than move data."""
        return not any(word in self.kind.lower() for word in _CARRIERS)


@dataclass(frozen=True)
class EngineReport:
    """All layers of an engine in one profile.

    Attributes:
        layers: The layers, in the order in which they run.
        counts: Number of computing layers by the type of their input.
        macs: Multiply-adds of the layers that state their kernel, by the type of their input.
        raw: What TensorRT said, JSON.
    """

    layers: tuple[EngineLayer, ...]
    counts: Mapping[str, int]
    macs: Mapping[str, int]
    raw: str = ""

    def share(self, kind: str) -> float | None:
        """Returns the share of the stated multiply-adds that run in a type, 0 to 1.

        None where it is not known: nothing was stated, or not of which type all of it is.
        """
        total = sum(self.macs.values())
        unknown = self.macs.get(UNKNOWN, 0) and kind != UNKNOWN
        return None if unknown or not total else self.macs.get(kind, 0) / total


def inspect_engine(api: TensorRT, manifest: EngineManifest, profile: int = 0) -> EngineReport:
    """Asks TensorRT about an engine's layers.

    Args:
        api: TensorRT on this machine.
        manifest: An engine that is valid here.
        profile: Number of the profile to look at, at its largest shape.

    Raises:
        BackendError: The engine cannot be loaded, or says nothing of its layers.
    """
    import tensorrt as trt
    from pycuda import driver

    engine = load_engine(api, manifest)
    tensors = Tensors.from_engine(engine)
    with api.gpu.active():
        stream = driver.Stream()
        context = engine.create_execution_context()
        mark = api.log.mark()
        # Without a context that has a shape, TensorRT answers "N/A due to dynamic shapes".
        ready = (
            context is not None
            and context.set_optimization_profile_async(profile, stream.handle)
            and context.set_input_shape(tensors.input, tensors.profiles[profile].max)
        )
        stream.synchronize()
        if context is None or not ready:
            raise api.failure(f"{manifest.engine_path}: profile {profile} cannot be opened", mark)
        inspector = engine.create_engine_inspector()
        inspector.execution_context = context
        text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    return parse_report(text)


def parse_report(text: str) -> EngineReport:
    """Reads the engine inspector's JSON.

    Args:
        text: What `get_engine_information` returns, of any version.

    Raises:
        BackendError: It is not that JSON, or holds names alone.
    """
    try:
        raw = json.loads(text)
    except ValueError as e:
        raise BackendError(f"TensorRT's engine inspector returned no JSON ({e})") from e
    described = raw.get("Layers") if isinstance(raw, dict) else None
    if not isinstance(described, list):
        raise BackendError("TensorRT's engine inspector returned no layers")
    layers = tuple(_layer(item) for item in described if isinstance(item, dict))
    if described and not layers:
        raise BackendError("the engine holds its layers' names alone; build it again with this edge-lpr")
    counts: Counter[str] = Counter()
    macs: Counter[str] = Counter()
    for layer in layers:
        if layer.computes:
            counts[layer.input] += 1
            macs[layer.input] += layer.macs or 0
    return EngineReport(layers, dict(counts), {kind: n for kind, n in macs.items() if n}, text)


def _layer(item: Mapping[str, Any]) -> EngineLayer:
    inputs, outputs = _tensors(item.get("Inputs")), _tensors(item.get("Outputs"))
    return EngineLayer(
        name=str(item.get("Name", "")),
        kind=str(item.get("LayerType", UNKNOWN)),
        input=_type(inputs),
        output=_type(outputs),
        macs=_macs(item, outputs),
        tactic=str(item.get("TacticName", "")),
    )


def _tensors(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _type(tensors: Sequence[Mapping[str, Any]]) -> str:
    fields = {key.lower(): str(value) for key, value in tensors[0].items()} if tensors else {}
    for field in _TYPE_FIELDS:
        for name, pattern in _TYPES:
            if pattern.search(fields.get(field, "")):
                return name
    return UNKNOWN


def _macs(item: Mapping[str, Any], outputs: Sequence[Mapping[str, Any]]) -> int | None:
    """Multiply-adds of a convolution: each of its weights is used once per output position and image."""
    weights = item.get("Weights")
    shape = outputs[0].get("Dimensions") if outputs else None
    if item.get("ParameterType") != "Convolution" or not isinstance(weights, dict):
        return None
    if not isinstance(shape, list) or len(shape) != 4 or any(type(n) is not int or n < 1 for n in shape):
        return None
    count = weights.get("Count")
    return count * shape[0] * math.prod(shape[2:]) if type(count) is int else None
