"""Several batches at work at once, their results in order: how the host and a GPU keep each other busy."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

__all__ = ["OrderedPool", "in_order"]

T = TypeVar("T")
R = TypeVar("R")


class OrderedPool(Generic[T, R]):
    """Work in hand, whose results are taken in the order in which it was begun; a context manager.

    With one worker there is no thread: each item is worked on when its result is taken. What is in hand when
    the pool is left is not begun any more, and what has begun is waited for.

    Args:
        work: The function; it may run in several threads at once.
        workers: How many items are worked on at once, 1 or more.
        on_done: Called from one of those threads whenever a result is there.
    """

    def __init__(
        self, work: Callable[[T], R], workers: int, on_done: Callable[[], object] = lambda: None
    ) -> None:
        self._work = work
        self._workers = workers
        self._on_done = on_done
        self._threads = ThreadPoolExecutor(workers, "edge-lpr-read") if workers > 1 else None
        self._in_hand: deque[tuple[T, Future[R] | None]] = deque()

    def __enter__(self) -> OrderedPool[T, R]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    @property
    def items(self) -> list[T]:
        """The items whose results were not taken yet, the oldest first."""
        return [item for item, _ in self._in_hand]

    @property
    def is_full(self) -> bool:
        """Whether all workers have something."""
        return len(self._in_hand) >= self._workers

    def begin(self, item: T) -> None:
        """Has an item worked on."""
        future = None if self._threads is None else self._threads.submit(self._work, item)
        self._in_hand.append((item, future))
        if future is not None:
            future.add_done_callback(lambda _: self._on_done())

    def take(self) -> tuple[T, R]:
        """Waits for the oldest item; returns it with its result, or raises what the work raised."""
        item, future = self._in_hand.popleft()
        return item, self._work(item) if future is None else future.result()

    def finished(self) -> Iterator[tuple[T, R]]:
        """Takes the results that are there, as far as no older one is missing."""
        while self._in_hand and ((first := self._in_hand[0][1]) is None or first.done()):
            yield self.take()

    def rest(self) -> Iterator[tuple[T, R]]:
        """Takes all results, waiting for each."""
        while self._in_hand:
            yield self.take()


def in_order(
    work: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    weigh: Callable[[T], int] = lambda _: 0,
    limit: float = math.inf,
) -> Generator[tuple[T, R], None, None]:
    """Applies a function to items, several at once, and gives item and result in the items' order.

    While one batch is on the GPU, another one's image work is done on the host, and the next is decoded.

    Args:
        work: See `OrderedPool`.
        items: What it is applied to; taken in this thread, at most `workers` ahead of the results.
        workers: See `OrderedPool`.
        weigh: How heavy an item is.
        limit: No further item is taken while those that are worked on weigh so much.

    Yields:
        Each item with its result.

    Raises:
        Exception: What `work` raises, in the item's turn; or `items`, once all items before have had theirs.
    """
    iterator = iter(items)
    ended: Exception | None = None
    with OrderedPool(work, workers) as pool:
        while True:
            try:
                item = next(iterator)
            except StopIteration:
                break
            except Exception as e:  # what was read before it is given out first
                ended = e
                break
            pool.begin(item)
            while pool.items and (pool.is_full or sum(map(weigh, pool.items)) >= limit):
                yield pool.take()
        yield from pool.rest()
    if ended is not None:
        raise ended
