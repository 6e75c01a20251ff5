"""Runs one trial: the contract, data, models, training and health of the trial process."""
