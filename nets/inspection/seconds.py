"""How long a run takes to begin, before anything is compiled."""

from __future__ import annotations

import math

from nets.architecture.architecture import Architecture

LAYER_SECONDS, CONVOLUTION_SECONDS = 0.05, 1.5  # of two cores
# Of a convolution of every channel by itself each tap of its window is written out. Measured with 9 to 729 taps;
# channels, stride and dilation change nothing.
TAP_SECONDS = 0.006


def compile_seconds(architecture: Architecture) -> float:
    """Roughly how long two cores take to compile the programs of a network for a CPU."""
    nodes = architecture.graph.nodes
    kernels = [(kernel, at.groups) for node in nodes for kernel, at in node.layer.convolutions(*node.takes)]
    written_out = sum(math.prod(kernel[:2]) for kernel, groups in kernels if groups == kernel[3] > 1)
    of_convolutions = CONVOLUTION_SECONDS * len(kernels) + TAP_SECONDS * written_out
    return LAYER_SECONDS * len(nodes) + of_convolutions
