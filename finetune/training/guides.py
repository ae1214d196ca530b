"""The attention branches of PaddleOCR's `MultiHead`, SAR and NRTR, that guide a recognizer's training by CTC.

They are trained where a config has them, under PaddleOCR's names, and are in no export. Sources: Li et al.
2019, "Show, Attend and Read"; Sheng et al. 2019, "NRTR"; Hu et al. 2020, "GTC" (guided training of CTC).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edge_lpr.architectures.heads import CTCHead
from edge_lpr.architectures.necks import SVTR
from edge_lpr.architectures.registry import Architecture
from edge_lpr.architectures.torch_builder import TorchNetwork
from edge_lpr.finetune.recipe.networks import Guide

__all__ = ["PREFIXES", "Branch", "GuidedNetwork", "NRTRBranch", "SARBranch", "cut_guide_weights"]

PREFIXES = ("head.sar_head.", "head.gtc_head.", "head.before_gtc.")
"""How the names of the branches' parameters begin."""
_SMOOTHING = 0.1
_POSITIONS = 5000
# Classes beside characters: SAR's unknown one, start or end, and padding, behind them; NRTR's padding,
# unknown one, start and end, before them, and one more behind, which PaddleOCR's Transformer adds.
_SAR_EXTRA, _NRTR_BEFORE, _NRTR_AFTER = 3, 4, 1


class Branch(Protocol):
    """What guides: it reads the backbone's features, and is told the text so far."""

    def parts(self) -> dict[str, nn.Module]:
        """Returns its modules by their names below `head`."""

    def loss(self, features: Tensor, classes: Tensor, lengths: Tensor, valid: Tensor) -> Tensor:
        """Returns its loss.

        Args:
            features: float32 N×C×H×W, the backbone's.
            classes: int64 N×L, CTC's: characters from 1, padded with 0.
            lengths: int64 N. Texts too long for the branch are left out.
            valid: float32 N, the share of the width that shows the line, not its padding.
        """


def _rows(
    classes: Tensor, lengths: Tensor, length: int, start: int, end: int, padding: int, shift: int
) -> Tensor:
    """Writes texts as int64 N×`length`: start, characters, end, padding; where too long, all padding."""
    rows = torch.full((len(lengths), length), padding, dtype=torch.long, device=classes.device)
    for row, text, count in zip(rows, classes, lengths.tolist(), strict=True):
        if count < length - 1:
            row[0] = start
            row[1 : count + 1] = text[:count] + shift
            row[count + 1] = end
    return rows


class _SAREncoder(nn.Module):
    def __init__(self, channels: int, guide: Guide) -> None:
        super().__init__()
        self.rnn_encoder = nn.LSTM(
            channels, guide.dim, num_layers=2, batch_first=True, dropout=guide.encoder_dropout
        )
        self.linear = nn.Linear(guide.dim, guide.dim)

    def forward(self, features: Tensor, valid: Tensor) -> Tensor:
        columns = features.amax(2).transpose(1, 2)
        steps = self.rnn_encoder(columns)[0]
        last = torch.ceil(valid * steps.shape[1]).long().clamp(1, steps.shape[1]) - 1
        return cast("Tensor", self.linear(steps[torch.arange(len(last), device=steps.device), last]))


class _SARDecoder(nn.Module):
    def __init__(self, channels: int, classes: int, guide: Guide) -> None:
        super().__init__()
        self.conv1x1_1 = nn.Linear(guide.dim, guide.attention)
        self.conv3x3_1 = nn.Conv2d(channels, guide.attention, 3, padding=1)
        self.conv1x1_2 = nn.Linear(guide.attention, 1)
        self.rnn_decoder = nn.LSTM(guide.dim, guide.dim, num_layers=2, batch_first=True)
        self.embedding = nn.Embedding(classes, guide.dim, padding_idx=classes - 1)
        self.prediction = nn.Linear(2 * guide.dim + channels, classes - 1)
        self.dropout = guide.dropout

    def forward(self, features: Tensor, whole: Tensor, rows: Tensor, valid: Tensor) -> Tensor:
        said = torch.cat([whole[:, None], self.embedding(rows)], dim=1)
        y = self.rnn_decoder(said)[0]
        # N×T×1×1×A and N×1×H×W×A: additive attention over the whole map.
        query = self.conv1x1_1(y)[:, :, None, None]
        key = self.conv3x3_1(features).permute(0, 2, 3, 1)[:, None]
        weights = self.conv1x1_2(torch.tanh(query + key)).squeeze(-1)
        width = features.shape[3]
        shown = torch.ceil(valid * width)[:, None] > torch.arange(width, device=valid.device)
        weights = weights.masked_fill(~shown[:, None, None], -math.inf)
        weights = weights.flatten(2).softmax(-1)
        seen = weights @ features.flatten(2).transpose(1, 2)
        y = self.prediction(torch.cat([y, seen, whole[:, None].expand(-1, y.shape[1], -1)], dim=2))
        # PaddleOCR drops logits.
        return F.dropout(y, self.dropout, self.training)[:, 1:]


