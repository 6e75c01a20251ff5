"""hpocli drives hyperparameter sweeps whose trials run somewhere else."""

from hpocli._version import __version__

__all__ = ["__version__"]
