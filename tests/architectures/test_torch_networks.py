from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'edge-lpr[finetune]'")
onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'edge-lpr[test]'")

from onnx import numpy_helper  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint  # noqa: E402
from edge_lpr.architectures.torch_networks import DetNetwork, RecNetwork, load_weights, weights_of  # noqa: E402
from edge_lpr.bundle.manifest import load_bundle  # noqa: E402
from edge_lpr.errors import ModelError  # noqa: E402

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.LayerNorm)
MATRICES = ("Conv", "ConvTranspose", "Gemm", "MatMul", "LayerNormalization")


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Gives every weight a value, batch-norm statistics too."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            spread = torch.rand(tensor.shape, generator=generator)
            positive = name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight"))
            tensor.copy_(0.5 + spread if positive else (spread - 0.5) * 0.4)
    return network.eval()


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
    ("make", "shape"), [(DetNetwork, (2, 64, 96, 3)), (lambda: RecNetwork(77), (2, 48, 160, 3))]
)
def test_frozen_norms_change_nothing(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    network = randomised(make())
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
    det = DetNetwork()
    assert det.train()(images).shape == (2, 3, 64, 96)
    assert det.eval()(images).shape == (2, 1, 64, 96)
    assert RecNetwork(77)(torch.zeros(3, 48, 160, 3, dtype=torch.uint8)).shape == (3, 20, 77)


@pytest.mark.parametrize("make", [DetNetwork, lambda: RecNetwork(77)])
def test_weights_go_out_and_in(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    arrays = weights_of(randomised(make()))
    save_checkpoint(tmp_path / "x.pdparams", arrays)
    network = make()
    assert load_weights(network, load_checkpoint(tmp_path / "x.pdparams"), source="x") == []
    again = weights_of(network)
    assert list(again) == list(arrays)
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)


def test_names_and_layout_are_paddles() -> None:
    arrays = weights_of(RecNetwork(77))
    assert arrays["head.ctc_head.fc.weight"].shape == (64, 77)
    assert arrays["head.ctc_encoder.encoder.svtr_block.1.mixer.qkv.weight"].shape == (120, 360)
    assert arrays["backbone.block_list.11._se.conv1.weight"].shape == (64, 256, 1, 1)
    assert "backbone.conv1._batch_norm._variance" in arrays
    assert "backbone.stage2.1.bottleneck_conv.bn._mean" in weights_of(DetNetwork())


def test_bad_weights_are_named() -> None:
    network = RecNetwork(77)
    good = weights_of(network)
    name = "backbone.conv1._conv.weight"
    with pytest.raises(ModelError, match=rf"x\.pdparams: parameter '{name}' is missing"):
        load_weights(network, {k: v for k, v in good.items() if k != name}, source="x.pdparams")
    with pytest.raises(ModelError, match=r"has shape \(2, 2\), expected \(16, 3, 3, 3\)"):
        load_weights(network, {**good, name: np.zeros((2, 2), np.float32)}, source="x.pdparams")
    with pytest.raises(ModelError, match="holds NaN or infinity"):
        load_weights(network, {**good, name: good[name] * np.float32("nan")}, source="x.pdparams")


# --- the bundle that ships, which holds the same networks with their norms folded in -----------------------


def folded_layers(model: Any) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The constants of each layer with weights, in the order in which ONNX runs them."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in MATRICES:
            values = [constants[i] for i in node.input if i in constants]
            if values:
                yield node.op_type, values


def fill_from_onnx(network: nn.Module, images: Tensor, model: Any) -> None:
    """Fills a network with the weights of a folded graph; its norms become no-ops that carry the bias."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    adds = {i: n for n in model.graph.node if n.op_type == "Add" for i in n.input if i not in constants}
    layers = [n for n in model.graph.node if n.op_type in MATRICES and any(i in constants for i in n.input)]
    order = run_order(network, images)
    if isinstance(network, DetNetwork):
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
                std = network.std.numpy() if isinstance(network, DetNetwork) else np.float32(127.5)
                weight = weight * std
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


@pytest.mark.parametrize("part", ["det", "rec"])
def test_the_networks_are_those_of_the_bundle(part: str) -> None:
    ort = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install 'edge-lpr[cpu]'")
    bundle = load_bundle(None)
    data = bundle.model(part, "fp32").read()  # type: ignore[arg-type]
    model = onnx.load_from_string(data)
    rng = np.random.default_rng(3)
    if part == "det":
        shape, output = (1, 96, 160, 3), "prob"
        network: nn.Module = DetNetwork()
    else:
        shape = (2, 48, 160, 3)
        softmax = next(n for n in reversed(model.graph.node) if n.op_type == "Softmax")
        output = softmax.output[0]
        if output not in {o.name for o in model.graph.output}:
            model.graph.output.append(onnx.helper.make_tensor_value_info(output, 1, None))
        head = [v for op, v in folded_layers(model) if op in ("Gemm", "MatMul")][-1][0]
        network = RecNetwork(max(head.shape))
    images = np.ascontiguousarray(rng.integers(0, 256, shape, np.uint8))
    fill_from_onnx(network, torch.from_numpy(images), model)
    network.eval()
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run([output], {session.get_inputs()[0].name: images})[0]
    with torch.no_grad():
        found = network(torch.from_numpy(images))
        found = found[:, 0] if part == "det" else found.softmax(-1)
    assert np.abs(found.numpy() - expected).max() < 1e-4


# --- Paddle: in a process of its own, since two frameworks in one process get in each other's way -----------

PADDLE = """
import sys
import numpy as np, paddle
from edge_lpr.architectures.pdparams import load_checkpoint
from edge_lpr.architectures.paddle_networks import det_network, rec_network
folder = sys.argv[1]
for part, make in (("det", det_network), ("rec", rec_network)):
    network, _ = make(load_checkpoint(f"{folder}/{part}.pdparams"), part)
    network.eval()
    out = network(paddle.to_tensor(np.load(f"{folder}/{part}_in.npy")))
    np.save(f"{folder}/{part}_out.npy", out.numpy())
"""


@pytest.mark.skipif(find_spec("paddle") is None, reason="needs PaddlePaddle: pip install 'edge-lpr[export]'")
def test_paddle_computes_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    networks = {"det": randomised(DetNetwork()), "rec": randomised(RecNetwork(77))}
    images = {"det": (1, 64, 96, 3), "rec": (2, 48, 160, 3)}
    found = {}
    for part, network in networks.items():
        batch = rng.integers(0, 256, images[part], np.uint8)
        with torch.no_grad():
            out = network(torch.from_numpy(batch))
        found[part] = (out if part == "det" else out.softmax(-1)).numpy()
        mean, std = (
            (np.array([0.485, 0.456, 0.406]) * 255, np.array([0.229, 0.224, 0.225]) * 255)
            if part == "det"
            else (127.5, 127.5)
        )
        np.save(tmp_path / f"{part}_in.npy", ((batch - mean) / std).transpose(0, 3, 1, 2).astype(np.float32))
        save_checkpoint(tmp_path / f"{part}.pdparams", weights_of(network))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PADDLE, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for part, values in found.items():
        assert values.std() > 1e-3, "the comparison would compare nothing"
        assert np.abs(np.load(tmp_path / f"{part}_out.npy") - values).max() < 1e-4
