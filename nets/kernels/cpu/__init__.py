"""Training on XLA:CPU: convolutions as matrix products over images that lie channels first, batch last.

XLA:CPU's own convolutions, and the gradient of its max pooling, are many times slower than its matrix products, and
inside a loop slower still. So images lie `[channels, height, width, batch]`, where every product that a convolution
needs, forwards and backwards, reads and writes its operands as they lie.
"""
