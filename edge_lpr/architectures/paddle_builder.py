"""Any architecture in Paddle, filled from a checkpoint's arrays: what ONNX models are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import paddle
from numpy.typing import NDArray
from paddle import nn
from paddle.nn import functional as F

from edge_lpr.architectures import spec
from edge_lpr.architectures.registry import Checkpoint

__all__ = ["build", "filled"]

Tensor = Any  # Paddle ships no types


def _conv2d(layer: spec.Conv2d) -> nn.Layer:
    bias = None if layer.bias else False
    padding: Any = layer.padding if isinstance(layer.padding, tuple) else layer.padding.upper()
    return nn.Conv2D(
        layer.inside,
        layer.out,
        layer.kernel,
        layer.stride,
        padding,
        groups=layer.groups,
        bias_attr=bias,
    )


class _Affine(nn.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.scale = self.create_parameter([1], default_initializer=nn.initializer.Constant(1.0))
        self.bias = self.create_parameter([1], is_bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.bias


_LAYERS: dict[type[spec.Layer], Callable[[Any], nn.Layer]] = {
    spec.Conv2d: _conv2d,
    spec.ConvTranspose2d: lambda s: nn.Conv2DTranspose(s.inside, s.out, s.kernel, s.kernel),
    spec.BatchNorm: lambda s: nn.BatchNorm2D(s.channels),
    spec.LayerNorm: lambda s: nn.LayerNorm(s.size, epsilon=s.epsilon),
    spec.Linear: lambda s: nn.Linear(s.inside, s.out),
    spec.Affine: lambda _: _Affine(),
}


class _PaddleOps:
    """See `spec.Ops`."""

    def conv_norm(self, conv: nn.Layer, norm: nn.Layer, x: Tensor) -> Tensor:
        return norm(conv(x))

    def branches(
        self, pairs: Sequence[tuple[nn.Layer, nn.Layer]], norm: nn.Layer | None, x: Tensor
    ) -> Tensor:
        parts = [n(c(x)) for c, n in pairs] + ([] if norm is None else [norm(x)])
        return sum(parts[1:], parts[0])

    def relu(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def hardswish(self, x: Tensor) -> Tensor:
        return F.hardswish(x)

    def swish(self, x: Tensor) -> Tensor:
        return F.swish(x)

    def sigmoid(self, x: Tensor) -> Tensor:
        return F.sigmoid(x)

    def hard_sigmoid(self, x: Tensor, slope: float) -> Tensor:
        return F.hardsigmoid(x, slope=slope, offset=0.5)

    def softmax(self, x: Tensor) -> Tensor:
        return F.softmax(x, axis=len(x.shape) - 1)

    def concat(self, maps: Sequence[Tensor]) -> Tensor:
        return paddle.concat(list(maps), axis=1)

    def upsample(self, x: Tensor, factor: int) -> Tensor:
        return F.interpolate(x, scale_factor=factor, mode="nearest")

    def average_pool(self, x: Tensor, size: int | tuple[int, int]) -> Tensor:
        return F.avg_pool2d(x, size, size)

    def max_pool(self, x: Tensor, size: int, stride: int) -> Tensor:
        return F.max_pool2d(x, size, stride, size // 2 if size % 2 else "SAME")

    def global_average(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, 1)

    def to_sequence(self, x: Tensor) -> Tensor:
        return x.squeeze(2).transpose((0, 2, 1))

    def to_map(self, x: Tensor) -> Tensor:
        return x.transpose((0, 2, 1)).unsqueeze(2)

    def attention(self, qkv: Tensor, heads: int, dropout: float, training: bool) -> Tensor:
        size = qkv.shape[-1] // 3
        width = size // heads
        qkv = qkv.reshape((0, -1, 3, heads, width)).transpose((2, 0, 3, 1, 4))
        weights = F.softmax((qkv[0] * width**-0.5).matmul(qkv[1].transpose((0, 1, 3, 2))), axis=-1)
        mixed = self.dropout(weights, dropout, training).matmul(qkv[2])
        return mixed.transpose((0, 2, 1, 3)).reshape((0, -1, size))

    def dropout(self, x: Tensor, share: float, training: bool) -> Tensor:
        # At inference it would stay in the program, as an operation that does nothing.
        return F.dropout(x, share) if training else x


_OPS: spec.Ops = _PaddleOps()


class _PaddleBlock(nn.Layer):
    """A block with its children as sublayers."""

    def __init__(self, block: spec.Block) -> None:
        super().__init__()
        self.block = block
        for name, child in spec.attributes(block).items():
            built = nn.LayerList(list(map(build, child))) if isinstance(child, list) else build(child)
            self.add_sublayer(name, built)

    def forward(self, x: Tensor) -> Tensor:
        return self.block.forward(_OPS, self, x)


def build(part: spec.Spec) -> nn.Layer:
    """Makes a layer of a block or layer, with new weights.

    Args:
        part: What to build.

    Returns:
        The layer: normalised float32 maps in, channels first.
    """
    if isinstance(part, spec.Layer):
        return _LAYERS[type(part)](part)
    return _PaddleBlock(part)


def filled(checkpoint: Checkpoint, arrays: Mapping[str, NDArray[Any]]) -> nn.Layer:
    """Builds the network of a checkpoint for inference.

    Args:
        checkpoint: What `identify` found of the arrays.
        arrays: The checkpoint's arrays by PaddleOCR's parameter names.

    Returns:
        The network in inference mode: float32 N×3×H×W to the probabilities.
    """
    network = build(checkpoint.architecture.network(checkpoint.classes, False))
    ignored = set(checkpoint.ignored)
    state = {n: paddle.to_tensor(a.astype("float32")) for n, a in arrays.items() if n not in ignored}
    missing, unexpected = network.set_state_dict(state)
    assert not missing and not unexpected, (missing, unexpected)  # checked before, by name
    network.eval()
    return network
