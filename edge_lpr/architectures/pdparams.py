"""PaddleOCR checkpoints (`.pdparams`) read and written without Paddle, and without trusting them.

A `.pdparams` is a Python pickle, which can run any code as it is read. Its opcodes are walked first
(`pickle_scan`). The reader then knows the few names that `paddle.save` writes for numpy arrays, refuses every
other, and builds the arrays itself, so that not even numpy's own unpickling runs on what the file says.
Nothing that the file gets hold of has an attribute that could be set.
"""

from __future__ import annotations

import codecs
import io
import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.architectures.pickle_scan import scan
from edge_lpr.errors import ModelError, one_line
from edge_lpr.io.atomic_io import create_folder, write_with
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.types import Arrays

__all__ = ["MAX_CHECKPOINT_BYTES", "branches", "load_checkpoint", "save_checkpoint", "select_branch"]

MAX_CHECKPOINT_BYTES = 1 << 30
_MAX_ARRAYS = 20_000
_NAME_TABLE = "StructuredToParameterName@@"  # Paddle's table of the tensors' internal names
_SPLIT_TABLE = "UnpackBigParamInfor@@"  # Paddle's note on tensors that it cut into pieces
_DTYPES = frozenset({"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "b1"})
_CORES = ("core", "_core")  # numpy's name of it before version 2, and since
_BRANCHES = ("Student", "Student2", "Teacher")


def load_checkpoint(path: str | Path) -> Arrays:
    """Reads the arrays of a `.pdparams` file.

    Args:
        path: The file, as `paddle.save` wrote it from a state dict (protocols 2 to 5).

    Returns:
        The arrays by parameter name, in the file's order.

    Raises:
        ModelError: Missing, too large, truncated, no checkpoint, or a pickle with anything but arrays in it.
    """
    file = Path(path)
    excess = "{size} bytes, more than the {limit} that export reads"
    data = read_bounded(file, MAX_CHECKPOINT_BYTES, "a checkpoint", ModelError, excess=excess)
    try:
        scan(data)
        content = _ArraysOnly(io.BytesIO(data)).load()
    except _ForbiddenError as e:
        raise ModelError(
            f"{file}: a pickle that asks for {e}, which no checkpoint needs and nothing here runs; "
            "get the file from its maker again"
        ) from e
    except Exception as e:  # a pickle that was made up or damaged can raise anything at all
        raise ModelError(f"{file}: not a .pdparams checkpoint, or a damaged one ({one_line(e, 120)})") from e
    return _checked(content, file)


def _checked(content: object, file: Path) -> Arrays:
    if not isinstance(content, dict):
        raise ModelError(f"{file}: holds a {type(content).__name__}, expected a checkpoint's table of arrays")
    if _SPLIT_TABLE in content:
        raise ModelError(
            f"{file}: has tensors that Paddle cut into pieces; save it with paddle.save(protocol=4)"
        )
    if len(content) > _MAX_ARRAYS:
        raise ModelError(
            f"{file}: {len(content)} entries, more than the {_MAX_ARRAYS} that a checkpoint may have"
        )
    arrays: Arrays = {}
    for name, value in content.items():
        if name == _NAME_TABLE:
            continue
        # Tensors outside a plain state dict are saved as (internal name, array).
        named = isinstance(value, tuple) and len(value) == 2
        array = value[1] if named else value
        if not isinstance(name, str) or not isinstance(array, _Array) or array.value is None:
            shown = type(value).__name__.strip("_")
            raise ModelError(
                f"{file}: {str(name)[:80]!r} is a {shown}, expected an array; give the .pdparams of the "
                "weights, not the optimizer's .pdopt"
            )
        arrays[name] = array.value
    if not arrays:
        raise ModelError(f"{file}: no arrays in it, expected a checkpoint's parameters")
    return arrays


class _ForbiddenError(Exception):
    """A pickle asks for a name that no array needs."""


class _Named:
    """What a name in a pickle stands for: it can be called, and nothing else can be done to it.

    Args:
        call: What calling it does.
    """

    __slots__ = ("_call",)
    _call: Callable[..., object]

    def __init__(self, call: Callable[..., object]) -> None:
        object.__setattr__(self, "_call", call)

    def __call__(self, *given: object) -> object:
        return self._call(*given)

    def __setattr__(self, name: str, value: object) -> None:
        raise _ForbiddenError(f"to set {name[:40]!r} of a function")

    def __setstate__(self, state: object) -> None:
        raise _ForbiddenError("to set the state of a function")


class _DType:
    """Stands in for `numpy.dtype` while a pickle is read."""

    __slots__ = ("code", "order")

    def __init__(self, code: object, _align: object = False, _copy: object = False) -> None:
        if not isinstance(code, str) or code not in _DTYPES:
            raise ValueError(f"dtype {str(code)[:20]!r}, expected numbers")
        self.code = code
        self.order = "<"

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise ValueError("a dtype that is no plain number")
        self.order = "<" if state[1] == "=" else state[1]


class _Array:
    """Stands in for an array until its shape, type and bytes are known."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: NDArray[Any] | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise ValueError("an array without shape, type and bytes")
        _, shape, dtype, fortran, raw = state
        if (
            not isinstance(shape, tuple)
            or not all(type(n) is int and n >= 0 for n in shape)
            or len(shape) > 8
        ):
            raise ValueError(f"an array of shape {str(shape)[:40]}")
        if not isinstance(dtype, _DType) or not isinstance(raw, bytes):
            raise TypeError("an array without type or bytes")
        kind = np.dtype(dtype.order + dtype.code)
        if math.prod(shape) * kind.itemsize != len(raw):
            raise ValueError(f"an array of shape {shape} with {len(raw)} bytes")
        flat = np.frombuffer(raw, kind).astype(kind.newbyteorder("="))
        self.value = flat.reshape(shape, order="F" if fortran else "C")


def _no_array(*_: object) -> None:
    # Stands in for the class `numpy.ndarray`, which is only ever named.
    raise ValueError("an array that is made by its class")


_NDARRAY = _Named(_no_array)


def _reconstruct(kind: object, *_: object) -> _Array:
    if kind is not _NDARRAY:
        raise ValueError("an array of another class")
    return _Array()


def _encode(text: object, encoding: object = "latin1") -> bytes:
    # Protocol 2 has no bytes: it writes them as text, one character per byte.
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError("bytes in an unknown encoding")
    return codecs.encode(text, "latin1")


def _empty_bytes() -> bytes:
    # How protocol 2 writes the bytes of an empty array. `bytes` itself would make as many zeros as a file
    # asks for.
    return b""


def _tuple(items: object) -> tuple[object, ...]:
    # How Paddle writes a tensor outside a plain state dict. Of a list it would nest what was not counted.
    if not isinstance(items, tuple):
        raise TypeError("a tuple of no tuple")
    return items


def _from_buffer(raw: object, dtype: object, shape: object, order: object) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, dtype, order == "F", bytes(raw) if isinstance(raw, bytearray) else raw))
    return array


_ALLOWED: dict[tuple[str, str], _Named] = {
    ("collections", "OrderedDict"): _Named(dict),
    ("builtins", "tuple"): _Named(_tuple),
    ("_codecs", "encode"): _Named(_encode),
    **dict.fromkeys([("builtins", "bytes"), ("__builtin__", "bytes")], _Named(_empty_bytes)),
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Named(_DType),
    **dict.fromkeys([(f"numpy.{c}.multiarray", "_reconstruct") for c in _CORES], _Named(_reconstruct)),
    **dict.fromkeys([(f"numpy.{c}.numeric", "_frombuffer") for c in _CORES], _Named(_from_buffer)),
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        allowed = _ALLOWED.get((module, name))
        if allowed is None:
            raise _ForbiddenError(f"{module}.{name}"[:80])
        return allowed

    def persistent_load(self, pid: object) -> Any:  # noqa: ANN401
        raise _ForbiddenError("an object outside the file")


def branches(arrays: Mapping[str, object]) -> tuple[str, ...]:
    """Returns the distillation branches that a checkpoint holds: of Student, Student2 and Teacher."""
    return tuple(b for b in _BRANCHES if any(name.startswith(f"{b}.") for name in arrays))


def select_branch(arrays: Mapping[str, NDArray[Any]], branch: str, label: str) -> Arrays:
    """Takes one network out of a distillation checkpoint; any other checkpoint is returned whole.

    Args:
        arrays: The checkpoint's arrays by name.
        branch: "Student", "Student2" or "Teacher".
        label: What error messages call the checkpoint.

    Returns:
        The branch's arrays, their names without the prefix.

    Raises:
        ModelError: A distillation checkpoint without that branch.
    """
    found = branches(arrays)
    if not found:
        return dict(arrays)
    if branch not in found:
        raise ModelError(f"{label}: no branch {branch!r}, only {', '.join(found)}; choose one with --branch")
    prefix = f"{branch}."
    return {name[len(prefix) :]: a for name, a in arrays.items() if name.startswith(prefix)}


def save_checkpoint(path: str | Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Writes a `.pdparams` file that `paddle.load` and PaddleOCR read.

    Args:
        path: The file; its folder is created where it is missing.
        arrays: Arrays by parameter name.

    Raises:
        OutputError: The file cannot be written.
    """
    file = Path(path)
    content: dict[str, object] = {
        name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()
    }
    content[_NAME_TABLE] = {name: name for name in arrays}
    create_folder(file.parent)
    write_with(file, lambda out: _OldNumpyPickler(out, protocol=4).dump(content))


class _OldNumpyPickler(pickle._Pickler):
    """Names numpy's internals as before numpy 2: an older Paddle comes with an older numpy."""

    def save_global(self, obj: Any, name: str | None = None) -> None:  # noqa: ANN401
        module: str = getattr(obj, "__module__", None) or ""
        if not module.startswith("numpy._core."):
            super().save_global(obj, name)  # type: ignore[misc]
            return
        self.save(module.replace("numpy._core.", "numpy.core."))  # type: ignore[attr-defined]
        self.save(name or obj.__name__)  # type: ignore[attr-defined]
        self.write(pickle.STACK_GLOBAL)  # type: ignore[attr-defined]
        self.memoize(obj)  # type: ignore[attr-defined]
