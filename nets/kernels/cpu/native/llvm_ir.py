"""LLVM's intermediate representation, written as structured code: loops, variables, vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir

Value = Any  # llvmlite has no types of its own for mypy

VOID, POINTER = ir.VoidType(), ir.PointerType()
BYTE, HALF, INT, LONG, FLOAT = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_BYTES = {HALF: 2, INT: 4, FLOAT: 4, LONG: 8, POINTER: 8}
LANES = 16  # float32 values in a line of memory: a vector of 512 bits, or two of 256


class _BFloat(ir.types.Type):
    """bfloat16, which llvmlite does not know."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


BFLOAT = _BFloat()


def vector(element: Value, lanes: int = LANES) -> Value:
    return ir.VectorType(element, lanes)


def long(value: int) -> Value:
    return ir.Constant(LONG, value)


def zeros(of: Value) -> Value:
    return ir.Constant(of, None)


class Code:
    """The body of one function, written from top to bottom; `b` is llvmlite's builder at the place reached."""

    def __init__(self, module: Value, name: str, results: Value, arguments: Sequence[Value], *, apart: int = 0) -> None:
        """apart: how many of the first arguments point to memory that no other one points to."""
        self.function = ir.Function(module, ir.FunctionType(results, arguments), name)
        self.function.attributes.add("nounwind")
        for argument in self.function.args[:apart]:
            argument.add_attribute("noalias")
        self.arguments = self.function.args
        self._entry = self.function.append_basic_block("entry")
        self.b = ir.IRBuilder(self._entry)

    def variable(self, of: Value, count: int = 1) -> Value:
        """A place that LLVM will turn into a register where it can: allocated once, at the start of the function."""
        with self.b.goto_block(self._entry):
            self.b.position_at_start(self._entry)
            place = self.b.alloca(ir.ArrayType(of, count))
        place.type = POINTER
        return place

    def address(self, base: Value, offset: Value | int, of: Value = FLOAT) -> Value:
        """The address of element `offset` of an array of `of`."""
        return self.b.gep(base, [long(offset) if isinstance(offset, int) else offset], source_etype=of)

    def load(self, base: Value, offset: Value | int, of: Value) -> Value:
        """An element, or the vector that starts at it: `offset` counts elements in either case.

        Nothing is promised about where a vector begins: that costs nothing where it begins with a line.
        """
        element = _element(of)
        return self.b.load(self.address(base, offset, element), typ=of, align=_BYTES[element])

    def store(self, value: Value, base: Value, offset: Value | int = 0) -> None:
        element = _element(value.type)
        self.b.store(value, self.address(base, offset, element), align=_BYTES[element])

    def mask(self, count: Value, lanes: int = LANES) -> Value:
        """Of a vector the first `count` lanes; none or all for numbers beyond."""
        numbers = ir.Constant(vector(LONG, lanes), list(range(lanes)))
        return self.b.icmp_signed("<", numbers, self.splat(count, lanes))

    def load_lanes(self, base: Value, offset: Value, of: Value, mask: Value) -> Value:
        """A vector of which only these lanes are read; the others are zeros."""
        element, lanes = _element(of), of.count
        align = ir.Constant(INT, _BYTES[element])
        name = f"llvm.masked.load.v{lanes}{_short(element)}.p0"
        return self.call(name, of, [self.address(base, offset, element), align, mask, zeros(of)])

    def store_lanes(self, value: Value, base: Value, offset: Value, mask: Value) -> None:
        element, lanes = _element(value.type), value.type.count
        align = ir.Constant(INT, _BYTES[element])
        name = f"llvm.masked.store.v{lanes}{_short(element)}.p0"
        self.call(name, VOID, [value, self.address(base, offset, element), align, mask])

    def index(self, first: Value | int, *steps: tuple[Value | int, int]) -> Value:
        """`((a * n + b) * m + c) ...` of `a, (b, n), (c, m), ...`."""
        total = _value(first)
        for value, size in steps:
            total = self.b.add(self.b.mul(total, long(size)), _value(value))
        return total

    def least(self, a: Value, b: Value) -> Value:
        return self.b.select(self.b.icmp_signed("<", a, b), a, b)

    def most(self, a: Value, b: Value) -> Value:
        return self.b.select(self.b.icmp_signed(">", a, b), a, b)

    def below(self, a: Value, b: Value | int) -> Value:
        return self.b.icmp_signed("<", a, _value(b))

    @contextmanager
    def loop(self, stop: Value | int, start: Value | int = 0, step: int = 1) -> Iterator[Value]:
        """for index in range(start, stop, step)."""
        b, first, last = self.b, _value(start), _value(stop)
        before, body, behind = b.block, b.append_basic_block("loop"), b.append_basic_block("behind")
        b.cbranch(b.icmp_signed("<", first, last), body, behind)
        b.position_at_end(body)
        index = b.phi(LONG)
        index.add_incoming(first, before)
        yield index
        following = b.add(index, long(step))
        index.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<", following, last), body, behind)
        b.position_at_end(behind)

    def call(self, name: str, result: Value, arguments: Sequence[Value]) -> Value:
        """A function from outside, or an intrinsic."""
        module = self.function.module
        known = module.globals.get(name)
        return self.b.call(
            known or ir.Function(module, ir.FunctionType(result, [a.type for a in arguments]), name), arguments
        )

    def call_address(self, address: Value, result: Value, arguments: Sequence[Value]) -> Value:
        """The function that `address` points to."""
        instruction = ir.instructions.CallInstr(self.b.block, _Callee(address, result, arguments), arguments)
        self.b._insert(instruction)  # the builder itself calls functions of the module alone
        return instruction

    def splat(self, value: Value, lanes: int = LANES) -> Value:
        """A vector of `value` in every lane."""
        of = vector(value.type, lanes)
        one = self.b.insert_element(ir.Constant(of, ir.Undefined), value, ir.Constant(INT, 0))
        return self.b.shuffle_vector(one, ir.Constant(of, ir.Undefined), zeros(vector(INT, lanes)))

    def sum(self, value: Value) -> Value:
        """The sum over the lanes, by halves."""
        lanes = value.type.count
        while lanes > 1:
            lanes //= 2
            low, high = (ir.Constant(vector(INT, lanes), list(range(i * lanes, (i + 1) * lanes))) for i in (0, 1))
            value = self.b.fadd(self.b.shuffle_vector(value, value, low), self.b.shuffle_vector(value, value, high))
        return self.b.extract_element(value, ir.Constant(INT, 0))


class _Callee:
    """An address as llvmlite's call instruction wants to see a function."""

    def __init__(self, address: Value, result: Value, arguments: Sequence[Value]) -> None:
        self._address = address
        self.function_type = ir.FunctionType(result, [a.type for a in arguments])
        self.type = self.function_type.as_pointer()

    def get_reference(self) -> str:
        return str(self._address.get_reference())


def _value(number: Value | int) -> Value:
    return long(number) if isinstance(number, int) else number


def _element(of: Value) -> Value:
    return of.element if isinstance(of, ir.VectorType) else of


def _short(of: Value) -> str:
    """As names of intrinsics have it."""
    return {FLOAT: "f32", HALF: "i16"}[of]
