"""Where one way to compute a convolution becomes faster than another: every limit, and what it was measured by.

Forward and back, batches of 16 and 64, two cores; figures in tests/benchmarks/README.md. A unit's name is that of
`machine.Unit`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

# (up to so many pixels a side, fewest channels), ascending; for results of even and of odd size. Odd ones are computed
# a row and a column larger, and joined.
FewestChannels = tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]
_NEVER = ((math.inf, math.inf),)

# Channels from which on the products that Winograd's transforms save outweigh these, beside products of patches and of
# bands; by what multiplies. The transforms also take five times as long to compile.
WINOGRAD_FEWEST_CHANNELS: Mapping[str, FewestChannels] = {
    "float32": (((6, 40), (math.inf, 8)), ((5, 85), (9, 40), (15, 18), (math.inf, 10))),
    "double_pumped": (((14, 36), (math.inf, 24)), ((11, 90), (15, 50), (math.inf, 36))),
    "full_width": (((math.inf, 72),), ((9, 150), (15, 128), (math.inf, 96))),
    "amx": (_NEVER, _NEVER),
}
# The same beside native kernels, by precision and unit.
WINOGRAD_FEWEST_CHANNELS_BESIDE_NATIVE: Mapping[tuple[str, str], FewestChannels] = {
    ("float32", "full_width"): (((7, 150), (math.inf, 80)), ((7, 150), (math.inf, 80))),
    ("float32", "amx"): (((7, 150), (math.inf, 80)), ((7, 150), (math.inf, 80))),
    ("float32", "double_pumped"): (((8, 72), (math.inf, 48)), ((7, 105), (math.inf, 64))),
    ("bfloat16", "full_width"): (((math.inf, 120),), ((7, 300), (math.inf, 150))),
    ("bfloat16", "double_pumped"): (((math.inf, 72),), ((7, 150), (math.inf, 100))),
}

# Lanes for an image up to which native kernels are ahead of products of matrices, which leave none empty. Measured on
# double-pumped units (batches of 60 equal, 100 0.93, 50 0.85, 20 0.8 of the speed); the others by their lead at 64.
NATIVE_MOST_LANES: Mapping[str, float] = {"double_pumped": 1.07, "full_width": 1.25, "amx": 1.25}
# Offsets in a stride, rows times columns: the gradient of the image is computed for each of them by itself.
NATIVE_MOST_OFFSETS = 16

# Products of a row of results that are written out one by one where every channel is convolved by itself.
NATIVE_MOST_WRITTEN_OUT = 600

# Bytes of the strips of one thread: what its L2 cache holds beside weights and results.
NATIVE_STRIP_BYTES = 400 << 10

# Input channels from which on a stride is worth taking apart: the rows of a product of fewer are few either way.
SPACE_TO_DEPTH_FEWEST_CHANNELS = 4
# Weights of the dense kernel, zeros included, for each of the kernel's own. 3 x 3 of stride 2 would be 4 x 4 with seven
# zeros (1.8): more products than it saves elsewhere.
SPACE_TO_DEPTH_MOST_WEIGHTS = 1.5
# Bytes of float32 patches up to which it is faster to keep the stride and leave the zeros out, 1.2 to 2.5 times. Larger
# ones leave the caches; bfloat16 has bands for the dense form.
SPACE_TO_DEPTH_SMALL_PATCHES: Mapping[str, int] = {"float32": 24 << 20, "bfloat16": 10 << 20}

# Input channels of a product of bands: it has so many times the width of the kernel to sum over.
BANDS_FEWEST_CHANNELS = 4

# Columns of a kernel for which there are points enough to evaluate polynomials at without losing digits.
TOOM_COOK_FEWEST_COLUMNS, TOOM_COOK_MOST_COLUMNS = 4, 7
# Channels, of image and result: with fewer the transforms take longer than the products that they save.
TOOM_COOK_FEWEST_CHANNELS = 8
# The share of the multiplications that may be left, for the same reason.
TOOM_COOK_MOST_PRODUCTS = 0.6

# Bytes of the patches of one point that stay in the L2 caches of two cores, the products beside them.
TOOM_COOK_BLOCK_BYTES = 3 << 18

# Input channels, and bytes of float32 patches from which on they are better made row by row. Patches hold every pixel
# as often as a kernel has taps, and the sums of one row's product are the longer: from 25 taps on half the size.
BLOCKS_FEWEST_CHANNELS = 4
BLOCKS_LARGE_PATCHES, BLOCKS_LARGE_PATCHES_OF_MANY_TAPS, BLOCKS_MANY_TAPS = 32 << 20, 16 << 20, 25

# Bytes of patches that are too much to keep for the gradient; they leave the caches long before.
ROWS_LARGE_PATCHES = 32 << 20

# Input channels of a first convolution that is computed together with the 2 x 2 pool behind it: with more its product
# has rows enough.
BEFORE_POOL_MOST_CHANNELS = 3

# Images of a part of a batch that is computed at a time: larger ones fall out of the caches (1.15 to 1.4 times as fast
# in parts). Features are few, and every part of a dense network reads all weights and adds to all their gradients:
# 1.1 to 1.7 times as fast in parts of 512; larger ones bring at most a tenth, and wide layers take much memory there.
IMAGES_AT_A_TIME, FEATURES_AT_A_TIME = 64, 512

# From how many equal blocks on a network computes them as a loop, which is compiled once. Measured on two cores: 8 and
# 24 residual blocks of 16 channels compile in 0.67 and 0.43 of the time and train as fast within the noise, 48 blocks
# on sequences in 0.22, and train six times as fast. Eight blocks of a ViT (64 wide, 4 heads, 64 steps, batch 64) are
# compiled in 0.33 of the time and take 210 ms a step, 173 where they are written out.
LOOP_LEAST_BLOCKS = 8
# Blocks of features, whose weights are used once for a sample, compile no sooner and train at 0.85 to 0.95 of the
# speed; on sequences of 16 steps nothing is lost.
LOOP_LEAST_POSITIONS = 16

# Heads up to which attention is computed one head after the other: each adds 13 operations to what is compiled. Four of
# 16 features, 49 steps and a batch of 64 take 10.0 ms forth and back, as one product of all heads 11.8 ms.
ATTENTION_MOST_HEADS = 8
