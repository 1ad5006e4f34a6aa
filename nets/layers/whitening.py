"""Kernels that whiten the patches of samples."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

EPS = 5e-4  # added to variances: directions that hardly vary are noise
MOST_IMAGES = 5000
MOST_VALUES = 1024  # of a patch: the time of eigenvectors grows with their cube

Images = Float[np.ndarray, "batch height width channels"]


def whitening(images: Images, *, window: tuple[int, int], outputs: int) -> Float[np.ndarray, "kh kw channels outputs"]:
    """A kernel whose results are uncorrelated and of one variance over the patches of `images`.

    The first half of the outputs are the principal directions of the patches, each divided by its deviation, the
    strongest first; the others are the same with the other sign. Coates & Ng, 2012; as in airbench94 of Jordan, 2024.
    """
    patches = np.lib.stride_tricks.sliding_window_view(images[:MOST_IMAGES], window, axis=(1, 2))
    rows = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, window[0] * window[1] * images.shape[-1])
    variances, directions = np.linalg.eigh(second_moments(rows))
    scaled = (directions / np.sqrt(np.maximum(variances, 0) + EPS))[:, ::-1]  # the largest come last
    first = scaled[:, : -(-outputs // 2)]
    kernel = np.concatenate([first, -first[:, : outputs // 2]], axis=1)
    return kernel.reshape(*window, images.shape[-1], outputs).astype(np.float32)


def second_moments(rows: Float[np.ndarray, "patches values"]) -> Float[np.ndarray, "values values"]:
    """The mean of each product of two values of a patch, in float64."""
    found, step = np.zeros((rows.shape[1],) * 2), max(1, (1 << 22) // rows.shape[1])  # 32 MiB at a time
    for at in range(0, len(rows), step):
        part = rows[at : at + step].astype(np.float64)
        found += part.T @ part
    return found / len(rows)
