"""Batches that are written straight into a backend's own memory, and results that are read there.

A backend may lend both (`Lender`): what fills a batch then writes where the device reads, and what reads a
result reads where the device wrote. All others are given an array of the caller's and give one back: who asks
for a loan does not see the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends.base import Backend
from edge_lpr.types import Batch

__all__ = ["Lender", "Loan", "OwnBatch", "lend"]


class Loan(Protocol):
    """A batch to be filled and run, once, by one thread.

    Attributes:
        batch: uint8 N×H×W×3. What it holds at first is not defined: all of it is to be written.
    """

    batch: Batch

    def run(self) -> Mapping[str, NDArray[Any]]:
        """Runs the model on the batch.

        Returns:
            The model's outputs by name. They may be the backend's memory: what is read after the loan is to
            be copied before.

        Raises:
            BackendError: As for `Backend.run`.
        """
        ...


@runtime_checkable
class Lender(Protocol):
    """A backend that lends its memory."""

    def lend(self, name: str, shape: tuple[int, ...]) -> AbstractContextManager[Loan]:
        """Lends a batch.

        Several loans may be out at once, each to a thread of its own, and none shares memory with another one
        before it ends.

        Args:
            name: The model's input.
            shape: N×H×W×3.

        Raises:
            BackendError: The shape is not one that the model takes, or memory is short.
        """
        ...


class OwnBatch:
    """A loan of new memory.

    Args:
        backend: What it is run by.
        name: The model's input.
        shape: N×H×W×3.
    """

    def __init__(self, backend: Backend, name: str, shape: tuple[int, ...]) -> None:
        self.batch: Batch = np.empty(shape, np.uint8)
        self._backend, self._name = backend, name

    def run(self) -> Mapping[str, NDArray[Any]]:
        """Runs the backend; see `Loan.run`."""
        return self._backend.run({self._name: self.batch})


@contextmanager
def lend(backend: Backend, name: str, shape: tuple[int, ...]) -> Iterator[Loan]:
    """Lends a batch of a backend's memory, or of new memory where the backend lends none.

    Args:
        backend: The backend.
        name: The model's input.
        shape: N×H×W×3.

    Yields:
        The loan, which ends with the block.
    """
    if isinstance(backend, Lender):
        with backend.lend(name, shape) as loan:
            yield loan
    else:
        yield OwnBatch(backend, name, shape)
