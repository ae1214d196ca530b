from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.extras import reason

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))
onnx = pytest.importorskip("onnx", reason=reason("onnx", "test"))

from helpers.torch_weights import randomised  # noqa: E402
from onnx import numpy_helper  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint  # noqa: E402
from edge_lpr.architectures.registry import ARCHITECTURES, Architecture  # noqa: E402
from edge_lpr.architectures.torch_builder import TorchNetwork, load_weights, weights_of  # noqa: E402
from edge_lpr.bundle.manifest import load_bundle  # noqa: E402
from edge_lpr.errors import ModelError  # noqa: E402

DET, REC = ARCHITECTURES["ch_PP-OCRv3_det"], ARCHITECTURES["ch_PP-OCRv3_rec"]
DET4, REC4 = ARCHITECTURES["PP-OCRv4_mobile_det"], ARCHITECTURES["PP-OCRv4_mobile_rec"]
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.LayerNorm)
MATRICES = ("Conv", "ConvTranspose", "Gemm", "MatMul", "LayerNormalization")


def run_order(network: nn.Module, images: Tensor) -> list[nn.Module]:
    """The layers with weights in the order in which they run."""
    order: list[nn.Module] = []
    hooks = [
        m.register_forward_hook(lambda m, *_: order.append(m))
        for m in network.modules()
        if isinstance(m, LAYERS)
    ]
    network.train(True)  # a frozen norm goes round its convolution's own call
    with torch.no_grad():
        network(images)
    network.eval()
    for hook in hooks:
        hook.remove()
    return order


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        (DET, (2, 64, 96, 3)),
        (REC, (2, 48, 160, 3)),
        (DET4, (1, 64, 64, 3)),
        (REC4, (1, 48, 64, 3)),
    ],
)
def test_frozen_norms_change_nothing(architecture: Architecture, shape: tuple[int, ...]) -> None:
    network = randomised(TorchNetwork(architecture, 77))
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        folded = network(images)
        # As layers of their own: PyTorch's own formula with the running statistics.
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.training = True
                module.forward = lambda x, m=module: nn.functional.batch_norm(  # type: ignore[method-assign]
                    x, m.running_mean, m.running_var, m.weight, m.bias, False, 0.0, m.eps
                )
        plain = network(images)
    assert torch.allclose(folded, plain, rtol=1e-3, atol=1e-4 * float(plain.abs().max()))


def test_shapes() -> None:
    images = torch.zeros(2, 64, 96, 3, dtype=torch.uint8)
    det = TorchNetwork(DET)
    assert det.train()(images).shape == (2, 3, 64, 96)
    assert det.eval()(images).shape == (2, 1, 64, 96)
    assert TorchNetwork(REC, 77)(torch.zeros(3, 48, 160, 3, dtype=torch.uint8)).shape == (3, 20, 77)


@pytest.mark.parametrize("architecture", [DET, REC, DET4, REC4])
def test_weights_go_out_and_in(architecture: Architecture, tmp_path: Path) -> None:
    arrays = weights_of(randomised(TorchNetwork(architecture, 77)))
    wanted = {p.name: p.shape for p in architecture.parameters(77, training=True)}
    assert {name: a.shape for name, a in arrays.items()} == wanted
    save_checkpoint(tmp_path / "x.pdparams", arrays)
    network = TorchNetwork(architecture, 77)
    assert load_weights(network, load_checkpoint(tmp_path / "x.pdparams"), source="x") == []
    again = weights_of(network)
    assert list(again) == list(arrays)
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)


def test_what_may_be_missing_keeps_its_value() -> None:
    arrays = {n: a for n, a in weights_of(TorchNetwork(DET)).items() if not n.startswith("head.thresh.")}
    network = TorchNetwork(DET)
    before = weights_of(network)["head.thresh.conv1.weight"]
    assert len(load_weights(network, arrays, source="x", optional=DET.training_only)) == 13
    assert np.array_equal(weights_of(network)["head.thresh.conv1.weight"], before)
    with pytest.raises(ModelError, match=r"'head\.thresh\.conv1\.weight' is missing"):
        load_weights(network, arrays, source="x")


