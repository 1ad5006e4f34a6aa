"""Kernels as functions that XLA calls: their parts, one after the other, on however many threads its pool has to spare.

A kernel is `void kernel(inputs..., outputs..., scratch, part, slot)`. Parts write to places of their own, so that the
result does not depend on which thread computes which of them. The thread that XLA calls takes parts until none is left,
whether or not others come to help. `slot` tells which of the scratch memories is the thread's own.

Source: xla/ffi/api/c_api.h, as jaxlib carries it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
from jax import Array
from llvmlite import ir

from nets.kernels.cpu.native import compiler
from nets.kernels.cpu.native.llvm_ir import BYTE, INT, LONG, POINTER, VOID, Code, Value, long, zeros
from nets.process import origins

# Bytes into XLA's structures, all of pointers or 64-bit integers unless said.
_FRAME = {"extension": 8, "api": 16, "context": 24, "arguments": 72, "results": 112}
_EXTENSION = {"type": 8, "metadata": 24}  # the type of 32 bits; 1 asks what interface the function was written for
_METADATA = {"major": 24, "minor": 28, "traits": 32}  # of 32 bits
_BUFFER_DATA = 24
# Functions of the api, each with one argument: (size, extension, context, function, what it is called with) and (size,
# extension, error).
_SCHEDULE, _DESTROY_ERROR = 136, 64
_SPINS = 4096  # before a waiting thread yields its core
# Of a call in progress: counters, and behind them the addresses of inputs, outputs and scratch.
_NEXT, _DONE, _OWNERS, _SLOTS, _ADDRESSES = range(5)


@dataclass(frozen=True)
class Kernel:
    """A kernel that was compiled: the name that XLA knows it by, and what it has to be given.

    threads: how many may work on it at a time. scratch: float32 values of each thread's own memory.
    """

    name: str
    threads: int
    scratch: int

    def __call__(self, results: Sequence[jax.ShapeDtypeStruct], *arguments: Array) -> list[Array]:
        """The kernel in a program that is being traced. Every array is in row-major order."""
        memory = jax.ShapeDtypeStruct((self.threads, self.scratch), jnp.float32)
        call = jax.ffi.ffi_call(self.name, (*results, memory), vmap_method="sequential")
        return list(call(*arguments)[:-1])


@cache
def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def fewest_parts() -> int:
    """Enough for threads to end at about the same time; for work whose result does not depend on how it is cut."""
    return 4 * processors()


def kernel_code(module: Value, arrays: int) -> Code:
    """The start of a kernel of so many inputs and outputs; its arguments: they, scratch, part, slot."""
    return Code(module, "kernel", VOID, [POINTER] * (arrays + 1) + [LONG, LONG], apart=arrays + 1)


@dataclass(frozen=True)
class _Written:
    """A kernel, and when XLA knows it: not before can a program be compiled that calls it."""

    kernel: Kernel
    ready: Future[None]


_known: dict[str, Future[_Written]] = {}


@cache
def _compilers() -> ThreadPoolExecutor:
    """LLVM's threads: while it compiles a kernel, the network is traced further."""
    return ThreadPoolExecutor(processors(), "kernel-compiler")


def compiled(name: str, build: Callable[[ir.Module], tuple[int, int]], *, inputs: int, outputs: int) -> Kernel:
    """The kernel of this name, compiled and made known to XLA the first time: at the latest when the program in hand is
    compiled, at once where there is none.

    build: writes it and returns how many parts and how much scratch it has. The name says all that it depends on, for a
    program that was compiled in another process finds the kernel by it.
    """
    name = f"lamina_{name}_{processors()}"
    mine: Future[_Written] = Future()
    known = _known.setdefault(name, mine)
    if known is mine:  # of several threads that trace the same kernel one writes it, the others wait
        try:
            mine.set_result(_begun(name, build, inputs, outputs))
        except BaseException as error:
            del _known[name]
            mine.set_exception(error)
    written = known.result()
    origins.needed(written.ready)
    return written.kernel


def _begun(name: str, build: Callable[[ir.Module], tuple[int, int]], inputs: int, outputs: int) -> _Written:
    """The kernel, written here and compiled on another thread, for the program of this one."""
    module = ir.Module(name)
    parts, scratch = build(module)
    kernel = Kernel(name, min(processors(), parts), scratch)
    _entry(module, inputs, outputs + 1, parts, kernel.threads)
    return _Written(kernel, _compilers().submit(copy_context().run, _compile, module))


def _compile(module: ir.Module) -> None:
    """Where that fails, whoever needs the kernel next has it compiled again."""
    try:
        address = compiler.address_of(module, "entry")
    except BaseException:
        del _known[module.name]
        raise
    jax.ffi.register_ffi_target(module.name, jax.ffi.pycapsule(address), platform="cpu")


