"""The neck of the slim detector."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lpr.architectures.spec import Block, Built, Children, Conv2d, Ops, Tensor

__all__ = ["TopDownFPN"]


@dataclass(frozen=True)
class TopDownFPN(Block):
    """Feature pyramid that is walked once, from the coarsest level down; the finest level's map goes out.

    Each level is brought to its channels by a 1×1 convolution and added to what comes from above; a 3×3
    convolution and a ReLU make of the sum what goes on to the level below. Nothing is gated or joined: a
    gate's multiplication takes ONNX Runtime out of its blocked layout.

    Attributes:
        inside: Channels of the maps that come in, each of half the size of the one before.
        channels: Channels of the levels, the finest first, which go out.
    """

    inside: tuple[int, ...]
    channels: tuple[int, ...]

    def children(self) -> Children:
        """See `Block`."""
        for i, (inside, out) in enumerate(zip(self.inside, self.channels, strict=True)):
            yield f"lateral.{i}", Conv2d(inside, out, 1, bias=True)
        for i, (below, out) in enumerate(zip(self.channels[:-1], self.channels[1:], strict=True)):
            yield f"down.{i}", Conv2d(out, below, 3, bias=True)

    def forward(self, ops: Ops, m: Built, x: list[Tensor]) -> Tensor:
        """See `Block`."""
        y = m.lateral[-1](x[-1])
        for i in range(len(self.inside) - 2, -1, -1):
            y = m.lateral[i](x[i]) + ops.upsample(ops.relu(m.down[i](y)), 2)
        return y