def test_frozen_blocks() -> None:
    network = TorchNetwork(REC, 9)
    network.freeze(0)
    assert all(p.requires_grad for p in network.parameters())
    network.freeze(2)
    frozen = {name.split("._")[0] for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {"backbone.conv1", "backbone.block_list.0", "backbone.block_list.1"}


def test_names_and_layout_are_paddles() -> None:
    arrays = weights_of(TorchNetwork(REC, 77))
    assert arrays["head.ctc_head.fc.weight"].shape == (64, 77)
    assert arrays["head.ctc_encoder.encoder.svtr_block.1.mixer.qkv.weight"].shape == (120, 360)
    assert arrays["backbone.block_list.11._se.conv1.weight"].shape == (64, 256, 1, 1)
    assert "backbone.conv1._batch_norm._variance" in arrays
    assert "backbone.stage2.1.bottleneck_conv.bn._mean" in weights_of(TorchNetwork(DET))


def test_bad_weights_are_named() -> None:
    network = TorchNetwork(REC, 77)
    good = weights_of(network)
    name = "backbone.conv1._conv.weight"
    with pytest.raises(
        ModelError,
        match=rf"x\.pdparams: parameter '{name}' is missing, so .* of ch_PP-OCRv3_rec; give the PP-OCRv3",
    ):
        load_weights(network, {k: v for k, v in good.items() if k != name}, source="x.pdparams")
    with pytest.raises(ModelError, match=r"has shape \(2, 2\), expected \(16, 3, 3, 3\)"):
        load_weights(network, {**good, name: np.zeros((2, 2), np.float32)}, source="x.pdparams")
    with pytest.raises(ModelError, match="holds NaN or infinity"):
        load_weights(network, {**good, name: good[name] * np.float32("nan")}, source="x.pdparams")


# --- the bundle that ships, which holds the same networks with their norms folded in -----------------------


def fill_from_onnx(network: TorchNetwork, images: Tensor, model: Any) -> None:
    """Fills a network with the weights of a folded graph; its norms become no-ops that carry the bias."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    adds = {i: n for n in model.graph.node if n.op_type == "Add" for i in n.input if i not in constants}
    layers = [n for n in model.graph.node if n.op_type in MATRICES and any(i in constants for i in n.input)]
    order = run_order(network, images)
    if network.architecture is DET:
        order = [m for m in order if all(m is not t for t in network.head.thresh.modules())]
    assert len(order) == len(layers)
    norms = dict(zip(order, following_norms(network, order), strict=True))
    with torch.no_grad():
        for module, node in zip(order, layers, strict=True):
            values = [constants[i] for i in node.input if i in constants]
            if len(values) == 1 and node.output[0] in adds:
                values += [constants[i] for i in adds[node.output[0]].input if i in constants]
            weight = values[0].T if isinstance(module, nn.Linear) and node.op_type != "Gemm" else values[0]
            if module is order[0]:  # export moves the division by the deviation into the first convolution
                weight = weight * network.std.numpy()
            module.weight.copy_(torch.from_numpy(np.array(weight)))
            bias = torch.from_numpy(np.array(values[1]).ravel()) if len(values) > 1 else None
            norm = norms[module]
            if norm is not None:
                norm.running_mean.zero_()
                norm.running_var.fill_(1 - norm.eps)
                norm.weight.fill_(1)
                norm.bias.copy_(bias)
                if module.bias is not None:
                    module.bias.zero_()
            elif bias is not None:
                module.bias.copy_(bias)


def following_norms(network: nn.Module, order: list[nn.Module]) -> list[nn.BatchNorm2d | None]:
    found: dict[nn.Module, nn.BatchNorm2d] = {}
    for parent in network.modules():
        pairs = pairwise(parent.children())
        found |= {first: second for first, second in pairs if isinstance(second, nn.BatchNorm2d)}
    return [found.get(m) for m in order]


def test_the_large_detector_is_that_of_the_bundle() -> None:
    """The recognizer's layers are sums of branches, which export adds up: its parity with Paddle shows it."""
    ort = pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    model = onnx.load_from_string(load_bundle("accurate").model("det", "fp32").read())
    network = TorchNetwork(DET)
    images = np.random.default_rng(3).integers(0, 256, (1, 96, 160, 3), np.uint8)
    fill_from_onnx(network, torch.from_numpy(images), model)
    network.eval()
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(["prob"], {session.get_inputs()[0].name: images})[0]
    with torch.no_grad():
        found = network(torch.from_numpy(images))[:, 0]
    assert np.abs(found.numpy() - expected).max() < 1e-4
