"""From LLVM's intermediate representation to machine code of this processor, and whether there is any to be had."""

from __future__ import annotations

import hashlib
import platform
import re
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax
import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir

from nets.process import code_cache, origins

VERSION = re.compile(r"#define XLA_FFI_API_(MAJOR|MINOR) (\d+)")
# The layouts of XLA's structures that `call` was written after, by the version that jaxlib's own header states.
KNOWN_INTERFACES = frozenset({(0, 3), (0, 4)})
# LLVM is to use vectors as they are written, of 512 bits; where a processor has none it takes them apart.
WIDE = 'nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512"'

# Count it up when `_compile` or `_target` changes: code that was compiled otherwise is then no longer used.
REVISION = 1

PREFIX = "lamina-kernel-"  # of the names under which code is kept

# The code of an engine lives as long as the engine.
_engines: list[Any] = []


@cache
def interface() -> tuple[int, int] | None:
    """(major, minor) of XLA's foreign function interface, as jaxlib's header states it."""
    try:
        text = (Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h").read_text()
    except OSError:
        return None
    found = dict(VERSION.findall(text))
    return (int(found["MAJOR"]), int(found["MINOR"])) if len(found) == 2 else None


@cache
def features() -> frozenset[str]:
    """What this processor can do, by LLVM's names; nothing where these kernels cannot be called."""
    if platform.system() != "Linux" or platform.machine() != "x86_64" or interface() not in KNOWN_INTERFACES:
        return frozenset()
    return frozenset(name for name, present in llvm.get_host_cpu_features().items() if present)


@dataclass(frozen=True)
class Vectors:
    """What this processor multiplies float32 in. lanes: values in a register. registers: how many there are."""

    lanes: int
    registers: int


def multiplies() -> bool:
    """Whether there are vectors that multiply and add at once."""
    return "avx512f" in features() or {"avx2", "fma"} <= features()


def vectors() -> Vectors:
    """Where there are any."""
    return Vectors(16, 32) if "avx512f" in features() else Vectors(8, 16)


def _target() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    cpu, able = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return target.create_target_machine(cpu=cpu, features=able, opt=3, jit=True)


def address_of(module: ir.Module, name: str) -> int:
    """Compile `module`, or find it compiled, and keep it for good. Returns: where its function `name` starts."""
    text = re.sub(r"\bnounwind\b", WIDE, str(module))
    depends_on = (
        REVISION,
        llvmlite.__version__,
        llvm.llvm_version_info,
        llvm.get_host_cpu_name(),
        sorted(features()),
        text,
    )
    kept_as = PREFIX + hashlib.sha256(repr(depends_on).encode()).hexdigest()
    began = time.perf_counter()
    code = kept = code_cache.get(kept_as)
    if code is None:
        code = _compile(text)
        code_cache.put(kept_as, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    origins.kernel("disk" if kept else "cold", time.perf_counter() - began)
    return int(engine.get_function_address(name))


def _compile(text: str) -> bytes:
    """An object file."""
    machine, module = _target(), llvm.parse_assembly(text)
    # All that such code needs: LLVM's own list of passes takes much longer, and nothing is faster for it.
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    code: bytes = machine.emit_object(module)
    return code