def _entry(module: ir.Module, inputs: int, outputs: int, parts: int, threads: int) -> None:
    """What XLA calls: tells the interface when asked; else shares the work and waits until all of it is done."""
    arrays = inputs + outputs
    drain, drop = _drain(module, arrays, parts), _drop(module)
    helper = _helper(module, drain, drop)
    c = Code(module, "entry", POINTER, [POINTER])
    frame = c.arguments[0]
    _answer_metadata(c, frame)
    call = c.call("malloc", POINTER, [long(8 * (_ADDRESSES + arrays))])
    for counter, value in ((_NEXT, 0), (_DONE, 0), (_OWNERS, threads), (_SLOTS, 0)):
        c.store(long(value), call, counter)
    for group, count, first in (("arguments", inputs, 0), ("results", outputs, inputs)):
        buffers = _field(c, frame, _FRAME[group])
        for i in range(count):
            buffer = c.load(buffers, i, POINTER)
            c.store(_field(c, buffer, _BUFFER_DATA), call, _ADDRESSES + first + i)
    _schedule(c, frame, (helper, drop), call, threads - 1)
    c.b.call(drain, [call])
    _wait(c, call, parts)
    c.b.call(drop, [call])
    c.b.ret(zeros(POINTER))


def _field(c: Code, structure: Value, offset: int, of: Value = POINTER) -> Value:
    return c.b.load(c.address(structure, offset, BYTE), typ=of)


def _answer_metadata(c: Code, frame: Value) -> None:
    b, (major, minor) = c.b, compiler.interface() or (0, 0)
    extension = _field(c, frame, _FRAME["extension"])
    with b.if_then(b.icmp_unsigned("!=", extension, zeros(POINTER))):
        asked = b.icmp_signed("==", _field(c, extension, _EXTENSION["type"], INT), ir.Constant(INT, 1))
        with b.if_then(asked):
            metadata = _field(c, extension, _EXTENSION["metadata"])
            for field, value in (("major", major), ("minor", minor), ("traits", 0)):
                b.store(ir.Constant(INT, value), c.address(metadata, _METADATA[field], BYTE))
            b.ret(zeros(POINTER))


def _schedule(c: Code, frame: Value, functions: tuple[Value, Value], call: Value, helpers: int) -> None:
    """Ask XLA's pool for help; a thread that it refuses gives up its share of the call."""
    helper, drop = functions
    api = _field(c, frame, _FRAME["api"])
    schedule, destroy = (_field(c, api, offset) for offset in (_SCHEDULE, _DESTROY_ERROR))
    request = _request(c, 40, (_field(c, frame, _FRAME["context"]), helper, call))
    with c.loop(helpers):
        refused = c.call_address(schedule, POINTER, [request])
        with c.b.if_then(c.b.icmp_unsigned("!=", refused, zeros(POINTER))):
            c.call_address(destroy, VOID, [_request(c, 24, (refused,))])
            c.b.call(drop, [call])


def _request(c: Code, size: int, pointers: Sequence[Value]) -> Value:
    """What a function of the api is given: its size, no extension, and pointers."""
    request = c.variable(LONG, size // 8)
    for place, value in enumerate((long(size), zeros(POINTER), *pointers)):
        c.b.store(value, c.address(request, place, LONG))
    return request


def _wait(c: Code, call: Value, parts: int) -> None:
    """Spin, for a part takes microseconds; then yield, so that a thread without a core can finish its part."""
    b, again, done = c.b, c.b.append_basic_block("wait"), c.b.append_basic_block("done")
    spins = c.variable(LONG)
    c.store(long(0), spins)
    b.branch(again)
    b.position_at_end(again)
    c.call("llvm.x86.sse2.pause", VOID, [])
    count = b.add(c.load(spins, 0, LONG), long(1))
    c.store(count, spins)
    with b.if_then(c.below(long(_SPINS), count)):
        c.call("sched_yield", INT, [])
    ready = b.load_atomic(c.address(call, _DONE, LONG), "acquire", 8, typ=LONG)
    b.cbranch(c.below(ready, parts), again, done)
    b.position_at_end(done)


def _count(c: Code, call: Value, counter: int, operation: str = "add") -> Value:
    return c.b.atomic_rmw(operation, c.address(call, counter, LONG), long(1), "acq_rel")


def _drain(module: ir.Module, arrays: int, parts: int) -> Value:
    """Compute parts until none is left."""
    c = Code(module, "drain", VOID, [POINTER])
    b, call = c.b, c.arguments[0]
    slot = _count(c, call, _SLOTS)
    addresses = [b.load(c.address(call, _ADDRESSES + i, LONG), typ=POINTER) for i in range(arrays)]
    following, work, out = (b.append_basic_block(name) for name in ("following", "work", "out"))
    b.branch(following)
    b.position_at_end(following)
    part = _count(c, call, _NEXT)
    b.cbranch(c.below(part, parts), work, out)
    b.position_at_end(work)
    b.call(module.globals["kernel"], [*addresses, part, slot])
    _count(c, call, _DONE)
    b.branch(following)
    b.position_at_end(out)
    b.ret_void()
    return c.function


def _drop(module: ir.Module) -> Value:
    """Leave the call; the last thread to leave it frees its memory, for a helper may come when all is done."""
    c = Code(module, "drop", VOID, [POINTER])
    left = _count(c, c.arguments[0], _OWNERS, "sub")
    with c.b.if_then(c.b.icmp_signed("==", left, long(1))):
        c.call("free", VOID, [c.arguments[0]])
    c.b.ret_void()
    return c.function


def _helper(module: ir.Module, drain: Value, drop: Value) -> Value:
    c = Code(module, "helper", VOID, [POINTER])
    for function in (drain, drop):
        c.b.call(function, [c.arguments[0]])
    c.b.ret_void()
    return c.function
