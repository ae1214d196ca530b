"""YAML that somebody else wrote: plain values, with aliases counted for what they stand for."""

from __future__ import annotations

from typing import Any

import yaml

from edge_lpr.io.plain_data import MAX_DEPTH, check_plain

__all__ = ["parse_yaml"]

MAX_NODES = 200_000
"""Most values in one file, each alias counted as all that it repeats; PP-OCRv5's dictionary has 18,000."""


def parse_yaml(text: str) -> Any:  # noqa: ANN401
    """Parses YAML of mappings, lists, texts, numbers, dates, true, false and null.

    Raises:
        ValueError: It is no YAML, or beyond what `check_plain` and `MAX_NODES` allow; says what, on one line.
    """
    try:
        value = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as e:
        where = f" at line {e.problem_mark.line + 1}" if e.problem_mark else ""
        raise ValueError(f"{e.problem or e.context}{where}") from e
    except RecursionError as e:
        raise ValueError(f"more than {MAX_DEPTH} levels in each other") from e
    except (yaml.YAMLError, ArithmeticError, LookupError, TypeError, AttributeError) as e:
        raise ValueError(" ".join(str(e).split())) from e
    check_plain(value)
    return value


class _Loader(yaml.SafeLoader):
    """Counts what it reads. Aliases share what they stand for; who walks through them meets it every time."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._count = 0
        self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401
        event = self.peek_event()
        before, self._count, self._depth = self._count, self._count + 1, self._depth + 1
        if self._depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} levels in each other")
        if isinstance(event, yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self._sizes:
                raise ValueError(f"the alias *{event.anchor} stands within what it repeats")
            self._count += self._sizes[id(node)]
        elif event.tag is not None:
            raise ValueError(f"the type {event.tag[:40]}, expected plain values")
        else:
            node = super().compose_node(parent, index)
            self._sizes[id(node)] = self._count - before
        if self._count > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES} values")
        self._depth -= 1
        return node
