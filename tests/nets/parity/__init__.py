"""Parity with PyTorch: what its modules gave, recorded once, and compared with what layers give.

A family of layers is one file in `families/` with

- `CASES`: cases by name, each a layer as JSON (or several in a row), the shapes of its inputs, and PyTorch's module as
  text. The first one runs in the everyday suite, the others in the slow one: put the most telling case first.
- `INITIAL`, where layers have weights: cases with arrays large enough to tell distributions, by name.

A module that PyTorch does not have ready is written in `families/<family>_modules.py`, which imports torch; the names of
that file can be used in the texts. Then, with PyTorch 2.13 at hand (no test needs it):

    python -m tests.nets.parity.record activation norm      # or all without a name
    pytest -n 0 -m "" tests/nets/parity -k norm

Inputs, weights and cotangents are drawn by NumPy on both sides (`case.py`), so that `families/<family>.npz` holds only
what PyTorch gave. Weights are matched by the names of `layout=torch`: `Parameter.torch`, and `turned`. Layers that draw
random numbers say `random=True`, and are compared in evaluation alone.
"""
