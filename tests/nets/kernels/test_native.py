"""Convolutions in machine code of their own: against XLA's, gradients included; threads, processes, and who gets them."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jax.typing import DTypeLike

from nets.kernels.cpu.convolution import convolve
from nets.kernels.cpu.layouts import image
from nets.kernels.cpu.machine import Machine
from nets.kernels.cpu.native import call, compiler
from nets.kernels.cpu.native.conv import available, fits, native_convolve, native_relu
from nets.kernels.layouts import Laid
from nets.numerics.windows import Geometry
from nets.process.origins import executable, noted
from tests.nets.kernels.common import (
    BF16,
    BF16_BOUND,
    F32,
    assert_near,
    lax_conv,
    pairs,
    problem,
    random,
    value_and_gradients,
)

TYPES = [
    pytest.param(dtype, bound, marks=pytest.mark.skipif(not available(name), reason="not on this processor"))
    for name, dtype, bound in (("float32", F32, 1e-5), ("bfloat16", BF16, BF16_BOUND))
]
each_type = pytest.mark.parametrize(("dtype", "bound"), TYPES)
# The others by CI, where they show nothing of the type.
float32_every_day = pytest.mark.parametrize(
    ("dtype", "bound"),
    [TYPES[0], *(pytest.param(*each.values, marks=[*each.marks, pytest.mark.slow]) for each in TYPES[1:])],
)
NATIVE = Machine("float32", "full_width", native=True)
float32_alone = pytest.mark.skipif(not available("float32"), reason="not on this processor")
SAME = Geometry(padding=((1, 1), (1, 1)))

Case = tuple[tuple[int, ...], tuple[int, ...], Geometry]


@st.composite
def convolutions(draw: st.DrawFn) -> Case:
    """(shape of x, shape of the kernel, geometry): odd sizes, uneven padding, strides or dilations, any batch."""
    stride, dilation = draw(st.one_of(st.tuples(pairs(1, 4), st.just((1, 1))), st.tuples(st.just((1, 1)), pairs(1, 3))))
    at = Geometry(stride, (draw(pairs(0, 4)), draw(pairs(0, 4))), dilation)
    window, size = draw(pairs(1, 7)), draw(pairs(1, 11))
    assume(min(at.places(size, window)) >= 1)
    channels, outputs, batch = (
        draw(st.integers(1, 35)),
        draw(st.integers(1, 35)),
        draw(st.sampled_from([3, 16, 40, 64])),
    )
    return (channels, *size, batch), (*window, channels, outputs), at


@pytest.mark.slow
@each_type
@settings(max_examples=12, deadline=None, derandomize=True)
@given(case=convolutions())
def test_any_convolution_equals_xlas(dtype: DTypeLike, bound: float, case: Case) -> None:
    x, kernel, at = random(*case[0]), random(*case[1]), case[2]
    assert fits(problem((1, 1, 1, 1), at, machine=NATIVE))
    found = value_and_gradients(lambda x, kernel: native_convolve(x, kernel, at, dtype), x, kernel)
    assert all(array.dtype == F32 for array in found)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel), bound)


# Several blocks of channels and outputs, groups of rows, slices of the batch, strips too long for the caches.
LARGE = [
    ((70, 7, 7, 64), (3, 3, 70, 130), SAME),
    ((16, 28, 28, 64), (7, 7, 16, 16), Geometry(padding=((3, 3), (3, 3)))),
    ((33, 40, 40, 32), (3, 3, 33, 8), SAME),
    ((300, 9, 20, 16), (1, 1, 300, 20), Geometry()),
    ((1, 28, 28, 64), (11, 11, 1, 24), Geometry((4, 4), ((2, 2), (2, 2)))),
]


@float32_every_day
@pytest.mark.parametrize(
    "case",
    [LARGE[2], *(pytest.param(case, marks=pytest.mark.slow) for case in LARGE if case is not LARGE[2])],
    ids=lambda case: "x".join(map(str, (*case[0], *case[1]))),
)
def test_work_that_is_cut_into_many_parts(dtype: DTypeLike, bound: float, case: Case) -> None:
    x, kernel, at = random(*case[0]), random(*case[1]), case[2]
    found = value_and_gradients(lambda x, kernel: native_convolve(x, kernel, at, dtype), x, kernel)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel), bound)


@each_type
def test_bfloat16_is_rounded_before_products_and_nowhere_else(dtype: DTypeLike, bound: float) -> None:
    """On whole numbers of few bits both precisions are exact, whatever the order of the sums."""
    x, kernel = jnp.round(2 * random(20, 9, 9, 40)), jnp.round(2 * random(3, 3, 20, 19))
    found = native_convolve(x, kernel, SAME, dtype)
    np.testing.assert_array_equal(found, jnp.round(lax_conv(x, kernel, SAME)))


@each_type
@pytest.mark.parametrize("with_bias", [True, False])
def test_relu_behind_a_convolution(dtype: DTypeLike, bound: float, with_bias: bool) -> None:
    # Whole numbers, so that rounding makes no value positive that is not.
    x, kernel, bias = (jnp.round(2 * random(*shape)) for shape in ((5, 8, 7, 20), (3, 3, 5, 6), (6,)))
    bias = bias * with_bias

    def ours(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
        return native_relu(x, kernel, bias if with_bias else None, SAME, dtype)

    def theirs(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
        return jax.nn.relu(lax_conv(x, kernel, SAME) + bias[:, None, None, None])

    found, expected = (value_and_gradients(function, x, kernel, bias) for function in (ours, theirs))
    count = 4 if with_bias else 3
    assert_near(found[:count], expected[:count], bound)


@float32_alone
def test_more_padding_than_image_and_none_on_the_other_side() -> None:
    """The gradient of such an image crops more columns than there are: nothing may be written before the strip."""
    x, kernel, at = random(3, 1, 1, 16), random(3, 3, 3, 4), Geometry((3, 3), ((4, 0), (4, 0)))
    found = value_and_gradients(lambda x, kernel: native_convolve(x, kernel, at, F32), x, kernel)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, at), x, kernel))


@float32_alone
def test_a_result_that_nobody_differentiates_has_no_gradient() -> None:
    x, kernel = random(2, 4, 4, 16), random(3, 3, 2, 3)

    @jax.custom_vjp
    def constant(y: jax.Array) -> jax.Array:
        return y

    constant.defvjp(lambda y: (y, None), lambda _, g: (None,))
    gradient = jax.grad(lambda kernel: constant(native_convolve(x, kernel, SAME, F32)).sum())(kernel)
    assert not gradient.any()


@float32_alone
def test_vmap_computes_one_after_the_other() -> None:
    x, kernel = random(3, 2, 5, 5, 16), random(3, 3, 2, 3)
    found = jax.vmap(lambda x: native_convolve(x, kernel, SAME, F32))(x)
    assert_near([found], [jnp.stack([lax_conv(one, kernel, SAME) for one in x])])


@float32_alone
def test_more_partial_sums_than_are_added_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor of many cores, whose parts are smaller."""
    monkeypatch.setattr(call, "processors", lambda: 24)
    x, kernel = random(2, 40, 6, 32), random(3, 3, 2, 3)
    found = value_and_gradients(lambda x, kernel: native_convolve(x, kernel, SAME, F32), x, kernel)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, SAME), x, kernel))


