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
    "dropout": "dropout",
    "sequence": "embedding",
    "attention": "attention transformer",
    "recurrent": "recurrent",
    "size": "shape patches resize borders slice",
    "merge": "merge",
    "composite": "composite bottleneck residual dense_block inverted_residual squeeze_excitation convmixer mlp_block"
    " patchembedding",
}


OF: dict[str, str] = {member: group for group, members in GROUPS.items() for member in members.split()}
OTHER = "other"


def group_of(cls: type[Layer]) -> str:
    """The group of a type: of its own name, else of its module, else of the first module among those of its bases.

    `other` for a type of which none is listed; every type of this package is.
    """
    modules = (base.__module__.rpartition(".")[2] for base in cls.__mro__ if issubclass(base, Layer))
    return next((OF[name] for name in (cls.model_fields["type"].default, *modules) if name in OF), OTHER)
