"""The language of the tables: what a builder makes of a block's children."""

from dataclasses import dataclass

import pytest

from edge_lpr.architectures.spec import (
    BatchNorm,
    Block,
    Built,
    Chain,
    Children,
    Conv2d,
    ConvTranspose2d,
    LayerNorm,
    Linear,
    Ops,
    Spec,
    Tensor,
    attributes,
)


@dataclass(frozen=True)
class Named(Block):
    names: tuple[str, ...]

    def children(self) -> Children:
        for size, name in enumerate(self.names, 1):
            yield name, Linear(size, size)

    def forward(self, ops: Ops, m: Built, x: Tensor) -> Tensor:
        raise NotImplementedError


def test_dotted_names_are_lists_and_keep_their_places() -> None:
    found = attributes(Named(("first", "a.0", "b.0", "a.1", "b.1", "last")))
    lists: dict[str, Spec | list[Spec]] = {
        "a": [Linear(2, 2), Linear(4, 4)],
        "b": [Linear(3, 3), Linear(5, 5)],
    }
    assert found == {"first": Linear(1, 1), **lists, "last": Linear(6, 6)}
    assert list(found) == ["first", "a", "b", "last"]
    with pytest.raises(AssertionError, match=r"a\.1: not the next"):
        attributes(Named(("a.1",)))


def test_a_chain_counts() -> None:
    assert [name for name, _ in Chain((Linear(1, 2), Linear(2, 1))).children()] == ["0", "1"]


def test_layers_know_their_parameters_in_paddles_layout() -> None:
    assert Conv2d(8, 6, 3, groups=2).shapes() == {"weight": (6, 4, 3, 3)}
    assert Conv2d(8, 6, 1, bias=True).shapes() == {"weight": (6, 8, 1, 1), "bias": (6,)}
    assert ConvTranspose2d(8, 6).shapes() == {"weight": (8, 6, 2, 2), "bias": (6,)}
    assert Linear(8, 6).shapes() == {"weight": (8, 6), "bias": (6,)}
    assert LayerNorm(8).shapes() == {"weight": (8,), "bias": (8,)}
    assert list(BatchNorm(8).shapes()) == ["weight", "bias", "_mean", "_variance"]
    assert [BatchNorm(8).kind, BatchNorm(8, "batch_norm2d").kind] == ["batch_norm", "batch_norm2d"]
