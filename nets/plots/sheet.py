"""Images side by side, as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

GAP, MARGIN, LABELS = 4, 12, 64  # pixels
LEAST = 84  # pixels of the longer side of an image: small ones are enlarged by whole numbers
PAPER, INK = (255, 255, 255), (60, 60, 60)


def sheet(rows: Sequence[tuple[str, np.ndarray]]) -> bytes:
    """Rows of images with what each row is: bytes `[images, height, width, channels]`, of any number of channels."""
    times = max(1, LEAST // max(rows[0][1].shape[1:3]))
    count, height, width = rows[0][1].shape[0], rows[0][1].shape[1] * times, rows[0][1].shape[2] * times
    size = (LABELS + count * (width + GAP) + 2 * MARGIN, len(rows) * (height + GAP) + GAP + 2 * MARGIN)
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    for number, (label, images) in enumerate(rows):
        top = MARGIN + number * (height + GAP) + (GAP if number else 0)  # the first row is what the others are made of
        draw.text((MARGIN, top + height // 2 - 5), label, fill=INK)
        for place, image in enumerate(coloured(images)):
            large = image.repeat(times, 0).repeat(times, 1)
            page.paste(Image.fromarray(large), (MARGIN + LABELS + place * (width + GAP), top))
    written = BytesIO()
    page.save(written, "PNG")
    return written.getvalue()


def coloured(images: np.ndarray) -> np.ndarray:
    """Images of three channels: of other numbers, the mean of all."""
    if images.shape[-1] == 3:
        return images
    return np.repeat(images.mean(-1, keepdims=True).round().astype(np.uint8), 3, axis=-1)
