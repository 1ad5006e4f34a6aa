"""The pictures of a report, each twice: for a page and for a phone, of which the page's style shows one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nets.benchmarks.results import BenchedDevice, Cell, Results
from nets.plots.bars import Bar, Group, bars
from nets.plots.charts import Chart, Guide, Points, charts
from nets.plots.words import shortened, told_apart

WIDE, NARROW = 900, 358  # pixels
MACHINE = {WIDE: 40, NARROW: 15}  # letters of the name of a machine
Draw = Callable[[int, str], str]  # from a width and the beginning of ids


@dataclass(frozen=True)
class Series:
    """What is compared: a device in a precision."""

    machine: str
    device: str
    precision: str


class Pictures:
    """Of one result. Series have the same colour, marker and dashes in all of them."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.cells = [cell for cell in results["cells"] if cell["samples_per_second"] is not None]
        self.series = list(dict.fromkeys(series_of(cell) for cell in results["cells"]))
        self.sizes = sorted({cell["batch_size"] for cell in self.cells})
        self.kinds: Mapping[tuple[str, str], BenchedDevice] = {
            (device["machine"], device["id"]): device for device in results["devices"]
        }

    def machine(self, name: str, width: int) -> str:
        """A machine, in the room that a picture of this width has; of equal beginnings with a number."""
        names = [machine["name"] for machine in self.results["machines"]]
        short = told_apart(names, [str(place + 1) for place in range(len(names))], MACHINE[width])
        return short[names.index(name)] if name in names else shortened(name, MACHINE[width])

    def device(self, machine: str, device: str, width: int) -> str:
        """A device, with its machine where there are several; of a machine with one device the machine alone."""
        if len(self.results["machines"]) < 2:
            return device
        alone = sum(found["machine"] == machine for found in self.results["devices"]) == 1
        return self.machine(machine, width) if alone else f"{self.machine(machine, width)}, {device}"

    def names(self, width: int) -> list[str]:
        """Of the series, in a picture of this width."""
        return [f"{self.device(each.machine, each.device, width)}, {each.precision}" for each in self.series]

    def number(self, cell: Cell) -> int:
        return self.series.index(series_of(cell))

    def of_body(self, body: str) -> list[Cell]:
        return [cell for cell in self.cells if cell["body"] == body]

    def fastest(self, body: str) -> list[Cell]:
        """Of each series the cell with the batch size that is fastest."""
        best: dict[int, Cell] = {}
        for cell in self.of_body(body):
            known = best.get(self.number(cell))
            if known is None or median_of(cell) > median_of(known):
                best[self.number(cell)] = cell
        return [best[number] for number in sorted(best)]

    def speeds(self) -> str:
        """Bars with intervals per network and device."""

        def bar(cell: Cell, name: str) -> Bar:
            return Bar(name, median_of(cell), self.number(cell), *interval_of(cell), note=f" at {cell['batch_size']:,}")

        return self._bars(bar, "speed of training at the fastest batch size", "samples/s", "s")

    def energies(self) -> str:
        """Bars where it is known."""

        def bar(cell: Cell, name: str) -> Bar | None:
            joules, note = cell["energy"]["joules_per_1000_samples"], f" at {cell['batch_size']:,}"
            return None if joules is None else Bar(name, joules, self.number(cell), note=note)

        return self._bars(bar, "energy of training", "J per 1,000 samples", "e")

    def _bars(self, bar: Callable[[Cell, str], Bar | None], about: str, unit: str, prefix: str) -> str:
        """A group for each network, with a bar for each series at its fastest batch size."""

        def draw(width: int, start: str) -> str:
            names, groups = self.names(width), []
            for body in self.results["bodies"]:
                made = [bar(cell, names[self.number(cell)]) for cell in self.fastest(body["name"])]
                groups.append(Group(body["name"], [each for each in made if each is not None]))
            shown = [group for group in groups if group.bars]
            if not shown:
                return ""
            return bars(shown, about=about, unit=unit, width=width, theme="light", prefix=start, inline=True)

        return twice(draw, prefix)

    def by_batch(self) -> str:
        """Speed against batch size, a panel for each network; nothing where there is one size."""
        panels = [self._panel(body["name"], "samples/s", median_of, intervals=True) for body in self.results["bodies"]]
        several = len(self.sizes) > 1
        return self._charts([panel for panel in panels if panel.points and several], "Speed against batch size", "b")

    def memory(self) -> str:
        """Peak memory against batch size; as bars where there is one size."""

        def bar(cell: Cell, name: str) -> Bar | None:
            return Bar(name, mebibytes(cell), self.number(cell)) if mebibytes(cell) else None

        if len(self.sizes) < 2:
            return self._bars(bar, "peak memory", "MiB", "m")
        panels = [self._panel(body["name"], "peak memory, MiB", mebibytes) for body in self.results["bodies"]]
        return self._charts([panel for panel in panels if panel.points], "Peak memory against batch size", "m")

    def _panel(self, body: str, unit: str, value: Callable[[Cell], float], *, intervals: bool = False) -> Chart:
        found: list[Points] = []
        sizes = sorted({cell["batch_size"] for cell in self.of_body(body)})
        for place in range(len(self.series)):
            cells = [cell for cell in self.of_body(body) if self.number(cell) == place and value(cell) > 0]
            cells.sort(key=lambda cell: cell["batch_size"])
            ends = [interval_of(cell) for cell in cells] if intervals else []
            found.append(
                Points(
                    place,
                    [cell["batch_size"] for cell in cells],
                    [value(cell) for cell in cells],
                    low=[low for low, _ in ends],
                    high=[high for _, high in ends],
                )
            )
        return Chart(f"{body} ({unit})", "batch size (samples)", [points for points in found if points.x], [], sizes)

    def roofline(self) -> str:
        """FLOP/s against arithmetic intensity, below the measured peaks: a panel for each device."""

        def panel(key: tuple[str, str], device: BenchedDevice, width: int) -> Chart:
            cells = [cell for cell in self.cells if (cell["machine"], cell["device"]) == key]
            found = []
            for place in range(len(self.series)):
                here = [cell for cell in cells if self.number(cell) == place and rates_of(cell)]
                x, y = [[rates_of(cell)[part] for cell in here] for part in (0, 1)]
                found.append(Points(place, x, y, joined=False))
            shown = [points for points in found if points.x]
            across = [value for points in shown for value in points.x]
            heading = f"{self.device(*key, width)} (FLOP/s)"
            return Chart(heading, "arithmetic intensity (FLOP/byte)", shown, roofs(device, across) if across else [])

        def draw(width: int, start: str) -> str:
            panels = [found for key, each in self.kinds.items() if (found := panel(key, each, width)).points]
            return self._drawn(panels, "Rooflines", width, start)

        return twice(draw, "r")

    def compiling(self) -> str:
        """Seconds of compilation against those of an epoch."""
        samples = {body["name"]: body["train_samples"] for body in self.results["bodies"]}
        panels = []
        for kind in ("cold", "warm"):
            found = []
            for place in range(len(self.series)):
                x, y = [], []
                for cell in self.cells:
                    seconds = cell["compile_seconds"]["cold" if kind == "cold" else "warm"]
                    if self.number(cell) == place and seconds and median_of(cell) > 0:
                        x.append(samples[cell["body"]] / median_of(cell))
                        y.append(seconds)
                found.append(Points(place, x, y, joined=False))
            shown = [points for points in found if points.x]
            if shown:
                panels.append(Chart(f"compilation, {kind} (s)", "steady time of one epoch (s)", shown))
        return self._charts(panels, "Time of compilation against steady time", "c")

    def _charts(self, panels: Sequence[Chart], title: str, prefix: str) -> str:
        return twice(lambda width, start: self._drawn(panels, title, width, start), prefix)

    def _drawn(self, panels: Sequence[Chart], title: str, width: int, prefix: str) -> str:
        if not panels:
            return ""
        return charts(panels, self.names(width), title=title, width=width, theme="light", prefix=prefix, inline=True)


