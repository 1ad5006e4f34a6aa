"""Fields of PyTorch's modules that say nothing here: taken, and left out."""

from __future__ import annotations

from nets.spec.fields import Boolean, Spec


class BatchFirst(Spec):
    """What builders send with recurrent layers and attention: the batch is first here, whatever it says."""

    batch_first: Boolean = True


class InPlace(Spec):
    """What is sent with functions of each value: the compiler decides which memory is used again."""

    inplace: Boolean = False
