"""What a detector learns from another one, and the start of one that is new."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from helpers.extras import reason
from helpers.train_configs import train_config

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))

from edge_lpr.architectures.registry import ARCHITECTURES, identify  # noqa: E402
from edge_lpr.architectures.torch_builder import TorchNetwork, load_weights, weights_of  # noqa: E402
from edge_lpr.errors import ModelError, SettingError  # noqa: E402
from edge_lpr.finetune.training.det import DetTraining  # noqa: E402
from edge_lpr.finetune.training.distillation import (  # noqa: E402
    Teacher,
    distillation_loss,
    feature_loss,
    map_loss,
    settle,
    shared,
    start_weights,
)
from edge_lpr.types import Image, Quad, Rng  # noqa: E402

LARGE, SLIM = ARCHITECTURES["ch_PP-OCRv3_det"], ARCHITECTURES["slim_det"]
IMAGES = torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    """The large detector's, as inference models have them."""
    torch.manual_seed(1)
    return {n: a for n, a in weights_of(TorchNetwork(LARGE)).items() if not n.startswith("head.thresh.")}


def test_a_teacher_tells_its_map_and_what_its_backbone_saw(weights: dict[str, np.ndarray]) -> None:
    teacher = Teacher(weights, "t")
    prob, features = teacher(IMAGES)
    network = TorchNetwork(LARGE)
    load_weights(network, weights, source="t", optional=("head.thresh.",))
    with torch.no_grad():
        assert torch.allclose(prob, network.eval()(IMAGES)[:, 0], atol=1e-5)
    assert [f.shape[1:] for f in features] == [(16, 16, 24), (24, 8, 12), (56, 4, 6), (480, 2, 3)]
    assert not any(p.requires_grad for p in teacher.network.parameters())
    with pytest.raises(ModelError, match=r"^t: parameter .* is missing"):
        Teacher({n: a for n, a in weights.items() if not n.startswith("neck.")}, "t")


def test_the_map_is_learnt_where_it_tells_something() -> None:
    taught = torch.full((1, 40, 60), 0.01)
    taught[:, 10:20, 10:40] = 0.9
    everywhere = torch.ones_like(taught, dtype=torch.bool)
    assert float(map_loss(taught, taught, everywhere)) == pytest.approx(0, abs=1e-6)
    missed = torch.full_like(taught, 0.01)
    # 300 of 1,300 pixels that count, at the divergence of 0.01 from 0.9.
    divergence = 0.9 * np.log(0.9 / 0.01) + 0.1 * np.log(0.1 / 0.99)
    assert float(map_loss(missed, taught, everywhere)) == pytest.approx(divergence * 300 / 1300, rel=1e-3)
    elsewhere = everywhere.clone()
    elsewhere[:, 10:20, 10:40] = False
    assert float(map_loss(missed, taught, elsewhere)) == pytest.approx(0, abs=1e-6)


def test_a_label_is_believed_more_than_the_teacher() -> None:
    taught, label = torch.full((1, 32, 32), 0.01), torch.zeros(1, 32, 32)
    label[:, 8:16, 8:24] = 1.0  # which the teacher misses
    features = [torch.ones(1, 2, 4, 4)]
    found = label.clamp(0.01, 0.99)
    _, parts = distillation_loss(found, features, taught, features, label, torch.ones_like(label))
    assert parts["teacher"] == pytest.approx(0, abs=1e-5)
    # What no label counts for is learnt from the teacher.
    _, parts = distillation_loss(found, features, taught, features, label, 1 - label)
    assert parts["teacher"] > 1


def test_backbones_are_compared_where_they_have_one_shape() -> None:
    first, second = torch.randn(2, 1, 8, 6, 6, generator=torch.Generator().manual_seed(2)).unbind()
    assert float(feature_loss([first], [first])) == 0
    assert float(feature_loss([0 * first], [first])) == pytest.approx(1, abs=0.05)
    both = float(feature_loss([first, second], [second, first]))
    alone = float(feature_loss([first], [second])) + float(feature_loss([second], [first]))
    assert both == pytest.approx(alone)
    assert float(feature_loss([first, first], [first, second[:, :4]])) == 0
    assert float(feature_loss([first], [second[:, :4]])) == 0


def test_a_new_network_begins_with_what_another_has(weights: dict[str, np.ndarray]) -> None:
    start = start_weights(SLIM, weights, seed=3)
    assert identify(start, "det", "s").architecture is SLIM
    taken = shared(SLIM, weights)
    assert all(start[name] is weights[name] or np.array_equal(start[name], weights[name]) for name in taken)
    stages = {
        name for name in weights if name.startswith(("backbone.stage1", "backbone.stage2", "backbone.stage3"))
    }
    assert stages <= taken
    new = {p.name for p in SLIM.parameters(training=True)} - taken
    assert {"backbone.conv.conv.weight", "neck.down.0.bias", "head.thresh.conv3.weight"} <= new
    again, other = (start_weights(SLIM, weights, seed=s) for s in (3, 4))
    drawn = "backbone.conv.conv.weight"
    assert np.array_equal(start[drawn], again[drawn])
    assert not np.array_equal(start[drawn], other[drawn])


