"""The language in which an architecture is written: layers with parameters, and blocks made of them.

A network is a tree of data. Its leaves are layers that hold parameters (`Conv2d`, `Linear`, …); everything
else is a `Block`: a frozen dataclass that names its children as PaddleOCR names them, and says once, over the
neutral operations `Ops`, what it does with what goes in. A builder makes modules of one framework out of the
tree and calls each block's `forward` with its own operations and the children that it built::

    @dataclass(frozen=True)
    class SqueezeExcite(Block):
        channels: int

        def children(self) -> Children:
            yield "conv1", Conv2d(self.channels, self.channels // 4, 1, bias=True)
            yield "conv2", Conv2d(self.channels // 4, self.channels, 1, bias=True)

        def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
            return x * ops.hard_sigmoid(m.conv2(ops.relu(m.conv1(ops.global_average(x)))), slope=0.2)

Maps are N×C×H×W in every framework, sequences N×T×C. Nothing here needs a framework.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

__all__ = [
    "Affine",
    "BatchNorm",
    "Block",
    "Built",
    "Chain",
    "Children",
    "Conv2d",
    "ConvTranspose2d",
    "Kind",
    "Layer",
    "LayerNorm",
    "Linear",
    "Ops",
    "Slot",
    "Spec",
    "Tensor",
    "attributes",
    "both",
]

Tensor = Any
"""A tensor of the framework that a network is built in. It knows + and * itself."""
Built = Any
"""The module that was made of a block: its children as callable attributes, and `training`."""
Kind = Literal[
    "conv2d",
    "conv2d_transpose",
    "batch_norm",
    "batch_norm2d",
    "layer_norm",
    "linear",
    "mobile_one_block",
    "whswish_b",
]
"""A layer as Paddle counts it in its internal names, such as `conv2d_7.w_0`."""
Slot = Literal["w_0", "b_0", "w_1", "w_2"]
"""A parameter of a layer in these names."""
_SLOTS: dict[str, Slot] = {"weight": "w_0", "bias": "b_0", "_mean": "w_1", "_variance": "w_2"}


class Layer(ABC):
    """A leaf of the tree: what holds parameters. Each builder has one line for each kind of it."""

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """What Paddle calls it in its internal names."""

    slots: ClassVar[dict[str, Slot]] = _SLOTS
    """What its parameters are called in Paddle's internal names, by Paddle's attribute names."""

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Returns the shape of each parameter in Paddle's layout, by Paddle's attribute names."""


@dataclass(frozen=True)
class Conv2d(Layer):
    """Convolution, padded so that a stride of 1 keeps the size.

    Attributes:
        inside: Channels in.
        out: Channels out.
        kernel: Side of the kernel, or its height and width. Odd ones are padded evenly, an even one below and
            at the right, with a stride of 1.
        stride: Of both directions, or vertical and horizontal.
        groups: As many as channels make it a depthwise one.
        bias: Whether it adds one; before a norm it does not.
    """

    kind: ClassVar[Kind] = "conv2d"
    inside: int
    out: int
    kernel: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    groups: int = 1
    bias: bool = False

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Layer`."""
        weight = {"weight": (self.out, self.inside // self.groups, *both(self.kernel))}
        return weight | ({"bias": (self.out,)} if self.bias else {})

    @property
    def padding(self) -> tuple[int, int] | str:
        """Pixels added above and below, and at the left and at the right; "same" for an even kernel."""
        height, width = both(self.kernel)
        return "same" if height % 2 == 0 else (height // 2, width // 2)


@dataclass(frozen=True)
class ConvTranspose2d(Layer):
    """Transposed convolution with a bias and without overlap: it enlarges by `kernel`.

    Attributes:
        inside: Channels in.
        out: Channels out.
        kernel: Side of the kernel, and the stride.
    """

    kind: ClassVar[Kind] = "conv2d_transpose"
    inside: int
    out: int
    kernel: int = 2

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Layer`."""
        return {"weight": (self.inside, self.out, self.kernel, self.kernel), "bias": (self.out,)}


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch normalisation with running statistics, epsilon 1e-5.

    Attributes:
        channels: Channels in and out.
        kind: Which of Paddle's two classes PaddleOCR takes here; they compute the same.
    """

    channels: int
    kind: Literal["batch_norm", "batch_norm2d"] = "batch_norm"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Layer`."""
        return dict.fromkeys(("weight", "bias", "_mean", "_variance"), (self.channels,))


@dataclass(frozen=True)
class LayerNorm(Layer):
    """Normalisation over the last dimension.

    Attributes:
        size: Of that dimension.
        epsilon: Added to the variance.
    """

    kind: ClassVar[Kind] = "layer_norm"
    size: int
    epsilon: float = 1e-5

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Layer`."""
        return {"weight": (self.size,), "bias": (self.size,)}


@dataclass(frozen=True)
class Linear(Layer):
    """Linear layer with a bias, over the last dimension.

    Attributes:
        inside: Size in.
        out: Size out.
    """

    kind: ClassVar[Kind] = "linear"
    inside: int
    out: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Layer`."""
        return {"weight": (self.inside, self.out), "bias": (self.out,)}


