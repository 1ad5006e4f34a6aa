"""What ends a run before its last epoch."""

from nets.stopping.early_stopping import EarlyStopping
from nets.stopping.target import Target

__all__ = ["EarlyStopping", "Target"]
