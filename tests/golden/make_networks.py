"""Makes `paddleocr_networks.json` and `.npz`: parameters and outputs of PaddleOCR's own networks.

    pip download --no-deps unstructured-paddleocr==2.10.0
    python tests/golden/make_networks.py unstructured_paddleocr-2.10.0-py3-none-any.whl

Each network is built by PaddleOCR's code of the section that `edge-lpr finetune --print-config` writes. A
`.pdparams` that is written here, with drawn weights, is loaded into it, which must find every parameter and
no other; what it returns when evaluating, and a detector when training with the statistics of inference, is
kept. Of PP-OCRv5's server models PaddleOCR 2.10.0 has the layers: see `hgnet_v2`.
"""

from __future__ import annotations

import copy
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from drawn import CLASSES, picture, weights
from own_paddleocr import use

from edge_lpr.architectures.pdparams import save_checkpoint
from edge_lpr.architectures.registry import ARCHITECTURES, Architecture
from edge_lpr.finetune.recipe.networks import describe
from edge_lpr.types import Part

OUT = Path(__file__).with_name("paddleocr_networks.json")
OUTPUTS = Path(__file__).with_name("paddleocr_networks.npz")
OURS = {"slim_det"}
GUIDE = {"SARHead": {"enc_dim": 512, "max_text_length": 25}}
# For them PaddleOCR's `MultiHead` takes no neck by itself.
WITHOUT_GUIDE = {
    "Neck": {"name": "SequenceEncoder", "encoder_type": "svtr", "dims": 64, "depth": 2, "hidden_dims": 120},
    "Head": {"name": "CTCHead", "fc_decay": 1e-5},
}


def section(name: str) -> dict[str, Any]:
    """`Architecture` of a config, with the number of classes that PaddleOCR puts in."""
    if name == "PP-OCRv3_rec_without_guide":
        plain = section("ch_PP-OCRv3_rec")
        return {
            **plain,
            **copy.deepcopy(WITHOUT_GUIDE),
            "Head": {**WITHOUT_GUIDE["Head"], "out_channels": CLASSES},
        }
    found = copy.deepcopy(describe(name))
    assert found is not None
    if found["model_type"] == "rec":
        found["Head"]["head_list"].append(copy.deepcopy(GUIDE))  # it asks for two branches
        found["Head"]["out_channels_list"] = {"CTCLabelDecode": CLASSES, "SARLabelDecode": CLASSES + 2}
    return found


def hgnet_v2() -> None:
    """Registers PP-HGNetV2 B4 as PaddleOCR 3 has it for text: 2.10.0's layers, other strides and outputs."""
    module = importlib.import_module("ppocr.modeling.backbones.rec_pphgnetv2")
    packages = importlib.import_module("ppocr.modeling.backbones")
    sizes = [[48, 48, 128, 1], [128, 96, 512, 1], [512, 192, 1024, 3], [1024, 384, 2048, 1]]
    ends = [[False, 3, 6], [False, 3, 6], [True, 5, 6], [True, 5, 6]]

    class Text(module.PPHGNetV2):  # type: ignore[misc, name-defined]
        def __init__(self, in_channels: int = 3, det: bool = False, text_rec: bool = False) -> None:
            del in_channels, text_rec
            stages = {
                f"stage{i}": [*size, bool(i) or not det, *end]
                for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
            }
            super().__init__(stages, stem_channels=[3, 32, 48])
            self.det = det
            self.out_channels = [size[2] for size in sizes] if det else 2048
            if det:
                del self.fc
                return
            self.stem.stem3.conv._stride = [1, 1]
            for stage, stride in zip(self.stages, ([2, 1], [1, 2], [2, 1], [2, 1]), strict=True):
                stage.downsample.conv._stride = stride

        def forward(self, x: Any) -> Any:
            x, found = self.stem(x), []
            for stage in self.stages:
                x = stage(x)
                found.append(x)
            return found if self.det else paddle.nn.functional.avg_pool2d(x, [3, 2])

    build = packages.build_backbone

    def with_text(config: dict[str, Any], model_type: str) -> Any:
        if config["name"] != "PPHGNetV2_B4":
            return build(config, model_type)
        return Text(**{key: value for key, value in config.items() if key != "name"})

    importlib.import_module("ppocr.modeling.architectures.base_model").build_backbone = with_text


def own(name: str) -> Any:
    """PaddleOCR's network."""
    return importlib.import_module("ppocr.modeling.architectures").build_model(section(name))


def loaded(network: Any, architecture: Architecture, folder: Path) -> None:
    """Loads a `.pdparams` that is written here."""
    file = folder / f"{architecture.name}.pdparams"
    save_checkpoint(file, weights(architecture))
    guide = {n for n in network.state_dict() if n.startswith("head.sar_head.")}
    missing, unexpected = network.set_state_dict(paddle.load(str(file)))
    missing = [n for n in missing if n not in guide and not n.startswith(architecture.training_only)]
    assert not missing and not unexpected, (architecture.name, missing, unexpected)


def outputs(network: Any, part: Part) -> dict[str, np.ndarray]:
    """What a network returns of a picture that is drawn."""
    image = paddle.to_tensor(picture(part))
    network.eval()
    found = network(image)
    if part == "rec":
        return {"evaluating": found.numpy()}
    found = {"evaluating": found["maps"].numpy()}
    network.train()
    for layer in network.sublayers():
        if "BatchNorm" in type(layer).__name__:
            layer.eval()
    taught = network(image)
    found["training"] = taught["maps"].numpy()
    return found


def own_rates(parameter: Any) -> str:
    """A parameter's own factor of the learning rate, and its own factor of L2, where it has them."""
    rate = getattr(parameter, "optimize_attr", None) or {"learning_rate": 1.0}
    decay = getattr(parameter, "regularizer", None)
    told = "" if rate["learning_rate"] == 1 else f" rate={rate['learning_rate']:g}"
    return told + ("" if decay is None else f" decay={decay._coeff:g}")


def main() -> None:
    """Writes the files."""
    use(sys.argv[1])
    hgnet_v2()
    table: dict[str, dict[str, str]] = {}
    kept: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in sorted(set(ARCHITECTURES.names()) - OURS):
            with paddle.utils.unique_name.guard():
                network = own(name)
            # Paddle's own names, such as conv2d_7.w_0, tell in which order they are made.
            made = {
                n: f"{'x'.join(map(str, p.shape))} {p.name}{own_rates(p)}"
                for n, p in network.state_dict().items()
            }
            table[name] = {n: told for n, told in made.items() if not n.startswith("head.sar_head.")}
            loaded(network, ARCHITECTURES[name], Path(folder))
            found = outputs(network, ARCHITECTURES[name].part)
            kept.update({f"{name} {state}": values for state, values in found.items()})
            print(
                name, len(table[name]), {s: (v.shape, float(v.std())) for s, v in found.items()}, flush=True
            )
    OUT.write_text(json.dumps(table, indent=0) + "\n", encoding="utf-8")
    np.savez_compressed(OUTPUTS, **kept)  # type: ignore[arg-type]
    print(f"{OUTPUTS}: {OUTPUTS.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
