"""The two PP-OCRv3 networks in PyTorch, with weights in and out under PaddleOCR's parameter names.

Modules carry PaddleOCR's attribute names, so that a parameter is called the same on both sides. What
differs is converted here and nowhere else: PaddlePaddle keeps linear weights as in×out (PyTorch: out×in)
and calls batch-norm statistics `_mean` and `_variance`.

Sources of the layer tables: PaddleOCR's `ch_PP-OCRv3_det_cml.yml` (student) and `ch_PP-OCRv3_rec.yml`,
MobileNetV3 (Howard et al. 2019, table 1), DB (Liao et al. 2020), SVTR (Du et al. 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edge_lpr.errors import ModelError

__all__ = ["DetNetwork", "RecNetwork", "load_weights", "weights_of"]

Arrays = Mapping[str, NDArray[np.float32]]

# PaddleOCR's mean and deviation for detection, applied to B, G, R in this order, on pixels scaled to 0..1.
DET_MEAN = (0.485, 0.456, 0.406)
DET_STD = (0.229, 0.224, 0.225)


class _Gate(nn.Module):
    """Squeeze-and-excitation. `slope` is the hard sigmoid's: 0.2 in the detector, 1/6 in the recognizer."""

    def __init__(self, channels: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.conv1 = nn.Conv2d(channels, channels // 4, 1)
        self.conv2 = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        g = self.conv2(F.relu(self.conv1(x.mean((2, 3), keepdim=True))))
        out: Tensor = x * (g * self.slope + 0.5).clamp(0.0, 1.0)
        return out


class _ConvBN(nn.Module):
    """Convolution, batch norm, activation; `names` are what PaddleOCR calls the first two."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int = 1,
        stride: int | tuple[int, int] = 1,
        groups: int = 1,
        act: type[nn.Module] = nn.Identity,
        names: tuple[str, str] = ("conv", "bn"),
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(
            channels_in, channels_out, kernel, stride, padding=kernel // 2, groups=groups, bias=False
        )
        self.add_module(names[0], conv)
        self.add_module(names[1], nn.BatchNorm2d(channels_out))
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        conv, norm, act = self.children()
        return cast("Tensor", act(_conv_norm(cast("nn.Conv2d", conv), cast("nn.BatchNorm2d", norm), x)))


def _conv_norm(conv: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Convolution and batch norm. With frozen statistics the norm is folded into the convolution's weights.

    As a layer of its own a norm costs a fifth of a training step on a CPU, all of it memory traffic.
    """
    if norm.training:
        return cast("Tensor", norm(conv(x)))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    before = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    shift = norm.bias + before * scale
    if isinstance(conv, nn.ConvTranspose2d):
        return F.conv_transpose2d(x, conv.weight * scale.view(1, -1, 1, 1), shift, conv.stride)
    weight = conv.weight * scale.view(-1, 1, 1, 1)
    return F.conv2d(x, weight, shift, conv.stride, conv.padding, groups=conv.groups)


# --- detection -------------------------------------------------------------------------------------------


def _divisible(value: float, divisor: int = 8) -> int:
    """Rounds a channel count to a multiple of 8, never down by more than a tenth (MobileNetV2's rule)."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


# MobileNetV3-large: kernel, expansion, output channels, activation, stride; the gates are left out.
_LARGE: tuple[tuple[int, int, int, type[nn.Module], int], ...] = (
    (3, 16, 16, nn.ReLU, 1),
    (3, 64, 24, nn.ReLU, 2),
    (3, 72, 24, nn.ReLU, 1),
    (5, 72, 40, nn.ReLU, 2),
    (5, 120, 40, nn.ReLU, 1),
    (5, 120, 40, nn.ReLU, 1),
    (3, 240, 80, nn.Hardswish, 2),
    (3, 200, 80, nn.Hardswish, 1),
    (3, 184, 80, nn.Hardswish, 1),
    (3, 184, 80, nn.Hardswish, 1),
    (3, 480, 112, nn.Hardswish, 1),
    (3, 672, 112, nn.Hardswish, 1),
    (5, 672, 160, nn.Hardswish, 2),
    (5, 960, 160, nn.Hardswish, 1),
    (5, 960, 160, nn.Hardswish, 1),
)
_STAGE_STARTS = (3, 6, 12)  # blocks that halve the resolution after 1/4, and so begin a new stage
_SCALE = 0.5


class _Residual(nn.Module):
    def __init__(
        self, channels_in: int, middle: int, channels_out: int, kernel: int, stride: int, act: type[nn.Module]
    ) -> None:
        super().__init__()
        self.shortcut = stride == 1 and channels_in == channels_out
        self.expand_conv = _ConvBN(channels_in, middle, act=act)
        self.bottleneck_conv = _ConvBN(middle, middle, kernel, stride, groups=middle, act=act)
        self.linear_conv = _ConvBN(middle, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear_conv(self.bottleneck_conv(self.expand_conv(x)))
        out: Tensor = x + y if self.shortcut else y
        return out


class _MobileNetV3(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        channels = _divisible(16 * _SCALE)
        self.conv = _ConvBN(3, channels, 3, 2, act=nn.Hardswish)
        self.out_channels: list[int] = []
        blocks: list[nn.Module] = []
        for i, (kernel, expansion, out, act, stride) in enumerate(_LARGE):
            if i in _STAGE_STARTS:
                self._close_stage(blocks, channels)
                blocks = []
            wide, out_channels = _divisible(expansion * _SCALE), _divisible(out * _SCALE)
            blocks.append(_Residual(channels, wide, out_channels, kernel, stride, act))
            channels = out_channels
        last = _divisible(960 * _SCALE)
        blocks.append(_ConvBN(channels, last, act=nn.Hardswish))
        self._close_stage(blocks, last)

    def _close_stage(self, blocks: list[nn.Module], channels: int) -> None:
        self.add_module(f"stage{len(self.out_channels)}", nn.Sequential(*blocks))
        self.out_channels.append(channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.conv(x)
        maps = []
        for i in range(len(self.out_channels)):
            x = self.get_submodule(f"stage{i}")(x)
            maps.append(x)
        return maps


class _RSELayer(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.in_conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False)
        self.se_block = _Gate(channels_out, slope=0.2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.in_conv(x)
        out: Tensor = y + self.se_block(y)
        return out


class _RSEFPN(nn.Module):
    """Feature pyramid of residual squeeze-and-excitation layers; all levels end at a quarter resolution."""

    def __init__(self, channels: list[int], out: int) -> None:
        super().__init__()
        self.ins_conv = nn.ModuleList()
        self.inp_conv = nn.ModuleList()
        for c in channels:
            self.ins_conv.append(_RSELayer(c, out, 1))
            self.inp_conv.append(_RSELayer(out, out // 4, 3))

    def forward(self, maps: list[Tensor]) -> Tensor:
        merged: list[Tensor] = []  # from the coarsest level down
        for conv, level in zip(reversed(self.ins_conv), reversed(maps), strict=True):
            x = conv(level)
            merged.append(x + F.interpolate(merged[-1], scale_factor=2.0, mode="nearest") if merged else x)
        levels = [conv(x) for conv, x in zip(reversed(self.inp_conv), merged, strict=True)]
        factors = (8.0, 4.0, 2.0)
        grown = [
            F.interpolate(x, scale_factor=f, mode="nearest") for x, f in zip(levels, factors, strict=False)
        ]
        return torch.cat([*grown, levels[-1]], dim=1)


class _DBBranch(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.conv1 = nn.Conv2d(channels, inner, 3, padding=1, bias=False)
        self.conv_bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.ConvTranspose2d(inner, inner, 2, 2)
        self.conv_bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.ConvTranspose2d(inner, 1, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(_conv_norm(self.conv1, self.conv_bn1, x))
        x = F.relu(_conv_norm(self.conv2, self.conv_bn2, x))
        out: Tensor = self.conv3(x).float().sigmoid()
        return out


class _DBHead(nn.Module):
    def __init__(self, channels: int, k: float) -> None:
        super().__init__()
        self.k = k
        self.binarize = _DBBranch(channels)
        self.thresh = _DBBranch(channels)

    def forward(self, x: Tensor) -> Tensor:
        shrink: Tensor = self.binarize(x)
        if not self.training:
            return shrink
        threshold = self.thresh(x)
        binary = torch.sigmoid(self.k * (shrink - threshold))
        return torch.cat([shrink, threshold, binary], dim=1)


class DetNetwork(nn.Module):
    """`ch_PP-OCRv3_det`'s student: MobileNetV3-large ×0.5 without gates, RSEFPN 96, DB head with k = 50.

    `forward` takes uint8 or float images N×H×W×3 in BGR with pixels 0 to 255, H and W multiples of 32. It
    returns float32 N×1×H×W probabilities when evaluating; when training N×3×H×W: probability, threshold and
    approximate binary map.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _MobileNetV3()
        self.neck = _RSEFPN(self.backbone.out_channels, 96)
        self.head = _DBHead(96, k=50.0)
        self.register_buffer("mean", torch.tensor(DET_MEAN).view(1, 3, 1, 1) * 255.0, persistent=False)
        self.register_buffer("std", torch.tensor(DET_STD).view(1, 3, 1, 1) * 255.0, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the maps, see above."""
        x = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        out: Tensor = self.head(self.neck(self.backbone(x)))
        return out


# --- recognition -----------------------------------------------------------------------------------------

_REC_NAMES = ("_conv", "_batch_norm")

# MobileNetV1Enhance ×0.5: input channels, output channels, depthwise kernel, stride (rows, columns), gate.
_ENHANCE: tuple[tuple[int, int, int, tuple[int, int], bool], ...] = (
    (16, 32, 3, (1, 1), False),
    (32, 64, 3, (1, 1), False),
    (64, 64, 3, (1, 1), False),
    (64, 128, 3, (2, 1), False),
    (128, 128, 3, (1, 1), False),
    (128, 256, 3, (2, 1), False),
    *(((256, 256, 5, (1, 1), False),) * 5),
    (256, 512, 5, (2, 1), True),
    (512, 512, 5, (1, 2), True),
)


class _Separable(nn.Module):
    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: tuple[int, int], gate: bool
    ) -> None:
        super().__init__()
        self._depthwise_conv = _ConvBN(
            channels_in, channels_in, kernel, stride, channels_in, nn.Hardswish, _REC_NAMES
        )
        self._se = _Gate(channels_in, slope=1 / 6) if gate else nn.Identity()
        self._pointwise_conv = _ConvBN(channels_in, channels_out, act=nn.Hardswish, names=_REC_NAMES)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self._pointwise_conv(self._se(self._depthwise_conv(x)))
        return out


class _MobileNetV1Enhance(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _ConvBN(3, 16, 3, 2, act=nn.Hardswish, names=_REC_NAMES)
        self.block_list = nn.Sequential(*(_Separable(*row) for row in _ENHANCE))

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.block_list(self.conv1(x)), 2)


class _Attention(nn.Module):
    def __init__(self, dim: int, heads: int, drop: float) -> None:
        super().__init__()
        self.heads, self.drop = heads, drop
        self.qkv = nn.Linear(dim, dim * 3)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=self.drop if self.training else 0.0)
        return F.dropout(self.proj(y.transpose(1, 2).reshape(n, t, c)), self.drop, self.training)


class _Mlp(nn.Module):
    def __init__(self, dim: int, inner: int, drop: float) -> None:
        super().__init__()
        self.drop = drop
        self.fc1 = nn.Linear(dim, inner)
        self.fc2 = nn.Linear(inner, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(F.silu(self.fc1(x)), self.drop, self.training)
        return F.dropout(self.fc2(x), self.drop, self.training)


class _Block(nn.Module):
    def __init__(self, dim: int, drop: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-5)
        self.mixer = _Attention(dim, 8, drop)
        self.norm2 = nn.LayerNorm(dim, eps=1e-5)
        self.mlp = _Mlp(dim, dim * 2, drop)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mixer(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class _SVTR(nn.Module):
    """The CTC branch's neck: global mixing over the columns, joined with what went in.

    `use_guide` (PaddleOCR's word): no gradient flows to the backbone through this neck, only through the
    SAR branch. Here there is no SAR branch, so the gradient must flow; at inference it makes no difference.
    """

    def __init__(self, channels: int, dims: int = 64, depth: int = 2, hidden: int = 120) -> None:
        super().__init__()
        names = ("conv", "norm")
        self.conv1 = _ConvBN(channels, channels // 8, 3, act=nn.SiLU, names=names)
        self.conv2 = _ConvBN(channels // 8, hidden, act=nn.SiLU, names=names)
        self.svtr_block = nn.ModuleList(_Block(hidden, drop=0.1) for _ in range(depth))
        self.norm = nn.LayerNorm(hidden, eps=1e-6)
        self.conv3 = _ConvBN(hidden, channels, act=nn.SiLU, names=names)
        self.conv4 = _ConvBN(2 * channels, channels // 8, 3, act=nn.SiLU, names=names)
        self.conv1x1 = _ConvBN(channels // 8, dims, act=nn.SiLU, names=names)

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv2(self.conv1(x))
        height, width = z.shape[2:]
        z = z.flatten(2).transpose(1, 2)
        for block in self.svtr_block:
            z = block(z)
        z = self.norm(z).transpose(1, 2).unflatten(2, (height, width))
        out: Tensor = self.conv1x1(self.conv4(torch.cat([x, self.conv3(z)], dim=1)))
        return out


class _SequenceEncoder(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encoder = _SVTR(channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.encoder(x).squeeze(2).transpose(1, 2)
        return out


class _CTCHead(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(x)
        return out


class _MultiHead(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.ctc_encoder = _SequenceEncoder(channels)
        self.ctc_head = _CTCHead(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.ctc_head(self.ctc_encoder(x))
        return out


class RecNetwork(nn.Module):
    """`ch_PP-OCRv3_rec`: MobileNetV1Enhance ×0.5, SVTR neck, CTC head.

    `forward` takes uint8 or float images N×48×W×3 in BGR with pixels 0 to 255, W a multiple of 8. It returns
    float32 logits N×(W/8)×classes; class 0 is the CTC blank.

    Args:
        classes: Width of the head: 6,625 for the general weights.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = _MobileNetV1Enhance()
        self.head = _MultiHead(512, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits, see above."""
        x = images.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        out: Tensor = self.head(self.backbone(x)).float()
        return out


# --- weights ---------------------------------------------------------------------------------------------

_TO_PADDLE = {"running_mean": "_mean", "running_var": "_variance"}


def _paddle_name(name: str) -> str:
    head, _, leaf = name.rpartition(".")
    return f"{head}.{_TO_PADDLE.get(leaf, leaf)}"


def _transposed(network: nn.Module) -> set[str]:
    return {f"{n}.weight" for n, m in network.named_modules() if isinstance(m, nn.Linear)}


def weights_of(network: nn.Module) -> dict[str, NDArray[np.float32]]:
    """Takes a network's weights out under PaddleOCR's names.

    Args:
        network: A `DetNetwork` or `RecNetwork`.

    Returns:
        Name → float32 array in PaddlePaddle's layout.
    """
    linear = _transposed(network)
    arrays = {}
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        value = tensor.detach().to("cpu", torch.float32)
        arrays[_paddle_name(name)] = np.array((value.T if name in linear else value).numpy(), order="C")
    return arrays


def load_weights(
    network: nn.Module, arrays: Arrays, *, source: str, optional: tuple[str, ...] = ()
) -> list[str]:
    """Puts weights with PaddleOCR's names into a network.

    Args:
        network: A `DetNetwork` or `RecNetwork`; it is changed in place.
        arrays: Name → array in PaddlePaddle's layout.
        source: What the arrays were read from, for the error message.
        optional: Prefixes of parameters that may be missing and then keep their initial values (the
            detector's threshold branch, which inference models do not have).

    Returns:
        Names that were missing and allowed to be.

    Raises:
        ModelError: A parameter is missing, wrongly shaped or not finite; it is named.
    """
    linear = _transposed(network)
    state = network.state_dict()
    missing = []
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        key = _paddle_name(name)
        if key not in arrays:
            if key.startswith(optional):
                missing.append(key)
                continue
            raise ModelError(
                f"{source}: parameter {key!r} is missing, so this is no checkpoint of "
                f"{type(network).__name__}; give the PP-OCRv3 student's .pdparams"
            )
        value = np.asarray(arrays[key], dtype=np.float32)
        value = value.T if name in linear else value
        if value.shape != tuple(tensor.shape):
            raise ModelError(
                f"{source}: parameter {key!r} has shape {value.shape}, expected {tuple(tensor.shape)}"
            )
        if not np.isfinite(value).all():
            raise ModelError(f"{source}: parameter {key!r} holds NaN or infinity; take an earlier checkpoint")
        state[name] = torch.from_numpy(np.array(value, order="C"))
    network.load_state_dict(state)
    return missing
