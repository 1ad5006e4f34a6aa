"""The groups that layer types are shown in, in their order."""

from __future__ import annotations

from nets.layers.base import Layer

# By group, the modules whose types it has, and single types of other modules.
GROUPS: dict[str, str] = {
    "dense": "linear",
    "convolution": "conv separable_conv transposed_conv",
    "pool": "pool average_pool adaptive_pool global_pool sequencepool",
    "norm": "norm group_norm layer_norm response_norm",
    "activation": "activation rectifier squash gate",
    "dropout": "dropout noise drop_path",
    "sequence": "embedding steps",
    "attention": "attention transformer",
    "recurrent": "recurrent",
    "size": "shape patches resize borders slice",
    "merge": "merge",
    "composite": "bottleneck residual dense_block inverted_residual squeeze_excitation convmixer mlp_block"
    " patchembedding",
}


def group_of(cls: type[Layer]) -> str:
    """The group of a type: of its own name, else of its module; that of composites for any other."""
    names = (cls.model_fields["type"].default, cls.__module__.rpartition(".")[2])
    found = (group for name in names for group, members in GROUPS.items() if name in members.split())
    return next(found, "composite")
