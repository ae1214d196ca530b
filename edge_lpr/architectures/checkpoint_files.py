"""Where a checkpoint lies, by any of the names that PaddleOCR takes for it."""

from __future__ import annotations

from pathlib import Path

from edge_lpr.errors import ModelError

__all__ = ["checkpoint_file"]

SUFFIX = ".pdparams"
_BEST = ("best_accuracy", "best", "student", "model")


def checkpoint_file(path: Path) -> Path | None:
    """Finds the `.pdparams` that a path stands for.

    Args:
        path: The file; its name without the ending, as PaddleOCR's configs give it; or the folder of a run,
            of which `best_accuracy.pdparams` is taken, or the one checkpoint that there is.

    Returns:
        The file; None where there is none of these.

    Raises:
        ModelError: It is an optimizer's state, or a folder with several checkpoints of which none is the
            best; they are named.
    """
    if path.suffix == ".pdopt" and path.is_file():
        raise ModelError(f"{path}: an optimizer's state; give {path.stem}{SUFFIX}, the weights beside it")
    if path.suffix == SUFFIX:
        return path if path.is_file() else None
    beside = path.with_name(path.name + SUFFIX)
    if not path.is_dir():
        return beside if beside.is_file() else None
    found = sorted(file for file in path.glob(f"*{SUFFIX}") if file.is_file())
    if len(found) > 1:
        best = [path / f"{name}{SUFFIX}" for name in _BEST if path / f"{name}{SUFFIX}" in found]
        if not best:
            names = ", ".join(file.name for file in found[:4])
            raise ModelError(f"{path}: a folder of checkpoints ({names}); name one of them")
        return best[0]
    return found[0] if found else None
