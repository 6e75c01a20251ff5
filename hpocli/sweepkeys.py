"""The sweep file's own keys, by themselves: light enough for `hpo --help`."""

from __future__ import annotations

SWEEP_KEYS = frozenset(
    {
        "trainer",
        "command",
        "pythonpath",
        "dataset",
        "settings",
        "trust",
        "max_epochs_per_trial",
        "min_epochs_per_trial",
        "validation_split",
        "optimize_for",
        "direction",
        "directions",
        "mode",
        "health_weight",
        "space",
        "sampler",
        "pruner",
        "enqueue",
        "warm_start",
        "seed",
        "trials",
        "concurrent_workers",
        "reproducible",
        "look_ahead",
        "timeout",
        "trial_timeout",
        "retries",
        "max_failures",
        "max_identical_failures",
        "on_interrupt",
        "run_name",
        "runs_dir",
        "storage",
        "save_best_model",
        "plot_generation",
        "executor",
    }
)