class _SAR(nn.Module):
    def __init__(self, channels: int, classes: int, guide: Guide) -> None:
        super().__init__()
        self.encoder = _SAREncoder(channels, guide)
        self.decoder = _SARDecoder(channels, classes, guide)

    def forward(self, features: Tensor, rows: Tensor, valid: Tensor) -> Tensor:
        return cast("Tensor", self.decoder(features, self.encoder(features, valid), rows, valid))


class SARBranch:
    """SARHead and SARLoss: a recurrent decoder that attends to the map.

    Args:
        channels: Of the backbone's features.
        characters: Of the dictionary.
        guide: Sizes.
    """

    def __init__(self, channels: int, characters: int, guide: Guide) -> None:
        self.characters, self.length = characters, guide.max_text_length
        self.head = _SAR(channels, characters + _SAR_EXTRA, guide)

    def parts(self) -> dict[str, nn.Module]:
        """See `Branch`."""
        return {"sar_head": self.head}

    def loss(self, features: Tensor, classes: Tensor, lengths: Tensor, valid: Tensor) -> Tensor:
        """See `Branch`."""
        end, padding = self.characters + 1, self.characters + 2
        rows = _rows(classes, lengths, self.length, end, end, padding, -1)
        return self.loss_of(self.head(features, rows, valid), rows)

    def loss_of(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Cross-entropy of each character and the end, float32 N×T×C; padding counts nothing."""
        wanted = rows[:, 1:].flatten()
        padding = self.characters + 2
        # Padding has no class of its own among those that are predicted.
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), wanted, ignore_index=padding, reduction="sum")
        return loss / (wanted != padding).sum().clamp(min=1)


class _SelfAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (_split(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return cast("Tensor", self.out_proj(mixed.transpose(1, 2).flatten(2)))


class _CrossAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        k, v = (_split(part, self.heads) for part in self.kv(memory).chunk(2, dim=-1))
        mixed = F.scaled_dot_product_attention(_split(self.q(x), self.heads), k, v)
        return cast("Tensor", self.out_proj(mixed.transpose(1, 2).flatten(2)))


def _split(x: Tensor, heads: int) -> Tensor:
    return x.reshape(*x.shape[:-1], heads, -1).transpose(1, 2)


class _Mlp(nn.Module):
    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.drop(self.fc2(self.drop(F.relu(self.fc1(x))))))


class _DecoderBlock(nn.Module):
    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_attn, self.cross_attn = _SelfAttention(dim, heads), _CrossAttention(dim, heads)
        self.mlp = _Mlp(dim, dropout)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(dim) for _ in range(3))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        x = self.norm1(x + self.drop(self.self_attn(x)))
        x = self.norm2(x + self.drop(self.cross_attn(x, memory)))
        return cast("Tensor", self.norm3(x + self.drop(self.mlp(x))))


class _Embeddings(nn.Module):
    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, dim, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)

    def forward(self, rows: Tensor) -> Tensor:
        weight = self.embedding.weight
        return cast("Tensor", self.embedding(rows) * math.sqrt(weight.shape[1]))


class _Positions(nn.Module):
    pe: Tensor

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        at = torch.arange(_POSITIONS, dtype=torch.float32)[:, None]
        frequency = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
        pe = torch.stack([torch.sin(at * frequency), torch.cos(at * frequency)], dim=2).flatten(1)
        self.register_buffer("pe", pe[:, None])
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.drop(x + self.pe[: x.shape[1], 0]))


class _Transformer(nn.Module):
    def __init__(self, classes: int, guide: Guide) -> None:
        super().__init__()
        dim = guide.dim
        self.embedding = _Embeddings(classes, dim)
        self.positional_encoding = _Positions(dim, guide.dropout)
        blocks = (_DecoderBlock(dim, dim // 32, guide.dropout) for _ in range(guide.layers))
        self.decoder = nn.ModuleList(blocks)
        self.tgt_word_prj = nn.Linear(dim, classes, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, memory: Tensor, rows: Tensor) -> Tensor:
        x = self.positional_encoding(self.embedding(rows))
        for block in self.decoder:
            x = block(x, memory)
        return cast("Tensor", self.tgt_word_prj(x))


class _Columns(nn.Module):
    """A sequence of the map's places, with another number of channels."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.fc(x.transpose(1, 2)))


class NRTRBranch:
    """NRTRHead and NRTRLoss: a transformer's decoder.

    Args:
        channels: Of the backbone's features.
        characters: Of the dictionary.
        guide: Sizes.
        smoothing: Whether a tenth of each label is spread over all other classes.
    """

    def __init__(self, channels: int, characters: int, guide: Guide, *, smoothing: bool = True) -> None:
        self.length, self.smoothing = guide.max_text_length, smoothing
        self.before = nn.Sequential(nn.Flatten(2), _Columns(channels, guide.dim))
        self.head = _Transformer(_NRTR_BEFORE + characters + _NRTR_AFTER, guide)

    def parts(self) -> dict[str, nn.Module]:
        """See `Branch`."""
        return {"before_gtc": self.before, "gtc_head": self.head}

    def loss(self, features: Tensor, classes: Tensor, lengths: Tensor, valid: Tensor) -> Tensor:
        """See `Branch`."""
        rows = _rows(classes, lengths, self.length, 2, 3, 0, _NRTR_BEFORE - 1)
        rows = rows[:, : int((rows != 0).sum(1).max().clamp(min=2))]
        return self.loss_of(self.head(self.before(features), rows[:, :-1]), rows)

    def loss_of(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Cross-entropy of each character and the end, float32 N×T×C; padding counts nothing."""
        wanted, classes = rows[:, 1:].flatten(), logits.shape[-1]
        # PyTorch spreads over all classes, the right one among them; PaddleOCR over the others.
        spread = _SMOOTHING * classes / (classes - 1) if self.smoothing else 0.0
        loss = F.cross_entropy(
            logits.flatten(0, 1), wanted, ignore_index=0, label_smoothing=spread, reduction="sum"
        )
        return loss / (wanted != 0).sum().clamp(min=1)


class GuidedNetwork(TorchNetwork):
    """A recognizer with a branch that guides it; called, it is the recognizer alone.

    Args:
        architecture: The recognizer.
        classes: Of its head, the blank included.
        guide: The branch.
        use_guide: Whether CTC's gradient ends before the backbone.
        smoothing: See `NRTRBranch`.
    """

    def __init__(
        self,
        architecture: Architecture,
        classes: int,
        guide: Guide,
        *,
        use_guide: bool,
        smoothing: bool = True,
    ) -> None:
        super().__init__(architecture, classes)
        head = architecture.network(classes, True).head
        assert isinstance(head, CTCHead)
        assert isinstance(head.neck, SVTR)
        channels = head.neck.inside
        self.use_guide = use_guide
        self.branch: Branch = (
            SARBranch(channels, classes - 1, guide)
            if guide.kind == "SAR"
            else NRTRBranch(channels, classes - 1, guide, smoothing=smoothing)
        )
        for name, part in self.branch.parts().items():
            self.get_submodule("head").add_module(name, part)

    def guided(
        self, images: Tensor, classes: Tensor, lengths: Tensor, valid: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns the recognizer's logits, float32 N×T×classes, and the branch's loss."""
        features = self.get_submodule("backbone")(self.normalised(images))
        logits = self.get_submodule("head")(features.detach() if self.use_guide else features)
        # A recurrent layer has no mixed precision everywhere.
        with torch.autocast(images.device.type, enabled=False):
            loss = self.branch.loss(features.float(), classes, lengths, valid)
        return logits.float(), loss


def cut_guide_weights(
    arrays: Mapping[str, NDArray[Any]], kept: NDArray[np.int64], dropped: NDArray[np.int64]
) -> dict[str, NDArray[np.float32]]:
    """Cuts a branch's classes as a CTC head is cut: characters that stay, then one class for all others.

    Args:
        arrays: Weights under PaddleOCR's names.
        kept: Characters that stay, by their places in the dictionary, from 0.
        dropped: The others.

    Returns:
        The weights with the branch cut; as they are where there is none.
    """
    found = dict(arrays)

    def cut(name: str, axis: int, before: int, *, bias: bool = False) -> None:
        if name not in found:
            return
        array = np.moveaxis(np.asarray(found[name], np.float32), axis, 0)
        characters = array[before:]
        other = characters[dropped].mean(0) if len(dropped) else np.zeros_like(characters[0])
        if bias and len(dropped):
            other = other + np.float32(np.log(len(dropped)))
        after = characters[len(kept) + len(dropped) :]
        parts = [array[:before], characters[kept], other[None], after]
        found[name] = np.ascontiguousarray(np.moveaxis(np.concatenate(parts), 0, axis), np.float32)

    cut("head.sar_head.decoder.embedding.weight", 0, 0)
    cut("head.sar_head.decoder.prediction.weight", 1, 0)
    cut("head.sar_head.decoder.prediction.bias", 0, 0, bias=True)
    cut("head.gtc_head.embedding.embedding.weight", 0, _NRTR_BEFORE)
    cut("head.gtc_head.tgt_word_prj.weight", 1, _NRTR_BEFORE)
    return found
