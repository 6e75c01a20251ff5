"""What the sweep knows: proposals, pruning, results. The only package that imports Optuna."""

from hpocli.study.samplers import trial_seed
from hpocli.study.sweep import KnownTrial, Proposal, SweepStudy

__all__ = ["KnownTrial", "Proposal", "SweepStudy", "trial_seed"]
