"""The blocks that backbones, necks and heads share, and the one that joins them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_lpr.architectures.spec import BatchNorm, Block, Built, Children, Conv2d, Ops, Tensor

__all__ = ["Activation", "ConvNorm", "Network", "SqueezeExcite"]

Activation = Literal["relu", "hardswish", "swish"]


@dataclass(frozen=True)
class ConvNorm(Block):
    """Convolution, batch norm, activation.

    Attributes:
        inside: Channels in.
        out: Channels out.
        kernel: Side of the kernel, or its height and width.
        stride: Of both directions, or vertical and horizontal.
        groups: Of the convolution.
        act: Activation; None for none.
        names: What PaddleOCR calls convolution and norm here.
        norm: Which of Paddle's classes the norm is.
    """

    inside: int
    out: int
    kernel: int | tuple[int, int] = 1
    stride: int | tuple[int, int] = 1
    groups: int = 1
    act: Activation | None = None
    names: tuple[str, str] = ("conv", "bn")
    norm: Literal["batch_norm", "batch_norm2d"] = "batch_norm"

    def children(self) -> Children:
        """See `Block`."""
        yield self.names[0], Conv2d(self.inside, self.out, self.kernel, self.stride, self.groups)
        yield self.names[1], BatchNorm(self.out, self.norm)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        conv, norm = (getattr(m, name) for name in self.names)
        x = ops.conv_norm(conv, norm, x)
        return x if self.act is None else getattr(ops, self.act)(x)


@dataclass(frozen=True)
class SqueezeExcite(Block):
    """Scales each channel by a gate that sees all of the map (Hu et al. 2018).

    Attributes:
        channels: Channels in and out; a quarter of them in between.
        slope: Of the gate's hard sigmoid.
    """

    channels: int
    slope: float

    def children(self) -> Children:
        """See `Block`."""
        yield "conv1", Conv2d(self.channels, self.channels // 4, 1, bias=True)
        yield "conv2", Conv2d(self.channels // 4, self.channels, 1, bias=True)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        gate = m.conv2(ops.relu(m.conv1(ops.global_average(x))))
        return x * ops.hard_sigmoid(gate, self.slope)


@dataclass(frozen=True)
class Network(Block):
    """Backbone, neck and head: PaddleOCR's `BaseModel`.

    Attributes:
        backbone: Takes the normalised image, N×3×H×W.
        neck: Takes what the backbone gives; None where the head does.
        head: Gives the result.
    """

    backbone: Block
    neck: Block | None
    head: Block

    def children(self) -> Children:
        """See `Block`."""
        yield "backbone", self.backbone
        if self.neck is not None:
            yield "neck", self.neck
        yield "head", self.head

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        x = m.backbone(x)
        return m.head(x if self.neck is None else m.neck(x))
