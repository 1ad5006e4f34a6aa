"""Modules that PyTorch does not have ready. Imports PyTorch: for recording alone."""

import torch
from torch import nn


class Attention(nn.MultiheadAttention):
    """Of one, two or three inputs; what it gives alone."""

    def __init__(self, *sizes, causal=False, mask_value=None, **options):
        super().__init__(*sizes, **options)
        self.causal, self.mask_value = causal, mask_value

    def forward(self, query, key=None, value=None):
        key = query if key is None else key
        value = key if value is None else value
        future = ~torch.ones(query.shape[1], key.shape[1], dtype=torch.bool).tril() if self.causal else None
        padding = None if self.mask_value is None else (key == self.mask_value).all(dim=-1)
        return super().forward(
            *(query, key, value), key_padding_mask=padding, attn_mask=future, need_weights=self.training
        )[0]


class Positions(nn.Embedding):
    def forward(self, x):
        return x + self.weight[: x.shape[1]]


class Sinusoids(nn.Module):
    """As in PyTorch's tutorial on Transformers."""

    def forward(self, x):
        _, length, width = x.shape
        position = torch.arange(length, dtype=torch.float64).unsqueeze(1)
        rates = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-torch.log(torch.tensor(1e4)) / width))
        table = torch.zeros(length, width, dtype=torch.float64)
        table[:, 0::2], table[:, 1::2] = torch.sin(position * rates), torch.cos(position * rates)
        return x + table.float()


class ClassToken(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, x):
        return torch.cat([self.class_token.expand(len(x), -1, -1), x], dim=1)


class Patches(nn.Conv2d):
    def forward(self, x):
        return super().forward(x).flatten(2).transpose(1, 2)


class Pool(nn.Linear):
    """Of a Compact Transformer."""

    def forward(self, x):
        return (torch.softmax(super().forward(x), dim=1).transpose(1, 2) @ x).squeeze(1)


class Turned(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)
