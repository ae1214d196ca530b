"""What to type to install this kit, or the packages of one of its extras, from where it came.

It is on no package index: whatever is called `edge-lpr` there is not this kit. So no hint names it alone.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

from edge_lpr import _checkout

__all__ = ["install_command"]

_DISTRIBUTION = "edge-lpr"
ROOT = Path(_checkout.ROOT)


def install_command(extra: str = "") -> str:
    """Returns what to type to install the packages of an extra, or this kit anew.

    Args:
        extra: The extra's name; none for the kit itself.

    Returns:
        A `pip install` of the checkout or wheel that this copy came from, in whichever folder it is typed.
        Where that is gone, one of the extra's packages, or a sentence for the kit itself.
    """
    editable, source = _source()
    if source is not None and extra:
        return f"pip install {'-e ' * editable}{_quoted(f'{source}[{extra}]')}"
    if source is not None:
        return f"pip install --force-reinstall --no-deps {'-e ' * editable}{_quoted(str(source))}"
    packages = _packages(extra)
    if packages:
        return f"pip install {' '.join(map(_quoted, packages))}"
    return "install edge-lpr again from its wheel or a clone" + (
        f", with its extra {extra!r}" if extra else ""
    )


def _source() -> tuple[bool, Path | None]:
    """Returns whether this copy is editable, and the checkout or wheel it came from, where it is left."""
    from importlib.metadata import distributions

    told = (d.read_text("direct_url.json") for d in distributions(name=_DISTRIBUTION))
    origins = [json.loads(text) if text else {} for text in told]
    if (ROOT / "pyproject.toml").is_file():
        # Not the first alone: a build leaves metadata in the checkout that say nothing of the installation.
        return any(_is_editable(o) and _path(o) == ROOT for o in origins), ROOT
    path = _path(origins[0]) if origins else None
    return False, path if path is not None and path.exists() else None


def _is_editable(origin: dict[str, Any]) -> bool:
    return bool(origin.get("dir_info", {}).get("editable", False))


def _path(origin: dict[str, Any]) -> Path | None:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname  # with all of HTTP

    url = urlsplit(origin.get("url", ""))
    return Path(url2pathname(url.path)).resolve() if url.scheme == "file" else None


def _packages(extra: str) -> list[str]:
    """Returns the requirements of an extra, as the installed metadata have them."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        found = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:
        return []
    own = f'extra == "{extra}"'
    pairs = (
        (package.strip(), marker.strip()) for package, _, marker in (text.partition(";") for text in found)
    )
    # Another condition of the package stays with it: pip knows what to make of it.
    conditions = ((package, marker.removesuffix(own)) for package, marker in pairs if marker.endswith(own))
    return [package + (f"; {rest.removesuffix(' and ')}" if rest else "") for package, rest in conditions]


def _quoted(text: str) -> str:
    return shlex.quote(text) if os.name == "posix" else f'"{text}"'
