"""Makes `paddleocr_sampler.json`: the batches of PaddleOCR's own `MultiScaleSampler`.

pip download --no-deps unstructured-paddleocr==2.10.0
python tests/golden/make_sampler.py unstructured_paddleocr-2.10.0-py3-none-any.whl
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from own_paddleocr import use

OUT = Path(__file__).with_name("paddleocr_sampler.json")
V4 = [[320, 32], [320, 48], [320, 64]]
SAMPLERS: list[dict[str, Any]] = [
    {"scales": V4, "first_bs": 128, "fix_bs": False, "divided_factor": [8, 16]},
    {"scales": V4, "first_bs": 8, "fix_bs": True, "divided_factor": [8, 16]},
    {"scales": [[320, 48], [170, 70]], "first_bs": 16, "fix_bs": False, "divided_factor": [16, 32]},
    {"scales": [64, 96], "first_bs": 4},
    {"scales": V4, "first_bs": 32, "is_training": False},
]


class Lines:
    """As many lines as there are."""

    ds_width, seed = False, None

    def __init__(self, number: int) -> None:
        self.data_idx_order_list = list(range(number))

    def __len__(self) -> int:
        return len(self.data_idx_order_list)


def main() -> None:
    """Writes the file."""
    use(sys.argv[1])
    kind = importlib.import_module("ppocr.data.multi_scale_sampler").MultiScaleSampler
    told = []
    for settings in SAMPLERS:
        for number in (3, 50, 300):
            made = kind(Lines(number), **settings)
            place = {line: at for at, line in enumerate(made.img_indices)}
            found = [[place[line[2]] for line in batch] for batch in made.batchs_in_one_epoch]
            told.append({"sampler": settings, "lines": number, "sizes": made.batch_list, "places": found})
    OUT.write_text(json.dumps(told, separators=(",", ":")) + "\n")
    print(f"{OUT}: {OUT.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
