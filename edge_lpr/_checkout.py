"""In a checkout, the stages' folders beside this one as subpackages, however the kit was installed.

Python takes the folder `edge_lpr/` of the working directory before an installed package of that name, and
the stages (`export/` is `edge_lpr.export`, and so on) do not lie inside of it. Without this,
`python -m edge_lpr.finetune…` would work in any folder but the checkout.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

STAGES = ("export", "engines", "calib", "finetune", "benchmarks")
ROOT = Path(__file__).resolve().parents[1]


class _StageFinder(MetaPathFinder):
    """Finds `edge_lpr.STAGE` in the folder STAGE of the checkout."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns where a stage's package lies; None for any other module."""
        package, _, stage = fullname.rpartition(".")
        if package != "edge_lpr" or stage not in STAGES:
            return None
        folder = ROOT / stage
        return spec_from_file_location(
            fullname, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


def find_stages() -> None:
    """Makes the stages importable where `edge_lpr` is imported out of a checkout; else does nothing."""
    inside = Path(__file__).with_name("export").is_dir()
    if not inside and (ROOT / "export" / "__init__.py").is_file():
        # Before an installed copy of the stages, which may be of another checkout.
        sys.meta_path.insert(0, _StageFinder())
