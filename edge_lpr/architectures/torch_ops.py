"""The operations of blocks in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edge_lpr.architectures.spec import Ops

__all__ = ["OPS", "EvenConv2d"]


class EvenConv2d(nn.Conv2d):
    """Padded below and at the right; PyTorch's own "same" warns of even kernels."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's name
        """See `nn.Conv2d`."""
        return super().forward(_below_and_right(self, input))


def _below_and_right(conv: nn.Conv2d, x: Tensor) -> Tensor:
    height, width = conv.kernel_size
    return F.pad(x, (0, width - 1, 0, height - 1))


def _frozen(norm: nn.Module, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """The factor and the shift, each a value a channel, that a norm with frozen statistics comes to."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    before = -norm.running_mean if bias is None else bias - norm.running_mean
    return scale, norm.bias + before * scale


def _total(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


class _TorchOps:
    """See `spec.Ops`."""

    def conv_norm(self, conv: nn.Module, norm: nn.Module, x: Tensor) -> Tensor:
        """With frozen statistics the norm is folded into the convolution's weights.

        As a layer of its own a norm costs a fifth of a training step on a CPU, all of it memory traffic.
        """
        assert isinstance(norm, nn.BatchNorm2d)
        if norm.training:
            return cast("Tensor", norm(conv(x)))
        assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
        scale, shift = _frozen(norm, conv.bias)
        if isinstance(conv, nn.ConvTranspose2d):
            return F.conv_transpose2d(x, conv.weight * scale.view(1, -1, 1, 1), shift, conv.stride)
        if isinstance(conv, EvenConv2d):
            x = _below_and_right(conv, x)
        weight = conv.weight * scale.view(-1, 1, 1, 1)
        return F.conv2d(x, weight, shift, conv.stride, conv.padding, groups=conv.groups)

    def branches(
        self, pairs: Sequence[tuple[nn.Module, nn.Module]], norm: nn.Module | None, x: Tensor
    ) -> Tensor:
        """With frozen statistics all branches are one convolution, whose kernel is the sum of theirs."""
        norms = [n for _, n in pairs] + ([] if norm is None else [norm])
        if any(n.training for n in norms):
            parts = [self.conv_norm(c, n, x) for c, n in pairs] + ([] if norm is None else [norm(x)])
            return _total(parts)
        convs = [cast("nn.Conv2d", c) for c, _ in pairs]
        widest = max(convs, key=lambda c: c.kernel_size[0])
        side = widest.kernel_size[0]
        kernels, shifts = [], []
        for conv, (_, after) in zip(convs, pairs, strict=True):
            scale, shift = _frozen(after, conv.bias)
            kernels.append(
                F.pad(conv.weight * scale.view(-1, 1, 1, 1), [(side - conv.kernel_size[0]) // 2] * 4)
            )
            shifts.append(shift)
        if norm is not None:
            scale, shift = _frozen(norm, None)
            inside = widest.in_channels // widest.groups
            place = torch.arange(len(scale), device=scale.device)
            same = torch.zeros_like(widest.weight)
            same[place, place % inside, side // 2, side // 2] = 1.0
            kernels.append(same * scale.view(-1, 1, 1, 1))
            shifts.append(shift)
        kernel, shift = _total(kernels), _total(shifts)
        return F.conv2d(x, kernel, shift, widest.stride, widest.padding, groups=widest.groups)

    def relu(self, x: Tensor) -> Tensor:
        return F.relu(x)

    def hardswish(self, x: Tensor) -> Tensor:
        return F.hardswish(x)

    def swish(self, x: Tensor) -> Tensor:
        return F.silu(x)

    def sigmoid(self, x: Tensor) -> Tensor:
        return x.float().sigmoid()

    def hard_sigmoid(self, x: Tensor, slope: float) -> Tensor:
        return (x * slope + 0.5).clamp(0.0, 1.0)

    def softmax(self, x: Tensor) -> Tensor:
        return x.softmax(-1)

    def concat(self, maps: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(maps), dim=1)

    def upsample(self, x: Tensor, factor: int) -> Tensor:
        return F.interpolate(x, scale_factor=float(factor), mode="nearest")

    def average_pool(self, x: Tensor, size: int | tuple[int, int]) -> Tensor:
        return F.avg_pool2d(x, size)

    def max_pool(self, x: Tensor, size: int, stride: int) -> Tensor:
        if size % 2:
            return F.max_pool2d(x, size, stride, size // 2)
        return F.max_pool2d(F.pad(x, (0, size - 1, 0, size - 1), value=float("-inf")), size, stride)

    def global_average(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)

    def to_sequence(self, x: Tensor) -> Tensor:
        return x.squeeze(2).transpose(1, 2)

    def to_map(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2).unsqueeze(2)

    def attention(self, qkv: Tensor, heads: int, dropout: float, training: bool) -> Tensor:
        n, t, c = qkv.shape
        q, k, v = qkv.reshape(n, t, 3, heads, c // 3 // heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout if training else 0.0)
        return mixed.transpose(1, 2).reshape(n, t, c // 3)

    def dropout(self, x: Tensor, share: float, training: bool) -> Tensor:
        return F.dropout(x, share, training)


OPS: Ops = _TorchOps()
"""What blocks compute beside their children; see `Ops`."""
