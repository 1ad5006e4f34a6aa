"""To measure a device: how fast it trains small networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np

from nets.calibration.built_in import BUILT_IN
from nets.calibration.calibration import Calibration, Progress
from nets.calibration.expected import kinds_of
from nets.calibration.networks import networks
from nets.calibration.peaks import Interrupted, Stopped, measured_peaks
from nets.calibration.rates import Rates, Timed, fitted, left_out
from nets.calibration.trials import Begun, Trial
from nets.kernels import plan_for
from nets.process import devices, quiet

PEAKS_SHARE = 0.06  # of the time of a calibration
FIRST_VISITS = 0.85  # of that of rates, with compiling
NINE_OF_TEN = 0.9


def trials(device: jax.Device, progress: Progress, *, stopped: Stopped = lambda: False) -> list[Trial]:
    """How long a device takes for each of the networks.

    Takes about 100 s on two cores that do nothing else. progress: told what is measured, and which share is done.
    Raises Interrupted within some seconds of when `stopped` says so.
    """
    begun: list[Begun] = []
    wanted = list(networks())
    with devices.on(device):
        for number, (name, architecture, hyperparams) in enumerate(wanted):
            _go_on(stopped)
            progress(name, FIRST_VISITS * number / len(wanted))
            begun.append(Begun(architecture, hyperparams))
            begun[-1].visit()
        for number, each in enumerate(begun):
            _go_on(stopped)
            progress(f"{wanted[number][0]}, again", FIRST_VISITS + (1 - FIRST_VISITS) * number / len(wanted))
            each.visit()
    progress("rates", 1.0)
    return [each.trial() for each in begun]


def _go_on(stopped: Stopped) -> None:
    if stopped():
        raise Interrupted


def rates_of(tried: Sequence[Trial], platform: str) -> tuple[dict[str, float], dict[str, float]]:
    """The rates by which networks were as fast as they were, and the errors of those left out, by what was timed.

    There are none of compiling where all programs were read from the disk, and none of reading where none was.
    """
    plan = plan_for(platform, training=True).name
    known, kinds = BUILT_IN.get(plan, {}), kinds_of(plan, platform)
    rates: dict[str, float] = {}
    errors: dict[str, float] = {}
    training = [Timed(*each.training) for each in tried]
    compiling = [Timed(*each.compiling) for each in tried if each.compiling]
    for prefixes, timed in (
        (("train.", "update."), training),
        (("evaluate.",), [Timed(*each.evaluation) for each in tried]),
        (("compile.",), compiling),
        (("read.",), [Timed(*each.reading) for each in tried if each.reading]),
    ):
        if timed:
            rates |= fitted(timed, of(known, *prefixes), kinds)
    off = left_out(training, of(known, "train.", "update."), kinds)
    for sort in sorted({each.sort for each in tried}):
        errors[sort] = nine_of_ten([off[n] for n, each in enumerate(tried) if each.sort == sort])
    if compiling:
        errors["compiling"] = nine_of_ten(left_out(compiling, of(known, "compile."), kinds))
    return rates, errors


def of(rates: Rates, *prefixes: str) -> dict[str, float]:
    """Those that begin so."""
    return {name: rate for name, rate in rates.items() if name.startswith(prefixes)}


def nine_of_ten(off: Sequence[float]) -> float:
    """What nine of ten are within."""
    return float(np.quantile(np.abs(off), NINE_OF_TEN)) if len(off) else 1.0


def with_rates(
    made: Calibration, device: jax.Device, progress: Progress, *, stopped: Stopped = lambda: False
) -> Calibration:
    """A calibration with rates that are measured now. Of what could not be measured again, what was stays."""
    plan = plan_for(device.platform, training=True).name
    tried = trials(device, progress, stopped=stopped)
    found, off = rates_of(tried, device.platform)
    disturbed = sum(each.disturbed for each in tried) / len(tried)
    return replace(
        made,
        rates={plan: {**made.rates.get(plan, {}), **found}},
        errors={**made.errors, **{f"{plan}.{name}": each for name, each in off.items()}},
        disturbed=disturbed if disturbed > quiet.BUSY else 0.0,
    )


def calibrate(device: jax.Device, progress: Progress) -> Calibration:
    """Measure all of a device, for `keep` to write down."""

    def part(begin: float, end: float) -> Progress:
        return lambda what, share: progress(what, begin + (end - begin) * share)

    peaks = measured_peaks(device, part(0, PEAKS_SHARE))
    return with_rates(peaks.of(Calibration.blank(device)), device, part(PEAKS_SHARE, 1))
