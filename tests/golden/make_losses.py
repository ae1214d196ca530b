"""Makes `paddleocr_losses.npz`: PaddleOCR's own `DBLoss` of maps and targets that are drawn here.

pip download --no-deps unstructured-paddleocr==2.10.0
python tests/golden/make_losses.py unstructured_paddleocr-2.10.0-py3-none-any.whl
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import paddle
from own_paddleocr import use

OUT = Path(__file__).with_name("paddleocr_losses.npz")
PARTS = ("loss", "loss_shrink_maps", "loss_threshold_maps", "loss_binary_maps", "loss_cbn")


def main() -> None:
    """Writes the file."""
    use(sys.argv[1])
    kind = importlib.import_module("ppocr.losses.det_db_loss").DBLoss
    rng = np.random.default_rng(0)
    # So much text that the background that counts is more than the thousand pixels that always do here.
    maps = rng.uniform(0.01, 0.99, (2, 3, 48, 48)).astype(np.float32)
    shrink = np.zeros((2, 48, 48), np.float32)
    shrink[:, 6:30, 4:24] = 1
    shrink_mask, border_mask = (rng.random((2, 2, 48, 48)) < 0.8).astype(np.float32)
    border = rng.uniform(0.3, 0.7, (2, 48, 48)).astype(np.float32)
    kept = {"maps": maps, "targets": np.stack([shrink, shrink_mask, border, border_mask])}
    labels = [None, *map(paddle.to_tensor, (border, border_mask, shrink, shrink_mask))]
    for name in ("DiceLoss", "BCELoss"):
        for refined in (False, True):
            given = paddle.to_tensor(maps)
            found = {"maps": given}
            if refined:
                found |= {"distance_maps": given[:, :1], "cbn_maps": given[:, 2:]}
            told = kind(main_loss_type=name)(found, labels)
            kept[f"{name} {refined}"] = np.array([told[part].numpy().item() for part in PARTS], np.float32)
    np.savez_compressed(OUT, **kept)  # type: ignore[arg-type]
    print(f"{OUT}: {OUT.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
