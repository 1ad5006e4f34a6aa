"""Runs PyTorch's losses once and keeps what they give: `python -m tests.nets.parity.record_losses`.

Those that PyTorch lacks are written out here, in float64, and differentiated by it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.nets.parity.loss_cases import CASES, CLASSES, COUNTS, FILE, batch_of


def weights(value: Any) -> Tensor | None:
    if value == "balanced":
        return torch.tensor(COUNTS.sum() / (CLASSES * COUNTS))
    return None if value is None else torch.tensor(value, dtype=torch.float64)


def focal(x: Tensor, y: Tensor, gamma: float = 2.0, alpha: Any = None, activation: str = "softmax") -> Tensor:
    """Lin et al., 2017, equation 5."""
    if activation == "sigmoid":  # torchvision.ops.sigmoid_focal_loss
        t = one_hot(x, y)
        p = torch.sigmoid(x)
        right = p * t + (1 - p) * (1 - t)
        each = F.binary_cross_entropy_with_logits(x, t, reduction="none") * (1 - right) ** gamma
        return (each * (alpha * t + (1 - alpha) * (1 - t))).mean()
    p = torch.softmax(x, -1).gather(1, y[:, None])[:, 0]
    factor = 1.0 if alpha is None else torch.tensor(alpha, dtype=torch.float64).expand(CLASSES)[y]
    return (-factor * (1 - p) ** gamma * torch.log(p)).mean()


def contrastive(x: Tensor, y: Tensor, temperature: float = 0.07) -> Tensor:
    """Khosla et al., 2020, equation 2, over the samples that have another one of their class."""
    z = F.normalize(x)
    found = []
    for i in range(len(y)):
        others = [j for j in range(len(y)) if j != i]
        positives = [j for j in others if y[j] == y[i]]
        if positives:
            rest = torch.logsumexp(torch.stack([z[i] @ z[j] / temperature for j in others]), 0)
            found.append(sum(rest - z[i] @ z[j] / temperature for j in positives) / len(positives))
    return torch.stack(found).mean()


def triplet(
    x: Tensor, y: Tensor, margin: float = 1.0, eps: float = 1e-6, mining: str = "semi_hard", normalize: bool = True
) -> Tensor:
    """Of every sample the farthest of its class and a near one of another. Hermans et al., 2017; Schroff et al., 2015."""
    x = F.normalize(x) if normalize else x
    far, near = [], []
    for i in range(len(y)):
        distance = [float(each) for each in (x - x[i]).norm(dim=1)]
        own = max((j for j in range(len(y)) if j != i and y[j] == y[i]), key=lambda j: distance[j])
        others = sorted((j for j in range(len(y)) if y[j] != y[i]), key=lambda j: distance[j])
        beyond = [j for j in others if distance[j] > distance[own]] or others[-1:]
        far.append(own)
        near.append(others[0] if mining == "hard" else beyond[0])
    return F.triplet_margin_loss(x, x[far], x[near], margin=margin, eps=eps)


def one_hot(x: Tensor, y: Tensor) -> Tensor:
    return F.one_hot(y, CLASSES).to(x.dtype)


def log_cosh(x: Tensor, t: Tensor) -> Tensor:
    return torch.log(torch.cosh(x - t)).mean()


def of_classes(kind: Any) -> Any:
    def loss(x: Tensor, y: Tensor, weight: Any = None, **options: Any) -> Tensor:
        return kind(weight=weights(weight), **options)(x, y)

    return loss


def of_numbers(kind: Any) -> Any:
    return lambda x, y, **options: kind(**options)(x, one_hot(x, y))


def bce(x: Tensor, y: Tensor, weight: Any = None, pos_weight: Any = None) -> Tensor:
    return nn.BCEWithLogitsLoss(weight=weights(weight), pos_weight=weights(pos_weight))(x, one_hot(x, y))


def cosine(x: Tensor, y: Tensor) -> Tensor:
    return nn.CosineEmbeddingLoss()(x, one_hot(x, y), torch.ones(len(x), dtype=x.dtype))


LOSSES = {
    "cross_entropy": of_classes(nn.CrossEntropyLoss),
    "nll": of_classes(nn.NLLLoss),
    "hinge": of_classes(nn.MultiMarginLoss),
    "bce": bce,
    "mse": of_numbers(nn.MSELoss),
    "mae": of_numbers(nn.L1Loss),
    "huber": of_numbers(nn.HuberLoss),
    "smooth_l1": of_numbers(nn.SmoothL1Loss),
    "log_cosh": lambda x, y: log_cosh(x, one_hot(x, y)),
    "kl_div": of_numbers(nn.KLDivLoss),
    "poisson_nll": of_numbers(nn.PoissonNLLLoss),
    "cosine": cosine,
    "focal": focal,
    "contrastive": contrastive,
    "triplet": triplet,
}

if __name__ == "__main__":
    found = {}
    for name, case in CASES.items():
        outputs, labels = batch_of(case)
        x = torch.tensor(outputs.astype(np.float64), requires_grad=True)
        options = {option: value for option, value in case.items() if option != "type"}
        value = LOSSES[case["type"]](x, torch.tensor(labels), **options)
        value.backward()
        found[f"{name} value"], found[f"{name} gradient"] = value.detach().numpy(), x.grad.numpy()
    np.savez_compressed(FILE, **found)
