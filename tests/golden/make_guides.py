"""Makes `paddleocr_guides.npz`: what PaddleOCR's own guide branches and their losses give.

    pip download --no-deps unstructured-paddleocr==2.10.0
    python tests/golden/make_guides.py unstructured_paddleocr-2.10.0-py3-none-any.whl

Small ones, of its `SARHead` and of `before_gtc` and `Transformer` as its `MultiHead` makes them, without
dropout; with all their parameters, and the gradient of the features. The extra `export` has PaddlePaddle.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from own_paddleocr import use

OUT = Path(__file__).with_name("paddleocr_guides.npz")
CHARACTERS, CHANNELS, WIDTH, LENGTH = 6, 5, 8, 7
TEXTS = ([1, 2, 3], [4, 4, 1, 6, 5], [2])
"""Characters by their places in the dictionary, from 1, as CTC has them."""
VALID = [1.0, 0.5, 0.3]


def labels(start: int, end: int, padding: int, first: int) -> Any:
    """Rows of a start, a text, an end, and padding."""
    rows = [[start, *(c - 1 + first for c in text), end] for text in TEXTS]
    return paddle.to_tensor([row + [padding] * (LENGTH - len(row)) for row in rows], "int64")


def main() -> None:
    """Writes the file."""
    use(sys.argv[1])
    paddle.seed(0)
    np.random.seed(0)  # noqa: NPY002 - what the branches draw from
    kept: dict[str, np.ndarray] = {}
    features = np.random.default_rng(1).normal(0, 1, (len(TEXTS), CHANNELS, 1, WIDTH)).astype(np.float32)
    kept["features"], kept["valid"] = features, np.array(VALID, np.float32)

    def keep(kind: str, parts: dict[str, Any], given: Any, logits: Any, losses: dict[str, Any]) -> None:
        for prefix, part in parts.items():
            kept.update({f"{kind}:{prefix}.{n}": v.numpy() for n, v in part.state_dict().items()})
        kept[f"{kind} logits"] = logits.numpy()
        kept.update({f"{kind} {name}": np.float32(loss.item()) for name, loss in losses.items()})
        next(iter(losses.values())).backward()
        kept[f"{kind} gradient"] = given.grad.numpy()

    heads, losses = "ppocr.modeling.heads.", "ppocr.losses."
    sar = importlib.import_module(f"{heads}rec_sar_head").SARHead(
        CHANNELS, CHARACTERS + 3, enc_dim=4, d_k=3, max_text_length=LENGTH, enc_drop_rnn=0.0, pred_dropout=0.0
    )
    given = paddle.to_tensor(features, stop_gradient=False)
    targets = labels(CHARACTERS + 1, CHARACTERS + 1, CHARACTERS + 2, 0)
    logits = sar(given, [targets, paddle.to_tensor(VALID)])
    loss = importlib.import_module(f"{losses}rec_sar_loss").SARLoss(ignore_index=CHARACTERS + 2)
    keep("SAR", {"sar_head": sar}, given, logits, {"loss": loss(logits, [None, targets])["loss"]})

    module = importlib.import_module(f"{heads}rec_nrtr_head")
    fc = paddle.nn.Linear(CHANNELS, 32, bias_attr=False)
    sizes = {"d_model": 32, "nhead": 1, "num_decoder_layers": 2, "dim_feedforward": 128, "max_len": LENGTH}
    gtc = module.Transformer(
        num_encoder_layers=-1, beam_size=-1, out_channels=CHARACTERS + 4, residual_dropout_rate=0.0, **sizes
    )
    gtc.positional_encoding.pe = gtc.positional_encoding.pe[:64]
    given = paddle.to_tensor(features, stop_gradient=False)
    targets, lengths = labels(2, 3, 0, 4), paddle.to_tensor([len(text) for text in TEXTS])
    logits = gtc(fc(given.flatten(2).transpose([0, 2, 1])), [targets, lengths])
    make = importlib.import_module(f"{losses}rec_nrtr_loss").NRTRLoss
    told = {
        name: make(smoothing=smoothing)(logits, [None, targets, lengths])["loss"]
        for name, smoothing in (("loss", True), ("plain loss", False))
    }
    keep("NRTR", {"before_gtc.1.fc": fc, "gtc_head": gtc}, given, logits, told)
    np.savez_compressed(OUT, **kept)  # type: ignore[arg-type]
    print(f"{OUT}: {OUT.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
