"""How well samples of a class are told from others, whatever the threshold."""

from __future__ import annotations

from typing import Literal

import numpy as np

from nets.metrics.base import METRICS, Metric, Parts
from nets.metrics.reading import Reading, Undefined


@METRICS.register
class Auroc(Metric):
    """The area under the receiver operating characteristic, each class against the rest: the mean over the classes.

    That of a class is the probability that a sample of it has a higher probability of the class than another sample;
    equal ones count half. scikit-learn's `roc_auc_score` with `multi_class="ovr"`. A class without samples, or with
    all of them, has none, and is left out of the mean. Fawcett, 2006.
    """

    type: Literal["auroc"] = "auroc"
    nanoseconds = 255
    also = ("roc_auc", "roc_auc_score", "auc")

    def parts(self) -> Parts:
        return {self.key: self.of, f"{self.key}_per_class": self.per_class}

    def size(self, classes: int) -> int:
        return classes

    def of(self, reading: Reading) -> float:
        known = [area for area in self.per_class(reading) if area is not None]
        if not known:
            raise Undefined("all samples are of one class, which has none to be told from")
        return float(np.mean(known))

    def per_class(self, reading: Reading) -> list[float | None]:
        """The area of each class against the rest; None of one without samples, or with all."""
        from scipy.stats import rankdata  # most of a second, and records are read by whoever knows metrics by name

        ranks = rankdata(reading.probabilities, axis=0)
        samples = np.bincount(reading.labels, minlength=reading.classes).astype(np.float64)
        others = len(reading.labels) - samples
        own = np.where(reading.one_hot > 0, ranks, 0).sum(0) - samples * (samples + 1) / 2
        pairs = samples * others
        return [float(area / many) if many else None for area, many in zip(own, pairs, strict=True)]
