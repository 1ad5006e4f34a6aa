"""Images as sequences: of pixels, of patches, of vectors made of patches; and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from jax import Array
from jax.nn import softmax
from pydantic import BeforeValidator, Field, WithJsonSchema

from nets.layers.base import Bound, Cost, Example, Layer, Misfit, register
from nets.layers.parameters import Arrays, weights
from nets.spec.fields import Boolean, Pair, Width, pair, shown, size, size_schema
from nets.spec.values import Value, image, sequence

MOST = 4096  # pixels of a side
Sides = Annotated[
    int | Pair,
    BeforeValidator(lambda value: size(value, least=1, most=MOST)),
    WithJsonSchema(size_schema(least=1, most=MOST)),
]


def undivided(value: Value, patch: Pair) -> Iterator[Misfit]:
    """An image that is no whole number of patches."""
    _, high, wide = value.shape
    if high % patch[0] or wide % patch[1]:
        common = math.gcd(high, wide)
        fits = [each for each in range(1, common + 1) if common % each == 0]
        near = min(fits, key=lambda each: (abs(each - patch[0]), each))
        rule = "must divide the height and the width of what {before} gives{shape}"
        detail = f"{rule}, got {told(patch)}; set {{field}} to {near}"
        yield Misfit("patch_size", detail, code="mismatch", expected={"enum": fits}, fatal=True)


def told(patch: Pair) -> str:
    """`4`, `[1, 28]`."""
    return shown(patch[0] if patch[0] == patch[1] else list(patch))


def patches(x: Array, patch: Pair) -> Array:
    """`[batch, height, width, channels] -> [batch, rows, columns, channels, patch height, patch width]`."""
    batch, high, wide, channels = x.shape
    cut = x.reshape(batch, high // patch[0], patch[0], wide // patch[1], patch[1], channels)
    return cut.transpose(0, 1, 3, 5, 2, 4)


@register
class ToSequence(Layer):
    """An image as a sequence of its patches, row by row; without a patch_size, of its pixels.

    The features of a step are a patch channel by channel, each row by row, as PyTorch's `nn.Unfold` has them. Patches
    of `[1, width]` are the rows of an image.
    """

    type: Literal["tosequence"] = "tosequence"
    patch_size: Sides = Field(default=1, description="Height and width of a patch; both sides are multiples of it.")

    also = ("to_sequence",)
    refused = {
        "stride": "Patches stand side by side; leave it out, or use patchembedding or conv2d",
        "padding": "Patches stand within the image; put zeropad2d before it",
        "dilation": "Patches have no gaps; leave it out, or use conv2d",
    }
    takes = ("image",)
    keeps_values = True
    examples = (
        Example({"type": "tosequence"}, (image(3, 4, 4),), sequence(16, 3)),
        Example({"type": "tosequence", "patch_size": 2}, (image(3, 4, 6),), sequence(6, 12)),
        Example({"type": "tosequence", "patch_size": [1, 4]}, (image(1, 3, 4),), sequence(3, 4)),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from undivided(inputs[0], pair(self.patch_size))

    def output(self, *inputs: Value) -> Value:
        width = inputs[0].channels * math.prod(pair(self.patch_size))
        return sequence(inputs[0].size // width, width)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        if pair(self.patch_size) == (1, 1):
            return xs[0].reshape(xs[0].shape[0], *bound.gives.shape)
        return patches(xs[0], pair(self.patch_size)).reshape(xs[0].shape[0], *bound.gives.shape)


@register
class ToImage(Layer):
    """A sequence of patches as the image that they were cut from: `tosequence` turned round. PyTorch's `nn.Fold`."""

    type: Literal["toimage"] = "toimage"
    patch_size: Sides = Field(default=1, description="Height and width of a patch.")
    size: Sides | None = Field(
        default=None, description="Height and width of the image; without it, as many patches each way."
    )

    also = ("to_image",)
    takes = ("sequence",)
    cures = {"tokens": "put embedding before it", "features": "use reshape or unflatten"}
    keeps_values = True
    examples = (
        Example({"type": "toimage"}, (sequence(9, 4),), image(4, 3, 3)),
        Example({"type": "toimage", "patch_size": 2, "size": [4, 6]}, (sequence(6, 12),), image(3, 4, 6)),
    )

    def sides(self, value: Value) -> Pair | None:
        """Height and width of the image; None where no image is square."""
        if self.size is not None:
            return pair(self.size)
        grid = math.isqrt(value.shape[0])
        patch = pair(self.patch_size)
        return (grid * patch[0], grid * patch[1]) if grid**2 == value.shape[0] else None

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        (length, width), patch = inputs[0].shape, pair(self.patch_size)
        if width % math.prod(patch):
            fits = [each for each in range(1, math.isqrt(width) + 1) if width % each**2 == 0]
            rule = f"must fit the {width} features of {{before}}, channels x height x width of a patch"
            detail = f"{rule}, got {told(patch)}; set {{field}} to {fits[-1]}"
            yield Misfit("patch_size", detail, code="mismatch", expected={"enum": fits}, fatal=True)
            return
        whole = [each for each in range(1, length + 1) if length % each == 0]
        choices = [[each * patch[0], length // each * patch[1]] for each in whole]
        near = choices[len(whole) // 2]
        sides = self.sides(inputs[0])
        if sides is None:
            detail = f"toimage needs a size for {length} steps, which are no square; set size to {shown(near)}"
            expected = {"required": ["size"], "properties": {"size": {"enum": choices[:64]}}}
            yield Misfit(None, detail, fatal=True, expected=expected)
        elif any(side % each for side, each in zip(sides, patch, strict=True)) or (
            math.prod(sides) != length * math.prod(patch)
        ):
            rule = f"must be of {length} patches of {' x '.join(map(str, patch))}, as {{before}} gives"
            detail = f"{rule}, got {told(sides)}; set {{field}} to {shown(near)}"
            yield Misfit("size", detail, code="mismatch", expected={"enum": choices[:64]}, fatal=True)

    def filled(self, *inputs: Value) -> Self:
        return self.model_copy(update={"size": self.sides(inputs[0])})

    def output(self, *inputs: Value) -> Value:
        high, wide = self.sides(inputs[0]) or (1, 1)
        return image(inputs[0].channels // math.prod(pair(self.patch_size)), high, wide)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        (channels, high, wide), patch = bound.gives.shape, pair(self.patch_size)
        grid = xs[0].reshape(-1, high // patch[0], wide // patch[1], channels, *patch)
        return grid.transpose(0, 1, 4, 2, 5, 3).reshape(-1, high, wide, channels)


@register
class PatchEmbedding(Layer):
    """A vector for each patch of an image, row by row, as Vision Transformers begin. Dosovitskiy et al., 2021.

    What PyTorch's `nn.Conv2d` gives with kernel and stride of the patch's size, as a sequence.
    """

    type: Literal["patchembedding"] = "patchembedding"
    patch_size: Sides = Field(description="Height and width of a patch; both sides are multiples of it.")
    embed_dim: Width = Field(description="Features of each vector.")
    bias: Boolean = Field(default=True, description="Whether each feature gets a trained constant added.")

    also = ("patch_embedding",)
    aliases = {"out": "embed_dim", "hidden_dim": "embed_dim", "out_channels": "embed_dim"}
    takes = ("image",)
    converts = True
    width = "embed_dim"
    title = (4, "ViT")
    linear_map = True
    examples = (
        Example({"type": "patchembedding", "patch_size": 2, "embed_dim": 5}, (image(3, 4, 4),), sequence(4, 5)),
        Example(
            {"type": "patchembedding", "patch_size": [1, 2], "embed_dim": 4, "bias": False},
            (image(2, 3, 4),),
            sequence(6, 4),
        ),
    )

    def misfits(self, *inputs: Value) -> Iterator[Misfit]:
        yield from undivided(inputs[0], pair(self.patch_size))

    def output(self, *inputs: Value) -> Value:
        _, high, wide = inputs[0].shape
        patch = pair(self.patch_size)
        return sequence((high // patch[0]) * (wide // patch[1]), self.embed_dim)

    def arrays(self, *inputs: Value) -> Arrays:
        patch, channels = pair(self.patch_size), inputs[0].channels
        return weights((*patch, channels, self.embed_dim), outputs=self.embed_dim, bias=self.bias)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        (batch, high, wide, channels), patch = xs[0].shape, pair(self.patch_size)
        cut = xs[0].reshape(batch, high // patch[0], patch[0], wide // patch[1], patch[1] * channels)
        rows = cut.transpose(0, 1, 3, 2, 4).reshape(batch, bound.gives.shape[0], -1)
        y = bound.numerics.dot(rows, bound.param("kernel").reshape(rows.shape[2], -1))
        return y if (bias := bound.given("bias")) is None else y + bias


@register
class SequencePool(Layer):
    """The mean of all steps, weighed by softmax(x w + b) over the steps. Hassani et al., 2021.

    The pooling of a Compact Transformer: features come out, and no class token is needed.
    """

    type: Literal["sequencepool"] = "sequencepool"
    bias: Boolean = Field(default=True, description="Whether there is b; softmax cancels it.")

    also = ("sequence_pool",)
    takes = ("sequence",)
    cures = {"tokens": "put embedding before it", "image": "put patchembedding or tosequence before it"}
    examples = (Example({"type": "sequencepool"}, (sequence(5, 6),), Value("features", (6,))),)

    def output(self, *inputs: Value) -> Value:
        return Value("features", inputs[0].shape[1:])

    def arrays(self, *inputs: Value) -> Arrays:
        return weights((inputs[0].channels, 1), outputs=1, bias=self.bias)

    def cost(self, *inputs: Value) -> Cost:
        """The scores, and the sum that they weigh."""
        size, (length, width) = inputs[0].size, inputs[0].shape
        return Cost(2 * size, gives=width, held=width + length, padded=size, drawn=0, of_values=size)

    def apply(self, bound: Bound, *xs: Array) -> Array:
        scores = bound.numerics.dot(xs[0], bound.param("kernel"))
        if (bias := bound.given("bias")) is not None:
            scores = scores + bias
        shares = softmax(scores, axis=1)
        return bound.numerics.product(shares, xs[0], 0, 0)[:, 0]
