"""Images as the server takes them: numbers from 0 to 1, light ink on dark ground, of the size that a network reads.

Pillow and NumPy are imported only where there is a picture or an array.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from backend.client.errors import Unusable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

Invert = Literal["auto", "yes", "no"]
Shape = Sequence[int]  # height, width, channels
Pixels = Any  # nested lists of numbers
Values: TypeAlias = "npt.NDArray[np.float32]"

LIGHT_BORDER = 0.5  # above this, a picture of ink lies on a light ground; the grounds of the data sets are below 0.1


def is_picture(image: object) -> bool:
    """Whether an image is a picture, which must be fitted to a network; not numbers."""
    return hasattr(image, "getexif") or (
        isinstance(image, (str, os.PathLike)) and Path(image).suffix.lower() != ".json"
    )


def pixels_of(image: object, shape: Shape, *, invert: Invert = "auto") -> tuple[Pixels, list[str]]:
    """An image as numbers, and what was done to it. `shape`: (height, width, channels) that the network takes.

    image: a NumPy array (bytes are taken as 0 to 255), nested lists, a Pillow image, or a path: .json or a picture.
    """
    if isinstance(image, (str, os.PathLike)):
        path = Path(image)
        if path.suffix.lower() == ".json":
            return numbers_in(path), []
        return picture(opened(path), shape, invert=invert)
    if hasattr(image, "getexif"):  # one of Pillow
        return picture(image, shape, invert=invert)  # type: ignore[arg-type]
    if hasattr(image, "dtype") and hasattr(image, "tolist"):
        array: Any = image
        return (array / 255 if str(array.dtype) == "uint8" else array).tolist(), []
    if isinstance(image, Sequence):
        return image, []
    raise Unusable(f"an image is an array, nested lists, or a path of a picture or a JSON file, got {image!r:.80}")


def numbers_in(path: Path) -> Pixels:
    """The numbers in a JSON file: a list, or an object with `pixels`. Raises Unusable."""
    try:
        found = json.loads(path.read_text())
    except OSError as reason:
        raise Unusable(f"{path}: {reason.strerror}") from None
    except (ValueError, RecursionError) as reason:
        raise Unusable(f"{path} is no JSON: {reason}") from None
    found = found.get("pixels") if isinstance(found, dict) else found
    if not isinstance(found, list):
        raise Unusable(f'{path} must hold a list of numbers, or an object with "pixels"')
    return found


def opened(path: Path) -> Image:
    """A picture of any format that Pillow reads. Raises Unusable."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as found:
            found.load()
            return found
    except UnidentifiedImageError:
        raise Unusable(f"{path} is no picture that Pillow reads, and its name does not end in .json") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as reason:
        raise Unusable(f"{path}: {getattr(reason, 'strerror', None) or reason}") from None


def picture(image: Image, shape: Shape, *, invert: Invert) -> tuple[Pixels, list[str]]:
    """A picture as numbers: upright, on white where it is transparent, inverted where its ink is dark, and scaled.

    Only grey networks read ink; pictures for networks of colours are never inverted unless `invert` is "yes".
    """
    import numpy as np
    from PIL import Image as pillow
    from PIL import ImageOps

    height, width, channels = shape
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        ink = upright.convert("RGBA")
        upright = pillow.alpha_composite(pillow.new("RGBA", ink.size, "white"), ink)
    elif upright.mode.startswith(("I", "F")):
        upright = of_many_bits(upright)
    flat = upright.convert("L" if channels == 1 else "RGB")
    values = (np.asarray(flat, np.float32) / np.float32(255)).reshape(flat.height, flat.width, channels)
    notes = []
    if invert == "yes" or (invert == "auto" and channels == 1 and border(values) > LIGHT_BORDER):
        values = 1 - values
        notes.append("inverted: its ink is dark on light" if invert == "auto" else "inverted")
    if (flat.height, flat.width) != (height, width):
        notes.append(f"scaled from {flat.width} x {flat.height} to {width} x {height}")
        values = scaled(values, height, width)
    return (values[..., 0] if channels == 1 else values).round(4).tolist(), notes


def of_many_bits(image: Image) -> Image:
    """A picture of 16 or 32 bits, or of real numbers, as one of bytes: its lightest value is white."""
    import numpy as np
    from PIL import Image as pillow

    values = np.asarray(image, np.float64)
    most = 65535.0 if image.mode.startswith("I") and values.max() > 255 else max(float(values.max()), 1.0)
    return pillow.fromarray((values / most * 255).clip(0, 255).astype(np.uint8))


def border(values: Values) -> float:
    """The mean of the outermost pixels of [h, w, c]."""
    import numpy as np

    edges = [values[0], values[-1], values[1:-1, 0], values[1:-1, -1]]
    return float(np.concatenate(edges).mean())


def scaled(values: Values, height: int, width: int) -> Values:
    """[h, w, c] in another size; what is narrower or lower gets a margin in the colour of its border."""
    import numpy as np
    from PIL import Image as pillow

    tall, wide, channels = values.shape
    ratio = min(height / tall, width / wide)
    high, broad = max(1, round(tall * ratio)), max(1, round(wide * ratio))
    top, left = (height - high) // 2, (width - broad) // 2
    grown = np.empty((height, width, channels), np.float32)
    for channel in range(channels):
        layer = np.ascontiguousarray(values[..., channel])
        small = pillow.fromarray(layer).resize((broad, high), pillow.Resampling.LANCZOS)
        grown[..., channel] = border(layer[..., None])
        grown[top : top + high, left : left + broad, channel] = np.asarray(small).clip(0, 1)
    return grown
