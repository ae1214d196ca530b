"""Heads: from features to a text map, or to characters."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lpr.architectures.spec import (
    BatchNorm,
    Block,
    Built,
    Children,
    Conv2d,
    ConvTranspose2d,
    Linear,
    Ops,
    Tensor,
)

__all__ = ["CTCHead", "DBBranch", "DBHead"]


@dataclass(frozen=True)
class DBBranch(Block):
    """One map of the DB head: a quarter of the channels, then four times the size.

    Attributes:
        inside: Channels in.
    """

    inside: int

    def children(self) -> Children:
        """See `Block`."""
        inner = self.inside // 4
        yield "conv1", Conv2d(self.inside, inner, 3)
        yield "conv_bn1", BatchNorm(inner)
        yield "conv2", ConvTranspose2d(inner, inner)
        yield "conv_bn2", BatchNorm(inner)
        yield "conv3", ConvTranspose2d(inner, 1)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        x = ops.relu(ops.conv_norm(m.conv1, m.conv_bn1, x))
        x = ops.relu(ops.conv_norm(m.conv2, m.conv_bn2, x))
        return ops.sigmoid(m.conv3(x))


@dataclass(frozen=True)
class DBHead(Block):
    """Differentiable binarisation (Liao et al. 2020).

    Out goes N×1×H×W, the probability of text. In training it is N×3×H×W: probability, threshold, and the
    binary map that is approximated by them.

    Attributes:
        inside: Channels in.
        training: Whether there is the threshold's branch, which only training needs.
        k: Steepness of the approximate binarisation.
    """

    inside: int
    training: bool
    k: float = 50.0

    def children(self) -> Children:
        """See `Block`."""
        yield "binarize", DBBranch(self.inside)
        if self.training:
            yield "thresh", DBBranch(self.inside)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        shrink = m.binarize(x)
        if not (self.training and m.training):
            return shrink
        threshold = m.thresh(x)
        return ops.concat([shrink, threshold, ops.sigmoid(self.k * (shrink - threshold))])


@dataclass(frozen=True)
class _Encoder(Block):
    neck: Block

    def children(self) -> Children:
        yield "encoder", self.neck

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        return ops.to_sequence(m.encoder(x))


@dataclass(frozen=True)
class _Characters(Block):
    inside: int
    classes: int
    training: bool

    def children(self) -> Children:
        yield "fc", Linear(self.inside, self.classes)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        scores = m.fc(x)
        return scores if self.training else ops.softmax(scores)


@dataclass(frozen=True)
class CTCHead(Block):
    """The CTC branch of PaddleOCR's `MultiHead`: a neck, and a linear layer over its sequence.

    Out goes N×T×classes, class 0 the blank: probabilities, or with `training` their logits.

    Attributes:
        neck: What the linear layer reads, N×C×1×T.
        inside: Its channels.
        classes: The blank included.
        training: Whether a loss follows that takes logits.
    """

    neck: Block
    inside: int
    classes: int
    training: bool

    def children(self) -> Children:
        """See `Block`."""
        yield "ctc_encoder", _Encoder(self.neck)
        yield "ctc_head", _Characters(self.inside, self.classes, self.training)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        return m.ctc_head(m.ctc_encoder(x))