@float32_alone
def test_a_nan_is_not_lost() -> None:
    x = random(2, 4, 4, 16).at[1, 1, 1, 3].set(jnp.nan)
    y = native_relu(x, random(3, 3, 2, 3), None, SAME, F32)
    assert bool(jnp.isnan(y[:, :3, :3, 3]).all()) and int(jnp.isnan(y).sum()) == 27


@float32_every_day
def test_results_do_not_depend_on_who_computes_which_part(dtype: DTypeLike, bound: float) -> None:
    """Calls from several threads at once, all of them with XLA's pool to help: the same bits each time."""
    x, kernel = random(24, 12, 12, 64), random(3, 3, 24, 24)

    def everything(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, ...]:
        y, pull = jax.vjp(lambda x, kernel: native_convolve(x, kernel, SAME, dtype), x, kernel)
        return y, *pull(y)

    program = jax.jit(everything)
    first = [np.asarray(array) for array in program(x, kernel)]
    with ThreadPoolExecutor(4) as pool:
        for others in pool.map(lambda _: program(x, kernel), range(40)):
            for ours, theirs in zip(first, others, strict=True):
                np.testing.assert_array_equal(ours, theirs)


@float32_alone
def test_threads_that_trace_the_same_kernel_at_once_share_it() -> None:
    x, kernel = random(3, 5, 6, 16), random(2, 3, 3, 7)

    def compute(_: int) -> np.ndarray:
        return np.asarray(jax.jit(lambda x, kernel: native_convolve(x, kernel, SAME, F32))(x, kernel))

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(compute, range(8)))
    assert all((result == results[0]).all() for result in results)


@float32_alone
def test_a_network_is_traced_further_while_its_kernels_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is told when the program is compiled, and tried again by who needs the kernel next."""
    x, kernel, address_of, traced = random(3, 5, 7, 16), random(2, 3, 3, 11), compiler.address_of, threading.Event()

    def late(module: object, name: str) -> int:
        assert traced.wait(60)
        if failing:
            raise MemoryError
        return address_of(module, name)

    monkeypatch.setattr(compiler, "address_of", late)
    for failing in (True, False):
        traced.clear()
        with noted() as origin:
            lowered = jax.jit(lambda x, kernel: native_convolve(x, kernel, SAME, F32)).lower(x, kernel)
            traced.set()
            if failing:
                with pytest.raises(MemoryError):
                    executable(lowered)
            else:
                y = executable(lowered)(x, kernel)
                assert len(origin.kernels) == 1
    assert_near([y], [lax_conv(x, kernel, SAME)])


PROGRAM = """
import sys
import jax
from jax._src import monitoring
from nets.kernels.cpu.native import compiler
from nets.kernels.cpu.native.conv import native_convolve
from nets.numerics.windows import Geometry
from nets.process.device import keep_compiled_programs
from pathlib import Path

