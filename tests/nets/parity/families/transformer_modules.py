"""Modules that PyTorch does not have ready. Imports PyTorch: for recording alone."""

import torch
from torch import nn


class Encoder(nn.TransformerEncoderLayer):
    """A causal one; padding stays as it is."""

    def __init__(self, *sizes, causal=False, mask_value=None, **options):
        super().__init__(*sizes, batch_first=True, **options)
        self.causal, self.mask_value = causal, mask_value

    def forward(self, x):
        future = ~torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril() if self.causal else None
        padding = None if self.mask_value is None else (x == self.mask_value).all(dim=-1)
        y = super().forward(x, src_mask=future, src_key_padding_mask=padding)
        return y if padding is None else torch.where(padding[..., None], x, y)


class Decoder(nn.TransformerDecoderLayer):
    def __init__(self, *sizes, causal=False, **options):
        super().__init__(*sizes, batch_first=True, **options)
        self.causal = causal

    def forward(self, x, memory):
        future = ~torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril() if self.causal else None
        return super().forward(x, memory, tgt_mask=future)
