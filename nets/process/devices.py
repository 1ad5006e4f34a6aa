"""Every device of every platform that JAX has here: their names, which one is meant, and what is known of each."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import version
from typing import Any, TypeVar

import jax

from nets.errors import BrokenRule
from nets.facts import DeviceFacts, HostFacts
from nets.process.data_sheets import data_sheet
from nets.process.device import processor
from nets.process.device_memory import memory_of
from nets.process.environment import cpu, cuda, driver, ram
from nets.spec.allowed import one_of
from nets.spec.fields import got

PLATFORMS = ("gpu", "tpu", "cpu")  # as JAX calls them, in its order of preference
ALIASES = {"cuda": "gpu", "rocm": "gpu", "nvidia": "gpu", "amd": "gpu", "host": "cpu"}
WRITTEN = re.compile(r"\s*([a-z]+)\W*(\d*)\W*", re.IGNORECASE)  # `cuda:0`, `GPU0`

T = TypeVar("T")


def all_devices() -> list[jax.Device]:
    """Those of this process, the default's platform first."""
    found = list(jax.local_devices())
    known = {device.platform for device in found}
    for platform in PLATFORMS:
        try:
            more = jax.local_devices(backend=platform) if platform not in known else ()
        except RuntimeError:  # JAX has none of that platform here
            continue
        found += more
    return found


def default_device() -> jax.Device:
    """The one that trains unless another is named: JAX's first."""
    return jax.local_devices()[0]


def name_of(device: jax.Device) -> str:
    """`gpu:1`: the platform, and its place among those of the same platform in this process."""
    alike = [each for each in all_devices() if each.platform == device.platform]
    return f"{device.platform}:{alike.index(device)}"


def by_name() -> dict[str, jax.Device]:
    """Every device by its name, in the order of `all_devices`."""
    found: dict[str, jax.Device] = {}
    count: dict[str, int] = {}
    for device in all_devices():
        place = count[device.platform] = count.get(device.platform, -1) + 1
        found[f"{device.platform}:{place}"] = device
    return found


def choices() -> dict[str, jax.Device]:
    """Every device by each word that names it: its name, and the platform alone for the first of it."""
    found: dict[str, jax.Device] = {}
    for name, device in by_name().items():
        found.setdefault(device.platform, device)
        found[name] = device
    return found


def find(name: str | None) -> jax.Device:
    """The device that a word names; None: the default one. BrokenRule, with a list of those that are here."""
    if name is None:
        return default_device()
    known = choices()
    if name in known:
        return known[name]
    near = _meant(name, known)
    hint = f" Did you mean '{near}'?" if near else ""
    listed = ", ".join(known)
    detail = f"must be {'one of ' * (len(known) > 1)}{listed}, the devices here{got(name, hint)}"
    if near is None:
        detail += f" Send null for the default, {name_of(default_device())}"
    raise BrokenRule(detail, "not_one_of", expected=one_of(known), suggestion=near, set_to=near)


def _meant(name: str, known: dict[str, jax.Device]) -> str | None:
    """Which of the devices here a word in another spelling stands for."""
    if not (match := WRITTEN.fullmatch(name)):
        return None
    platform = ALIASES.get(match[1].lower(), match[1].lower())
    word = f"{platform}:{int(match[2])}" if match[2] else platform
    return word if word in known else None


def on(device: jax.Device) -> AbstractContextManager[object]:
    """Inside, this thread makes arrays and compiles programs for the device.

    Nothing changes where JAX would take it anyway: a setting that JAX counts among those that its own kept programs
    depend on would have them made twice.
    """
    if device == default_device() and jax.config.jax_default_device is None:  # type: ignore[attr-defined]
        return nullcontext()
    return jax.default_device(device)


def placed(device: jax.Device, items: Generator[T]) -> Iterator[T]:
    """The same items, each made on the device; whoever takes them is elsewhere meanwhile."""
    try:
        while True:
            with on(device):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item
    finally:
        with on(device):
            items.close()


def in_short() -> list[dict[str, Any]]:
    """Every device: name, JAX's number for it, platform (`cpu`, `gpu`, `tpu`) and kind (`NVIDIA H100 80GB HBM3`)."""
    return [
        {"id": device.id, "name": name, "platform": device.platform, "kind": device.device_kind}
        for name, device in by_name().items()
    ]


def kind_of(device: jax.Device) -> str:
    """The model; of a CPU that of the processor."""
    return device.device_kind if device.platform != "cpu" else processor()


def describe(device: jax.Device) -> DeviceFacts:
    """What is known of a device without measuring it."""
    kind = kind_of(device)
    return {
        "id": name_of(device),
        "platform": device.platform,
        "kind": kind,
        "default": device == default_device(),
        "memory": memory_of(device),
        "driver": driver() if device.platform == "gpu" else None,
        "cuda": cuda(str(getattr(device.client, "platform_version", ""))),
        "data_sheet": data_sheet(device.platform, kind),
    }


def host() -> HostFacts:
    """The machine that the devices are in."""
    return {
        "processor": cpu(),
        "ram_bytes": ram(),
        "jax": version("jax"),
        "jaxlib": version("jaxlib"),
    }
