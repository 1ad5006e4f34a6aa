"""Answering with a trained network: weights stay on the device, one program per size of a batch."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from nets.architecture import Architecture
from nets.kernels import plan_for
from nets.network import Network, Variables, numbers_of

LARGEST_BATCH = 256  # where the plan does not ask for fewer
KEPT = 64  # compiled forms, two for each network

Images = Float[np.ndarray, "batch height width channels"]
Probabilities = Float[np.ndarray, "batch classes"]


def read(network: Network, variables: Variables, images: Float[Array, "b h w c"]) -> Float[Array, "b classes"]:
    """Probabilities of `images`: the logits, softmaxed once."""
    return jax.nn.softmax(network.apply(variables, images, train=False), axis=-1)


@lru_cache(maxsize=KEPT)
def reader(architecture: Architecture, platform: str, *, many: bool) -> Any:
    """The compiled form of `read`; networks of one structure share it. `many`: for full batches."""
    # On a CPU the kernels that training uses answer many images twice as fast, and one more slowly.
    network = Network(architecture, plan_for(platform, training=many))
    return jax.jit(partial(read, network), compiler_options=network.compiler_options)


class Predictor:
    """One trained network, ready to answer. Safe to use from many threads."""

    def __init__(self, architecture: Architecture, variables: Variables) -> None:
        platform = jax.default_backend()
        self.architecture = architecture
        self.variables = jax.device_put({**variables, "numbers": numbers_of(architecture)})
        self.largest = plan_for(platform, training=True).evaluation_batch or LARGEST_BATCH
        self.few = reader(architecture.structure, platform, many=False)
        self.many = reader(architecture.structure, platform, many=True)

    def probabilities(self, images: Images) -> Probabilities:
        """`[n, height, width, channels]` of 0..1 to `[n, classes]`, in batches padded to a power of two."""
        parts = [images[at : at + self.largest] for at in range(0, len(images), self.largest)]
        return np.concatenate([self.part(part) for part in parts])

    def part(self, images: Images) -> Probabilities:
        """One batch of at most `self.largest` images."""
        count = len(images)
        size = 1 << (count - 1).bit_length()
        if size > count:
            images = np.concatenate([images, np.zeros((size - count, *images.shape[1:]), np.float32)])
        read = self.many if size == self.largest else self.few
        return np.asarray(read(self.variables, images))[:count]
