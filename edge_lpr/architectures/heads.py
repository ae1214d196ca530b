"""Heads: from features to a text map, or to characters."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lpr.architectures.layers import ConvNorm
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

__all__ = ["CTCHead", "DBBranch", "DBHead", "PFHeadLocal", "SequenceHead", "SequenceNeck"]


@dataclass(frozen=True)
class DBBranch(Block):
    """One map of the DB head: fewer channels, then four times the size.

    Attributes:
        inside: Channels in.
        kernel: Side of the first convolution's kernel.
        inner: Channels in between; None for a quarter of those that come in.
        last: Channels at twice the size; None for as many as in between.
    """

    inside: int
    kernel: int = 3
    inner: int | None = None
    last: int | None = None

    def children(self) -> Children:
        """See `Block`."""
        inner = self.inner or self.inside // 4
        last = self.last or inner
        yield "conv1", Conv2d(self.inside, inner, self.kernel)
        yield "conv_bn1", BatchNorm(inner)
        yield "conv2", ConvTranspose2d(inner, last)
        yield "conv_bn2", BatchNorm(last)
        yield "conv3", ConvTranspose2d(last, 1)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        return ops.sigmoid(m.conv3(_halved(ops, m, x)))


def _halved(ops: Ops, m: Built, x: Tensor) -> Tensor:
    """What a branch computes up to half the image's size."""
    x = ops.relu(ops.conv_norm(m.conv1, m.conv_bn1, x))
    return ops.relu(ops.conv_norm(m.conv2, m.conv_bn2, x))


@dataclass(frozen=True)
class DBHead(Block):
    """Differentiable binarisation (Liao et al. 2020).

    Out goes N×1×H×W, the probability of text. In training it is N×3×H×W: probability, threshold, and the
    binary map that is approximated by them.

    Attributes:
        inside: Channels in.
        training: Whether there is the threshold's branch, which only training needs.
        k: Steepness of the approximate binarisation.
        kernel: Side of each branch's first kernel.
        inner: Channels within the branches, see `DBBranch`.
        last: Their channels at twice the size.
    """

    inside: int
    training: bool
    k: float = 50.0
    kernel: int = 3
    inner: int | None = None
    last: int | None = None

    def children(self) -> Children:
        """See `Block`."""
        branch = DBBranch(self.inside, self.kernel, self.inner, self.last)
        yield "binarize", branch
        if self.training:
            yield "thresh", branch

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        shrink = m.binarize(x)
        if not (self.training and m.training):
            return shrink
        threshold = m.thresh(x)
        return ops.concat([shrink, threshold, ops.sigmoid(self.k * (shrink - threshold))])


@dataclass(frozen=True)
class _LocalRefinement(Block):
    inside: int
    middle: int

    def children(self) -> Children:
        yield "last_3", ConvNorm(self.inside + 1, self.middle, 3, act="relu")
        yield "last_1", Conv2d(self.middle, 1, 1, bias=True)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        return ops.sigmoid(m.last_1(m.last_3(x)))


@dataclass(frozen=True)
class PFHeadLocal(Block):
    """A DB head whose map is refined by what it was made of; the mean of the two goes out.

    In training it is N×3×H×W: the refined map, the threshold, and the binary map that the map before the
    refinement and the threshold approximate.

    Attributes:
        inside: Channels in.
        training: Whether there is the threshold's branch, which only training needs.
        middle: Channels of the refinement.
        k: Steepness of the approximate binarisation.
    """

    inside: int
    training: bool
    middle: int
    k: float = 50.0

    def children(self) -> Children:
        """See `Block`."""
        yield "binarize", DBBranch(self.inside)
        if self.training:
            yield "thresh", DBBranch(self.inside)
        yield "cbn_layer", _LocalRefinement(self.inside // 4, self.middle)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        half = _halved(ops, m.binarize, x)
        shrink = ops.sigmoid(m.binarize.conv3(half))
        refined = m.cbn_layer(ops.concat([shrink, ops.upsample(half, 2)]))
        if not (self.training and m.training):
            return (shrink + refined) * 0.5
        threshold = m.thresh(x)
        return ops.concat([refined, threshold, ops.sigmoid(self.k * (shrink - threshold))])


@dataclass(frozen=True)
class SequenceNeck(Block):
    """A neck outside of the head, as PaddleOCR's recognizers without a guide have it.

    Attributes:
        neck: N×C×1×T to N×C×1×T; a sequence N×T×C goes out.
    """

    neck: Block

    def children(self) -> Children:
        """See `Block`."""
        yield "encoder", self.neck

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        return ops.to_sequence(m.encoder(x))


@dataclass(frozen=True)
class SequenceHead(Block):
    """A linear layer over a sequence: PaddleOCR's `CTCHead` by itself.

    Out goes N×T×classes, class 0 the blank: probabilities, or with `training` their logits.

    Attributes:
        inside: Channels in.
        classes: The blank included.
        training: Whether a loss follows that takes logits.
    """

    inside: int
    classes: int
    training: bool

    def children(self) -> Children:
        """See `Block`."""
        yield "fc", Linear(self.inside, self.classes)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
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
        yield "ctc_encoder", SequenceNeck(self.neck)
        yield "ctc_head", SequenceHead(self.inside, self.classes, self.training)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        """See `Block`."""
        return m.ctc_head(m.ctc_encoder(x))
