"""Several batches at work at once, their results in order: how the host and a GPU keep each other busy."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    work: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    weigh: Callable[[T], int] = lambda _: 0,
    limit: float = math.inf,
) -> Generator[tuple[T, R], None, None]:
    """Applies a function to items in threads of its own, and gives item and result in the items' order.

    While one batch is on the GPU, another one's image work is done on the host, and the next is decoded.
    With one worker there is no thread: each item is worked on when its result is asked for.

    Args:
        work: The function; it may run in several threads at once.
        items: What it is applied to; taken in this thread, at most `workers` ahead of the results.
        workers: How many items are worked on at once, 1 or more.
        weigh: How heavy an item is.
        limit: No further item is taken while those that are worked on weigh so much.

    Yields:
        Each item with its result.

    Raises:
        Exception: What `work` raises, in the item's turn; or `items`, once all items before have had theirs.
    """
    if workers == 1:
        for item in items:
            yield item, work(item)
        return
    pending: deque[tuple[T, Future[R]]] = deque()
    iterator = iter(items)
    ended: Exception | None = None
    with ThreadPoolExecutor(workers, thread_name_prefix="edge-lpr-read") as pool:
        try:
            while True:
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                except Exception as e:  # what was read before it is given out first
                    ended = e
                    break
                pending.append((item, pool.submit(work, item)))
                while pending and (
                    len(pending) == workers or sum(weigh(waiting) for waiting, _ in pending) >= limit
                ):
                    first, result = pending.popleft()
                    yield first, result.result()
            while pending:
                first, result = pending.popleft()
                yield first, result.result()
        finally:
            for _, result in pending:  # nobody asks for them any more
                result.cancel()
    if ended is not None:
        raise ended
