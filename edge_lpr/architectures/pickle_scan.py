"""A pickle's opcodes, looked at before anything runs them.

Python's unpickler believes its file: nine bytes name a place in its memo for which it reserves gigabytes, and
a tuple nested a million deep, used as a key, ends the process. So the opcodes are walked first, by the
lengths that `pickletools` knows, with a stack that tells of each value only how deep it would be nested.
"""

from __future__ import annotations

import pickletools

__all__ = ["scan"]

MAX_OPCODES = 500_000
MAX_DEPTH = 8
"""Most tuples in each other; a checkpoint has four."""
_MAX_NUMBER = 8  # bytes of an integer
_MAX_NAME = 200  # bytes of a module or class
_MARK = -1
_OPCODES = {ord(op.code): op for op in pickletools.opcodes}
# How long the length before an argument is, by pickletools' number of the kind of argument.
_PREFIXES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
# What protocols 2 to 5 make tables, lists and tuples of texts, numbers and bytes of, and call functions by.
# Left out are what makes objects by their class, what lies outside of the file, and protocol 0's texts.
_STRINGS = (
    "BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8"
)
_NUMBERS = "NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT"
_LEAVES = frozenset([*_STRINGS.split(), *_NUMBERS.split(), "BINBYTES8", "BYTEARRAY8", "GLOBAL"])
_NOTHING = frozenset({"PROTO", "FRAME", "STOP"})
_EMPTY = frozenset({"EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT"})
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_TAKES = {"POP": 1, "APPEND": 1, "SETITEM": 2, "BUILD": 1}
_TAKES_TO_MARK = frozenset({"POP_MARK", "APPENDS", "SETITEMS"})


def scan(data: bytes) -> None:
    """Checks a pickle's opcodes.

    Args:
        data: The file. What follows its STOP is not looked at, as the unpickler does not.

    Raises:
        ValueError: It is cut short, or has an opcode, a length, a depth or a place in the memo that no
            checkpoint has.
    """
    machine = _Machine()
    position = 0
    for count in range(1, MAX_OPCODES + 1):
        if position >= len(data):
            raise ValueError("it ends before its STOP")
        opcode = _OPCODES.get(data[position])
        if opcode is None:
            raise ValueError(f"no opcode at byte {position}")
        start = position
        position, number = _argument(data, position + 1, opcode)
        try:
            machine.step(opcode.name, number, count)
        except ValueError as e:
            raise ValueError(f"{e} at byte {start}") from e
        if opcode.name == "STOP":
            return
    raise ValueError(f"more than {MAX_OPCODES} opcodes")


class _Machine:
    """An unpickler whose stack and memo hold, in the place of values, how many tuples they are nested in."""

    def __init__(self) -> None:
        self._stack: list[int] = []
        self._memo: dict[int, int] = {}

    def step(self, name: str, number: int, count: int) -> None:
        """Does what an opcode would do; `number` is its argument, `count` its number, from 1."""
        if name in _LEAVES or name in _EMPTY:
            self._push(0)
        elif name in _TUPLES:
            self._push(1 + max(self._take(_TUPLES[name])))
        elif name == "TUPLE":
            self._push(1 + max(self._take_to_mark(), default=0))
        elif name == "MARK":
            self._stack.append(_MARK)
        elif name in _TAKES:
            self._take(_TAKES[name])
        elif name in _TAKES_TO_MARK:
            self._take_to_mark()
        elif name == "STACK_GLOBAL":
            self._take(2)
            self._push(0)
        elif name == "REDUCE":
            self._push(max(self._take(2)))
        elif name in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
            self._remember(len(self._memo) if name == "MEMOIZE" else number, count)
        elif name in ("BINGET", "LONG_BINGET"):
            if number not in self._memo:
                raise ValueError(f"place {number} of the memo is empty")
            self._push(self._memo[number])
        elif name not in _NOTHING:
            raise ValueError(f"the opcode {name}, which no checkpoint has,")

    def _push(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} tuples in each other")
        self._stack.append(depth)

    def _take(self, count: int) -> list[int]:
        taken = self._stack[-count:]
        if len(taken) < count or _MARK in taken:
            raise ValueError("an opcode without its operands")
        del self._stack[-count:]
        return taken

    def _take_to_mark(self) -> list[int]:
        taken: list[int] = []
        while self._stack:
            depth = self._stack.pop()
            if depth == _MARK:
                return taken
            taken.append(depth)
        raise ValueError("an opcode without its mark")

    def _remember(self, place: int, count: int) -> None:
        # Each place is filled by an opcode of its own, and pickles fill them in turn.
        if place >= count:
            raise ValueError(f"place {place} of the memo after {count} opcodes")
        if not self._stack or self._stack[-1] == _MARK:
            raise ValueError("nothing to remember")
        self._memo[place] = self._stack[-1]


def _argument(data: bytes, position: int, opcode: pickletools.OpcodeInfo) -> tuple[int, int]:
    """Returns the position after an opcode's argument, and the argument where it is a number."""
    kind = opcode.arg.n if opcode.arg is not None else 0
    if kind == pickletools.UP_TO_NEWLINE:
        for _ in range(2 if opcode.name == "GLOBAL" else 1):  # a module and a name, each a line
            end = data.find(b"\n", position, position + _MAX_NAME)
            if end < 0:
                raise ValueError(f"a name without an end at byte {position}")
            position = end + 1
        return position, 0
    width = _PREFIXES.get(kind, kind)
    end = position + width
    if end > len(data):
        raise ValueError("it ends within an opcode")
    number = int.from_bytes(data[position:end], "little")
    if kind not in _PREFIXES:
        return end, number
    if opcode.name == "LONG1" and number > _MAX_NUMBER:
        raise ValueError(f"an integer of {number} bytes at byte {position}")
    if number > len(data) - end:
        raise ValueError(f"{number} bytes at byte {position}, {len(data) - end} are left")
    return end + number, 0
