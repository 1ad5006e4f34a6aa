"""Convolutions of sequences and what stands around them: computed as images of one row, features first, batch last."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax.numpy as jnp

from nets.kernels.cpu.fusions import NORMED, SUMMED, convolution_relu, fits_relu, fits_sum, norm
from nets.kernels.cpu.plan import CpuPlan
from nets.kernels.cpu.rows import conv2d, max_pool2d, normalise, transposed_conv2d
from nets.kernels.layouts import Laid, single, to
from nets.kernels.plan import Fusion, Kernel, Site
from nets.layers.activation import Relu
from nets.layers.base import Bound
from nets.layers.conv import Conv1d
from nets.layers.merge import Add
from nets.layers.norm import BatchNorm1d
from nets.layers.pool import MaxPool1d
from nets.layers.transposed_conv import ConvTranspose1d


def as_image(x: Laid) -> Laid:
    """A sequence as an image of one row."""
    return Laid(jnp.expand_dims(to(x, "CTB").array, 1), "CHWB")


def as_sequence(y: Laid) -> Laid:
    """The other way round."""
    return Laid(jnp.squeeze(single(y).array, 1), "CTB")


def alone(run: Callable[[CpuPlan, Bound, Sequence[Laid]], Laid]) -> Callable[[CpuPlan, Bound, Sequence[Laid]], Laid]:
    """What a row of images makes of a sequence."""
    return lambda plan, bound, xs: as_sequence(run(plan, bound, [as_image(x) for x in xs]))


def together(
    run: Callable[[CpuPlan, Sequence[Bound], Sequence[Laid]], Laid],
) -> Callable[[CpuPlan, Sequence[Bound], Sequence[Laid]], Laid]:
    """What a fusion of images makes of one."""
    return lambda plan, bounds, xs: as_sequence(run(plan, bounds, [as_image(x) for x in xs]))


def batch_norm(plan: CpuPlan, bound: Bound, xs: Sequence[Laid]) -> Laid:
    return normalise(plan, bound, xs[0])


def is_sequence(site: Site) -> bool:
    return site.nodes[0].takes[0].kind == "sequence"


def is_sum(site: Site) -> bool:
    return is_sequence(site) and fits_sum(site)


KERNELS = (
    Kernel(Conv1d, "as an image of one row, by the first algorithm of the table that fits", alone(conv2d)),
    Kernel(ConvTranspose1d, "as an image of one row: the gradient of a convolution", alone(transposed_conv2d)),
    Kernel(MaxPool1d, "remembers which value it took, so that its gradient needs no search", alone(max_pool2d)),
    Kernel(
        BatchNorm1d, "two sums forwards and two backwards, and keeps its input alone", alone(batch_norm), is_sequence
    ),
)
FUSIONS = (
    Fusion((Conv1d, BatchNorm1d, Add, Relu), SUMMED, together(norm), is_sum),
    Fusion((Conv1d, BatchNorm1d, Add), SUMMED, together(norm), is_sum),
    Fusion((BatchNorm1d, Add, Relu), SUMMED, together(norm), is_sum),
    Fusion((Conv1d, BatchNorm1d, Relu), NORMED, together(norm)),
    Fusion((BatchNorm1d, Add), SUMMED, together(norm), is_sum),
    Fusion((BatchNorm1d, Relu), NORMED, together(norm), is_sequence),
    Fusion((Conv1d, BatchNorm1d), NORMED, together(norm)),
    Fusion((Conv1d, Relu), "in the pass that sums the convolution up", together(convolution_relu), fits_relu),
)
