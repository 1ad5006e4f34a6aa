"""`GET /api/augment-preview`: samples of a data set as training would see them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.actions.pictures import Picture, tag_of
from backend.errors import ApiError, BadQuery
from backend.parsing.augment_preview import AugmentPreview
from backend.training.default_dataset import DefaultDataset
from nets import datasets
from nets.errors import DataError
from nets.training.check import unfit_augmentations

HAD = ("bundled", "cache")


@dataclass(frozen=True)
class Previews:
    """Sheets of samples before and after augmentation."""

    data_dir: Path
    default_dataset: DefaultDataset

    def of(self, query: AugmentPreview) -> Picture:
        """The sheet that a query asks for. BadQuery for augmentations that do not fit the data set; ApiError 409
        where the data set is not on this disk.
        """
        name = query.dataset or self.default_dataset.choose()[0]
        if query.dataset is None and datasets.source(name, self.data_dir) not in HAD:
            name = "digits"
        about = datasets.info(name)
        if problems := list(unfit_augmentations(query.augment, about, ("augment",))):
            raise BadQuery(problems)
        if datasets.source(name, self.data_dir) not in HAD:
            cure = f"fetch it with `lamina datasets prepare {name}`, or train on it once"
            raise ApiError(409, f"The data set {name} is not on this disk; {cure}")

        def draw() -> bytes:
            from nets.plots.sheet import sheet
            from nets.training.preview import preview

            try:
                dataset = datasets.load(name, self.data_dir)
            except DataError as problem:
                raise ApiError(409, str(problem)) from None
            rows = np.random.default_rng(query.seed).choice(len(dataset.train_inputs), query.count, replace=False)
            images = dataset.train_inputs[np.sort(rows)]
            made = preview(query.augment, images, seed=query.seed, times=query.times)
            return sheet([("before", images), *((f"epoch {number}", each) for number, each in enumerate(made, 1))])

        return Picture("augment", tag_of("augment", name, query), draw, media="image/png", ending="png")