hits, compiled, compile_code = [], [], compiler._compile
compiler._compile = lambda text: compiled.append(text) or compile_code(text)
monitoring.register_event_listener(lambda name, **_: hits.append(name) if name.endswith("cache_hits") else None)
keep_compiled_programs(Path(sys.argv[1]) / "compiled")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
x, kernel = jax.numpy.ones((4, 6, 6, 16)), jax.numpy.ones((3, 3, 4, 8))
y = jax.jit(lambda x, kernel: native_convolve(x, kernel, Geometry(), "float32"))(x, kernel)
print(float(y.sum()), len(hits) > 0, len(compiled))
"""


@pytest.mark.slow
@float32_alone
def test_a_program_and_its_kernels_are_compiled_once_for_all_processes(tmp_path: Path) -> None:
    def run() -> list[str]:
        command = [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout.split()

    total = str(36.0 * 8 * 16 * 16)
    assert run() == [total, "False", "1"]
    assert run() == [total, "True", "0"]
    (code,) = (tmp_path / "compiled").glob(f"{compiler.PREFIX}*")
    whole = code.read_bytes()
    for damaged in (whole[:-1], b"", whole.replace(b"entry", b"yrtne")):
        code.write_bytes(damaged)
        assert run() == [total, "True", "1"]
        assert code.read_bytes() == whole
    code.unlink()
    code.mkdir()  # nothing can be kept under its name
    assert run() == [total, "True", "1"]


ON_SO_MANY_CORES = """
import hashlib, os, sys

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
import jax
import numpy as np
from nets.kernels.cpu.native import call
from nets.kernels.cpu.native.conv import native_convolve
from nets.numerics.windows import Geometry

call.processors = lambda: int(sys.argv[2])  # also of more cores than there are: what kernels decide by their number
draw = np.random.default_rng(0).random
x, kernel, g = (draw(shape, np.float32) for shape in ((3, 9, 8, 16), (3, 3, 3, 24), (24, 7, 6, 16)))

@jax.jit
def everything(x, kernel, g):
    y, pull = jax.vjp(lambda x, kernel: native_convolve(x, kernel, Geometry(), "float32"), x, kernel)
    return y, *pull(g)

print(hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in everything(x, kernel, g))).hexdigest())
"""


@pytest.mark.slow
@float32_alone
def test_results_do_not_depend_on_the_number_of_cores() -> None:
    def run(cores: int, told: int) -> str:
        command = [sys.executable, "-W", "error", "-c", ON_SO_MANY_CORES, str(cores), str(told)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout

    assert run(1, 1) == run(2, 16)


@float32_alone
@pytest.mark.parametrize("count", [1, 7])
def test_any_number_of_threads_gives_the_same(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """None to help, and more than XLA's pool has."""
    monkeypatch.setattr(call, "processors", lambda: count)
    x, kernel = random(6, 9, 8, 32), random(3, 3, 6, 5)
    found = value_and_gradients(lambda x, kernel: native_convolve(x, kernel, SAME, F32), x, kernel)
    assert_near(found, value_and_gradients(lambda x, kernel: lax_conv(x, kernel, SAME), x, kernel))


def test_what_these_kernels_are_not_for() -> None:
    def on_native(at: Geometry) -> bool:
        return fits(problem((3, 3, 4, 4), at, machine=NATIVE))

    assert on_native(Geometry()) and on_native(Geometry(stride=(2, 1))) and on_native(Geometry(dilation=(1, 2)))
    assert not on_native(Geometry(stride=(16, 16))), "256 calls for the gradient of an image"
    assert not on_native(Geometry(groups=2)) and not on_native(Geometry(stride=(1, 2), dilation=(2, 1)))
    assert not fits(problem((3, 3, 4, 4), batch=20, machine=NATIVE)) and not fits(problem((3, 3, 4, 4)))


@pytest.mark.parametrize("found", [None, (0, 2), (1, 3)])
def test_an_unknown_interface_is_left_alone(found: object, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler.features.cache_clear()
    monkeypatch.setattr(compiler, "interface", lambda: found)
    try:
        assert not available("float32") and not available("bfloat16")
    finally:
        compiler.features.cache_clear()


def test_the_interface_of_this_jaxlib_is_known() -> None:
    assert compiler.interface() in compiler.KNOWN_INTERFACES


@each_type
def test_many_channels_are_left_to_winograd(dtype: DTypeLike, bound: float) -> None:
    """Fewer products; what comes out has four phases."""
    machine = Machine(jnp.dtype(dtype).name, "full_width", native=True)

    def traced(channels: int) -> Laid:
        x, kernel = random(channels, 8, 8, 16), random(3, 3, channels, channels)
        found: Laid = jax.eval_shape(lambda x, kernel: convolve(machine, Laid(x, "CHWB"), kernel, SAME), x, kernel)
        return found

    few, many = traced(32), traced(128)
    assert (few.layout, many.layout) == ("CHWB", "phases")
    assert jax.eval_shape(image, many).shape == (128, 8, 8, 16)
