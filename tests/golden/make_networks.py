"""Makes `paddleocr_networks.json`: names and shapes of PaddleOCR's networks, as another translation has them.

    pip download --no-deps rapidocr==3.10.0
    python tests/golden/make_networks.py rapidocr-3.10.0-py3-none-any.whl

PaddleOCR's wheels leave its `ppocr/modeling` out. RapidOCR's wheel has it translated to PyTorch, with
PaddleOCR's names, and its configurations: networks that were written by others are built of it, given weights
that were drawn here, and compared with those of the tables, which must take the same weights and return the
same. What is printed is the largest difference of an output. Needs torch and pyyaml.
"""

from __future__ import annotations

import copy
import importlib
import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from edge_lpr.architectures.registry import ARCHITECTURES
from edge_lpr.architectures.torch_builder import TorchNetwork
from edge_lpr.architectures.weights import paddle_name

OUT = Path(__file__).with_name("paddleocr_networks.json")
PACKAGE = "rapidocr/inference_engine/pytorch/networks"
CONFIGS = {
    "ch_PP-OCRv3_det": "en_PP-OCRv3_det_mobile",
    "PP-OCRv3_rec_without_guide": "latin_PP-OCRv3_rec_mobile",
    "PP-OCRv4_mobile_det": "ch_PP-OCRv4_det_mobile",
    "PP-OCRv4_mobile_rec": "ch_PP-OCRv5_rec_mobile",
    "PP-OCRv4_server_det": "ch_PP-OCRv4_det_server",
    "PP-OCRv4_server_rec": "ch_PP-OCRv4_rec_server",
    "PP-OCRv5_server_det": "ch_PP-OCRv5_det_server",
    "PP-OCRv5_server_rec": "ch_PP-OCRv5_rec_server",
    "ch_PP-OCRv3_rec": "",
    "ch_PP-OCRv2_det": "",
}
CLASSES = 71


def config_of(name: str, configs: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a network; those that RapidOCR has no weights of are put together."""
    if name == "ch_PP-OCRv2_det":
        config = copy.deepcopy(configs["en_PP-OCRv3_det_mobile"])
        config["Neck"] = {"name": "DBFPN", "out_channels": 96}
        return config
    if name == "ch_PP-OCRv3_rec":
        config = copy.deepcopy(configs["latin_PP-OCRv3_rec_mobile"])
        neck = {"name": "svtr", "dims": 64, "depth": 2, "hidden_dims": 120, "use_guide": True}
        heads = [{"CTCHead": {"Neck": neck, "Head": {"fc_decay": 1e-5}}}, {"SARHead": {}}]
        config |= {"Neck": None, "Head": {"name": "MultiHead", "head_list": heads, "out_channels_list": {}}}
        return config
    config = copy.deepcopy(configs[CONFIGS[name]])
    config.setdefault("Neck", None)
    return config


def theirs(name: str, configs: dict[str, Any], base_model: type[nn.Module]) -> nn.Module:
    config = config_of(name, configs)
    if config["model_type"] == "rec":
        lists = {"CTCLabelDecode": CLASSES, "NRTRLabelDecode": CLASSES + 3, "SARLabelDecode": CLASSES + 2}
        config["Head"] |= {"out_channels_list": lists} if "head_list" in config["Head"] else {}
        config["Head"] |= {"out_channels": CLASSES} if "out_channels" in config["Head"] else {}
    network = base_model(config)
    encoder = getattr(getattr(network.head, "ctc_encoder", None), "encoder", None)
    if encoder is not None and encoder.conv1.conv.kernel_size == (1, 3):
        # RapidOCR has 3x3 here, PaddleOCR the neck's kernel, as the general weights show.
        old = encoder.conv4.conv
        encoder.conv4.conv = nn.Conv2d(old.in_channels, old.out_channels, (1, 3), padding=(0, 1), bias=False)
    return network


def named(network: nn.Module, flat_stages: bool) -> dict[str, torch.Tensor]:
    """Weights and statistics by name; PaddleOCR's MobileNetV3 has no list of stages."""
    state = {n: t for n, t in network.state_dict().items() if not n.endswith("num_batches_tracked")}
    return {
        n.replace("backbone.stages.", "backbone.stage") if flat_stages else n: t for n, t in state.items()
    }


def drawn(state: dict[str, torch.Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    for name, tensor in state.items():
        spread = torch.rand(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            value = 0.5 + spread
        elif tensor.ndim == 1 and name.endswith(("weight", "scale")):
            value = 0.8 + 0.4 * spread
        else:
            value = (spread - 0.5) * (0.2 if tensor.ndim == 1 else 2 * (3 / tensor[0].numel()) ** 0.5)
        tensor.copy_(value)


@torch.no_grad()
def main() -> None:
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(sys.argv[1]) as wheel:
        wheel.extractall(folder, [n for n in wheel.namelist() if n.startswith(PACKAGE)])
        sys.path.insert(0, str(Path(folder, PACKAGE).parent))
        base_model = importlib.import_module("networks.architectures.base_model").BaseModel
        configs = yaml.safe_load(Path(folder, PACKAGE, "arch_config.yaml").read_text(encoding="utf-8"))
        table: dict[str, dict[str, str]] = {}
        for name in CONFIGS:
            architecture = ARCHITECTURES[name]
            network, ours = theirs(name, configs, base_model), TorchNetwork(architecture, CLASSES)
            linear = {f"{n}.weight" for n, m in network.named_modules() if isinstance(m, nn.Linear)}
            found = named(network, "MobileNetV3" in str(config_of(name, configs)["Backbone"]["name"]))
            table[name] = {
                paddle_name(n): "x".join(map(str, reversed(t.shape) if n in linear else t.shape))
                for n, t in found.items()
            }
            state = named(ours, flat_stages=False)
            drawn(state)
            assert not state.keys() - found.keys(), sorted(state.keys() - found.keys())[:3]
            for key, value in state.items():
                found[key].copy_(value)
            image = torch.randn(1, 3, 48, 64 if architecture.part == "rec" else 96)
            image = image if architecture.part == "rec" else torch.randn(1, 3, 64, 96)
            wanted = network.eval()(image)
            wanted = next(iter(wanted.values())) if isinstance(wanted, dict) else wanted
            got = super(TorchNetwork, ours.eval()).forward(image)
            if architecture.part == "rec":
                got = got.softmax(-1)
                sums_to_one = (wanted.sum(-1) - 1).abs().max() < 1e-3
                wanted = wanted if sums_to_one else wanted.softmax(-1)
            print(f"{name}: {len(found)} parameters, {float((got - wanted).abs().max()):.1e}")
    OUT.write_text(json.dumps(table, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