@dataclass(frozen=True)
class Affine(Layer):
    """One factor and one shift for all of a map.

    Attributes:
        kind: What Paddle called it when it counted its internal names: the factor that follows a
            convolution's branches, or the one that follows an activation.
    """

    slots: ClassVar[dict[str, Slot]] = {"scale": "w_0", "bias": "w_1"}
    kind: Literal["mobile_one_block", "whswish_b"] = "mobile_one_block"

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """See `Layer`."""
        return {"scale": (1,), "bias": (1,)}


def both(side: int | tuple[int, int]) -> tuple[int, int]:
    """Returns a kernel's height and width, or a stride's two directions."""
    return (side, side) if isinstance(side, int) else side


class Ops(Protocol):
    """What a block's `forward` may do beside calling its children, + and *. Each framework has one."""

    def conv_norm(self, conv: Built, norm: Built, x: Tensor) -> Tensor:
        """Convolution, then batch norm; a framework may do both at once."""

    def branches(self, pairs: Sequence[tuple[Built, Built]], norm: Built | None, x: Tensor) -> Tensor:
        """The sum of several (convolution, norm) of one input, and of that input's norm where there is one.

        The convolutions have one stride, and keep the size but for it; a framework may do all of it at once.
        """

    def relu(self, x: Tensor) -> Tensor:
        """max(x, 0)."""

    def hardswish(self, x: Tensor) -> Tensor:
        """x·clip(x + 3, 0, 6) / 6."""

    def swish(self, x: Tensor) -> Tensor:
        """x·sigmoid(x)."""

    def sigmoid(self, x: Tensor) -> Tensor:
        """1 / (1 + e^-x), computed in float32."""

    def hard_sigmoid(self, x: Tensor, slope: float) -> Tensor:
        """clip(slope·x + 0.5, 0, 1)."""

    def softmax(self, x: Tensor) -> Tensor:
        """Over the last dimension."""

    def concat(self, maps: Sequence[Tensor]) -> Tensor:
        """Joins maps along their channels."""

    def upsample(self, x: Tensor, factor: int) -> Tensor:
        """Repeats every pixel of a map `factor` times in both directions."""

    def average_pool(self, x: Tensor, size: int | tuple[int, int]) -> Tensor:
        """Means over squares of size×size, or rectangles of height and width, that do not overlap."""

    def max_pool(self, x: Tensor, size: int, stride: int) -> Tensor:
        """Maxima over squares of size×size, padded as a convolution is."""

    def global_average(self, x: Tensor) -> Tensor:
        """Mean of each channel: N×C×1×1."""

    def to_sequence(self, x: Tensor) -> Tensor:
        """N×C×1×T to N×T×C."""

    def to_map(self, x: Tensor) -> Tensor:
        """N×T×C to N×C×1×T."""

    def attention(self, qkv: Tensor, heads: int, dropout: float, training: bool) -> Tensor:
        """Scaled dot-product attention.

        Args:
            qkv: N×T×3C: queries, keys and values, each of `heads` times C / heads.
            heads: Attention heads.
            dropout: Share of the weights that is dropped in training.
            training: Whether this is training.

        Returns:
            N×T×C.
        """

    def dropout(self, x: Tensor, share: float, training: bool) -> Tensor:
        """Drops a share of the values in training, and scales the others up."""


class Block(ABC):
    """A node of the tree. Subclasses are frozen dataclasses: what they are made of is in their fields."""

    @abstractmethod
    def children(self) -> Children:
        """Yields (name, layer or block), in the order in which PaddleOCR creates them.

        A dotted name, such as `ins_conv.0`, is an element of a list: `m.ins_conv[0]`. What yields to several
        lists in turn creates them in turn.
        """

    def fused_children(self) -> Children:
        """Yields the children of the same block as inference models have them: what is summed made one.

        Children that compute nothing are left out. Most blocks have nothing to fuse.
        """
        return self.children()

    @abstractmethod
    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """Computes what goes out.

        Args:
            ops: Operations of the framework at hand.
            m: The module that was built of this block; calls its children and tells of `training`.
            x: What goes in.
        """


Spec = Layer | Block
Children = Iterator[tuple[str, Spec]]


@dataclass(frozen=True)
class Chain(Block):
    """Blocks that run one after the other, named 0, 1, ….

    Attributes:
        blocks: What runs.
    """

    blocks: tuple[Spec, ...]

    def children(self) -> Children:
        """See `Block`."""
        for i, block in enumerate(self.blocks):
            yield str(i), block

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        for i in range(len(self.blocks)):
            x = getattr(m, str(i))(x)
        return x


def attributes(block: Block) -> dict[str, Spec | list[Spec]]:
    """Returns a block's children as the attributes that a builder makes of them.

    Returns:
        By attribute name, in the order of the first mention: a child, or the list that dotted names make.
    """
    found: dict[str, Spec | list[Spec]] = {}
    for name, child in block.children():
        attribute, dot, index = name.partition(".")
        if not dot:
            found[attribute] = child
            continue
        elements = found.setdefault(attribute, [])
        assert isinstance(elements, list) and int(index) == len(elements), f"{name}: not the next of its list"
        elements.append(child)
    return found
