"""Convolutions in machine code of their own, written for one shape and compiled by LLVM, called from XLA's programs.

A product of matrices has to be given patches; these kernels read the image itself. `[channels, height, width, batch]`
suits them: whole vectors of one channel of one pixel, never a border within one. Every value of the result stays in a
register until it is complete.
"""
