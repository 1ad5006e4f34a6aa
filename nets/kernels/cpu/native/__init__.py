"""Direct convolutions as machine code: written for one shape in LLVM's IR, compiled, and called from XLA's programs.

A product of matrices has to be given patches; these kernels read the image itself. `[channels, height, width, batch]`
suits them: vectors are images of one channel of one pixel, and no border falls within one. Every value of the result
stays in a register until it is complete. After Georganas et al., 2018.
"""