def test_new_layers_are_brought_to_one_scale_and_old_ones_left_alone(weights: dict[str, np.ndarray]) -> None:
    network = TorchNetwork(SLIM)
    taken = shared(SLIM, weights)
    load_weights(network, start_weights(SLIM, weights, seed=3), source="s")
    settle(network, taken, IMAGES)
    settled = weights_of(network)
    assert all(np.array_equal(settled[name], weights[name]) for name in taken)
    assert not network.training
    with torch.no_grad():
        neck = network.neck(network.backbone((IMAGES.permute(0, 3, 1, 2) - network.mean) / network.std))
        prob = network(IMAGES)
    # The finest level is the sum of two.
    assert 0.3 < float(neck.std()) < 3
    assert 0.05 < float(prob.std()) < 0.45, "a map that says nothing, or is sure of everything"
    assert all(not hooks for hooks in (m._forward_hooks for m in network.modules()))


def scene(rng: Rng, size: tuple[int, int], _photo: int | None) -> tuple[Image, list[Quad], list[bool]]:
    """A bright plate on noise."""
    image = rng.integers(0, 80, (size[1], size[0], 3), np.uint8)
    image[30:60, 20:100] = 220
    return image, [np.array([[20, 30], [100, 30], [100, 60], [20, 60]], np.float32)], [False]


def task(weights: dict[str, np.ndarray], **changes: object) -> DetTraining:
    settings = {"batch": 1, "width": 128, "height": 96, "frozen_blocks": 0, "network": "slim_det"}
    config = train_config("det", **(settings | changes))
    return DetTraining(config, weights, "x", scene=scene, teacher=Teacher(weights, "t"))


def test_a_student_learns_labels_and_what_its_teacher_sees(weights: dict[str, np.ndarray]) -> None:
    found = task(weights)
    assert pickle.loads(pickle.dumps(found)).teacher is None, "workers make batches alone"
    batch = found.batch(1)
    losses = []
    for _ in range(3):
        loss, parts = found.loss(found.network.train(), batch)
        assert set(parts) == {"shrink", "threshold", "binary", "teacher", "features"}
        assert sum(parts.values()) == pytest.approx(float(loss.detach()), rel=1e-5)
        loss.backward()
        with torch.no_grad():
            for parameter in found.network.parameters():
                assert parameter.grad is not None
                parameter.sub_(1e-3 * parameter.grad)
                parameter.grad = None
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    weighed = task(weights, distillation=0.0)
    assert sum(weighed.loss(weighed.network.train(), batch)[1].values()) > float(
        weighed.loss(weighed.network, batch)[0].detach()
    )


def test_what_is_taken_over_can_wait_for_the_rest(weights: dict[str, np.ndarray]) -> None:
    waiting = {
        n for n, p in task(weights, frozen_shared=True).network.named_parameters() if not p.requires_grad
    }
    assert waiting == {n for n in shared(SLIM, weights) if not n.endswith(("._mean", "._variance"))}
    assert all(p.requires_grad for p in task(weights).network.parameters())


def test_new_norms_learn_their_statistics_and_the_teachers_keep_theirs(
    weights: dict[str, np.ndarray],
) -> None:
    found = task(weights).new_norms
    assert {"backbone.conv.bn", "head.binarize.conv_bn1", "head.thresh.conv_bn2"} <= set(found)
    assert not any(
        name.startswith(("backbone.stage1", "backbone.stage2", "backbone.stage3")) for name in found
    )
    # A run that goes on from a slim one keeps all.
    begun = weights_of(task(weights).network)
    config = task(weights).config
    assert not DetTraining(config, begun, "y", scene=scene, teacher=Teacher(weights, "t")).new_norms


def test_another_network_needs_a_teacher_and_all_that_is_new(
    weights: dict[str, np.ndarray],
) -> None:
    with pytest.raises(SettingError, match=r"EdgeLPR\.frozen_blocks: backbone\.conv\.conv\.weight is new"):
        task(weights, frozen_blocks=3)
    config = task(weights).config
    with pytest.raises(
        SettingError, match=r"^x: weights of ch_PP-OCRv3_det, but .* describes slim_det.*--teacher"
    ):
        DetTraining(config, weights, "x", scene=scene)
    # What was begun so is gone on with as it is.
    begun = weights_of(task(weights).network)
    again = DetTraining(config, begun, "y", scene=scene, teacher=Teacher(weights, "t"))
    assert all(np.array_equal(begun[name], value) for name, value in weights_of(again.network).items())
