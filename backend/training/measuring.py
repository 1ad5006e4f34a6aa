"""The peaks of devices: measured once, when somebody has asked for them and nothing trains."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import jax

from backend.state.attempts import MEASURING, Attempts
from backend.training.warmer import Warmer
from nets.calibration import calibration
from nets.calibration.calibrate import with_rates
from nets.calibration.calibration import Calibration
from nets.calibration.peaks import Interrupted, measured_peaks
from nets.process.devices import name_of
from nets.training.workload import Workload

logger = logging.getLogger("lamina.devices")

PATIENCE = 30.0  # seconds until a wish that was not fulfilled is made again

SOON = "it is measured as soon as nothing trains: ask again in some seconds, or call `lamina devices --calibrate`"
LEFT_OUT = "it could not be measured; the log of the server has the reason. `lamina devices --calibrate` tries again"


class Measuring:
    """What is kept in `folder`, and what is measured on the thread that compiles ahead: at no run's expense.

    A server that nobody asks measures nothing; a run that begins meanwhile ends the measurement at once.
    """

    def __init__(self, folder: Path, warmer: Warmer, attempts: Attempts) -> None:
        self._folder, self._warmer, self._attempts = folder, warmer, attempts
        self._lock = threading.Lock()
        self._wanted: dict[str, jax.Device] = {}  # by what their measurements hold for: of alike ones, one
        self._failed: set[str] = set()
        self._whole: set[str] = set()  # of which rates are wanted as well, which takes a minute and more
        self._asked_at = -PATIENCE

    def kept(self, device: jax.Device) -> Calibration | None:
        """What was measured of a device like this one."""
        return calibration.kept(self._folder, device)

    def reason(self, device: jax.Device) -> str:
        """Why there is nothing yet."""
        return LEFT_OUT if calibration.key_of(device) in self._failed else SOON

    def ask(self, device: jax.Device, *, again: bool = False) -> None:
        """Measure a device when there is time, unless that is done. again: though it is."""
        key, found = calibration.key_of(device), self.kept(device)
        with self._lock:
            if again or not (key in self._failed or (found and found.peaks)):
                self._wanted.setdefault(key, device)
            if again:
                self._whole.add(key)
            # A wish may have given way to others.
            if not self._wanted or time.monotonic() - self._asked_at < PATIENCE and not again:
                return
            self._asked_at = time.monotonic()
        self._warmer.warm(self._measure_all)

    def under_way(self) -> bool:
        """Whether anything is wanted and not there."""
        return bool(self._wanted)

    def _measure_all(self) -> Workload | None:
        """On the thread of the warmer."""
        while True:
            with self._lock:
                key, device = next(iter(self._wanted.items()), (None, None))
            if key is None or device is None:
                self._asked_at = -PATIENCE
                return None
            self._measure(key, device)
            with self._lock:
                self._wanted.pop(key, None)

    def _measure(self, key: str, device: jax.Device) -> None:
        try:
            with self._attempts.of(MEASURING, depends_on=key) as allowed:
                if not allowed:
                    self._failed.add(key)
                    return
                peaks = measured_peaks(device, stopped=self._warmer.called_away)
            made = peaks.of(self.kept(device) or Calibration.blank(device))
            calibration.keep(self._folder, made)
            self._failed.discard(key)
            if key in self._whole:
                made = with_rates(made, device, lambda what, share: None, stopped=self._warmer.called_away)
                calibration.keep(self._folder, made)
                self._whole.discard(key)
            logger.info("the peaks of %s are measured", name_of(device))
        except Interrupted:
            logger.info("a run came before the peaks of %s were measured", name_of(device))
        except Exception:
            self._failed.add(key)
            logger.exception("the peaks of %s cannot be measured", name_of(device))
