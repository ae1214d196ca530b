"""Makes `paddleocr.npz`: what PaddleOCR 2.10.0's own post-processing says of maps and posteriors made here.

And `paddleocr_tia.npz`: what its warp of text lines makes of lines made here.

    pip download --no-deps paddleocr==2.10.0 && python tests/golden/make_golden.py paddleocr-2.10.0-*.whl

Runs the wheel's `DBPostProcess` and `CTCLabelDecode` (they need opencv, pyclipper and shapely, and of paddle
nothing but a name), and its `WarpMLS`. Maps are stored as uint8 (probability × 255), so that the file stays
small.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import types
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

OUT = Path(__file__).with_name("paddleocr.npz")
OUT_TIA = Path(__file__).with_name("paddleocr_tia.npz")


def load(wheel: Path, name: str) -> dict[str, Any]:
    """Executes one module of the wheel by itself."""
    with zipfile.ZipFile(wheel) as archive:
        source = archive.read(f"paddleocr/ppocr/{name}.py")
    for module in ("paddle", "paddle.nn", "paddle.nn.functional"):
        stand_in = types.ModuleType(module)
        stand_in.Tensor = type("Tensor", (), {})  # type: ignore[attr-defined]
        stand_in.functional = stand_in  # type: ignore[attr-defined]
        sys.modules.setdefault(module, stand_in)
    space: dict[str, Any] = {}
    exec(compile(source, name, "exec"), space)
    return space


def text_map(rng: np.random.Generator) -> np.ndarray:
    """Draws blurred bars at all angles, with noise: what a DB network returns, and worse."""
    height, width = (int(n) * 32 for n in rng.integers(2, 9, 2))
    prob = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(3, 8))):
        centre = rng.uniform(0, 1, 2) * [width, height]
        size = rng.uniform(20, 120), rng.uniform(10, 40)
        quad = cv2.boxPoints((tuple(centre), size, float(rng.uniform(-90, 90))))
        cv2.fillPoly(prob, [quad.astype(np.int32)], float(rng.uniform(0.75, 1)))
    prob = cv2.GaussianBlur(prob, (0, 0), float(rng.uniform(0.5, 3)))
    prob += rng.normal(0, 0.02, prob.shape) * (prob > 0.05)
    return np.round(np.clip(prob, 0, 1) * 255).astype(np.uint8)


def main() -> None:
    wheel = Path(sys.argv[1])
    post_process = load(wheel, "postprocess/db_postprocess")["DBPostProcess"]
    rng = np.random.default_rng(2026)
    kept: dict[str, np.ndarray] = {}
    for n in range(16):
        coded = text_map(rng)
        size = rng.integers(40, 2000, 2)
        kept[f"map{n}"], kept[f"size{n}"] = coded, size
        prob = coded.astype(np.float32) / 255
        for dilation, mode in itertools.product((0, 1), ("fast", "slow")):
            process = post_process(0.3, 0.6, 1000, 1.5, bool(dilation), mode)
            found = process({"maps": prob[None, None]}, [(*size, 1.0, 1.0)])[0]["points"]
            kept[f"boxes{n}_{dilation}_{mode}"] = np.asarray(found, np.int32).reshape(-1, 4, 2)
    decode = load(wheel, "postprocess/rec_postprocess")["CTCLabelDecode"]
    charset = "京津沪ABC0123"
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder, "keys.txt")
        keys.write_text("\n".join(charset) + "\n", encoding="utf-8")
        decoder = decode(character_dict_path=str(keys), use_space_char=False)
    probs = rng.dirichlet(np.full(len(charset) + 1, 0.15), size=(40, 20)).astype(np.float32)
    probs[::2, :, 0] += 1.0
    probs /= probs.sum(axis=2, keepdims=True)
    decoded = decoder(probs)
    kept["charset"], kept["probs"] = np.array(list(charset)), probs
    kept["texts"] = np.array([text for text, _ in decoded])
    kept["scores"] = np.array([score for _, score in decoded], np.float64)
    np.savez_compressed(OUT, **kept)  # type: ignore[arg-type]
    print(f"{OUT}: {OUT.stat().st_size / 1024:.0f} KiB")
    np.savez_compressed(OUT_TIA, **warped_lines(wheel))  # type: ignore[arg-type]
    print(f"{OUT_TIA}: {OUT_TIA.stat().st_size / 1024:.0f} KiB")


def warped_lines(wheel: Path) -> dict[str, np.ndarray]:
    """Warps smooth lines of several sizes by points that move at random."""
    warp = load(wheel, "data/imaug/text_image_aug/warp_mls")["WarpMLS"]
    rng = np.random.default_rng(2027)
    kept: dict[str, np.ndarray] = {}
    for n, (width, height) in enumerate(((60, 20), (150, 48), (48, 150))):
        noise = cv2.GaussianBlur(rng.normal(0, 1, (height, width, 3)), (0, 0), 4)
        line = np.asarray(cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX), np.uint8)
        places = [(x, y) for x in np.linspace(0, width, 4) for y in (0, height)]
        source = np.array(places)
        target = source + rng.uniform(-6, 6, source.shape)
        made = warp(line, list(source), list(target), width, height).generate()
        kept |= {f"line{n}": line, f"source{n}": source, f"target{n}": target, f"warped{n}": made}
    return kept


if __name__ == "__main__":
    main()
