"""In a checkout, the stages' folders beside this one as subpackages, however the kit was installed.

Python takes the folder `edge_lpr/` of the working directory before an installed package of that name, and
the stages (`export/` is `edge_lpr.export`, and so on) do not lie inside of it. Without this,
`python -m edge_lpr.finetune…` would work in any folder but the checkout.

Imports next to nothing: it runs before the command can heed Ctrl-C (`edge_lpr.console.start`).
"""

from __future__ import annotations

import os.path
import sys

TYPE_CHECKING = False  # as type checkers know it; `typing` is slow to import
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

STAGES = ("export", "engines", "calib", "finetune", "benchmarks")
PACKAGE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(PACKAGE)


class _StageFinder:
    """Finds `edge_lpr.STAGE` in the folder STAGE of the checkout; an `importlib.abc.MetaPathFinder`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns where a stage's package lies; None for any other module."""
        package, _, stage = fullname.rpartition(".")
        if package != "edge_lpr" or stage not in STAGES:
            return None
        from importlib.util import spec_from_file_location

        folder = os.path.join(ROOT, stage)
        file = os.path.join(folder, "__init__.py")
        return spec_from_file_location(fullname, file, submodule_search_locations=[folder])


def find_stages() -> None:
    """Makes the stages importable where `edge_lpr` is imported out of a checkout; else does nothing."""
    inside = os.path.isdir(os.path.join(PACKAGE, "export"))
    if not inside and os.path.isfile(os.path.join(ROOT, "export", "__init__.py")):
        # Before an installed copy of the stages, which may be of another checkout.
        sys.meta_path.insert(0, _StageFinder())