def twice(draw: Draw, prefix: str) -> str:
    """A picture for both widths of a page; nothing where there is nothing to draw."""
    wide, narrow = draw(WIDE, f"{prefix}w"), draw(NARROW, f"{prefix}n")
    return f'<div class="picture wide">{wide}</div><div class="picture narrow">{narrow}</div>' if wide else ""


def roofs(device: BenchedDevice, across: Sequence[float]) -> list[Guide]:
    """What a device can do at most at each intensity: its memory on the left, its measured peaks on the right.

    They reach from the points to where memory stops being the limit of the highest.
    """
    bandwidth = device["bandwidth"]
    peaks = {name: peak for name, peak in device["measured_peaks"].items() if peak}
    corners = [peak / bandwidth for peak in peaks.values()] if bandwidth else []
    first, last = min([*across, *corners]) / 1.5, max([*across, *corners]) * 1.5
    found = []
    for place, (name, peak) in enumerate(peaks.items()):
        x = [first, peak / bandwidth, last] if bandwidth else [first, last]
        y = [min(peak, each * bandwidth) if bandwidth else peak for each in x]
        found.append(Guide(f"measured peak, {name}", x, y, dashed=place > 0))
    return found


def mebibytes(cell: Cell) -> float:
    """The peak of memory; 0 where it is not known."""
    return (cell["peak_memory"]["bytes"] or 0) / (1 << 20)


def series_of(cell: Cell) -> Series:
    """What is compared with others."""
    return Series(cell["machine"], cell["device"], cell["precision"])


def median_of(cell: Cell) -> float:
    """Samples a second."""
    speed = cell["samples_per_second"]
    return speed["median"] if speed else 0.0


def interval_of(cell: Cell) -> tuple[float, float]:
    """The interval of its median."""
    speed = cell["samples_per_second"]
    return (speed["low"], speed["high"]) if speed else (0.0, 0.0)


def rates_of(cell: Cell) -> tuple[float, float] | tuple[()]:
    """Its place in a roofline; empty where one of both is unknown."""
    intensity, speed = cell["arithmetic_intensity"], cell["model_flops_per_second"]
    return (intensity, speed) if intensity and speed else ()
