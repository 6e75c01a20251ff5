"""The text of a commented starter sweep file, for `hpo init`."""

from __future__ import annotations

_HEAD = """\
# A sweep: which trainer, what to search, how much. All keys: docs/sweep-file.md or `hpo schema`.
# Run it:       hpo run local {name}
# Change a key: hpo run local {name} trials=50 sampler=random space.{example}
"""

_IMAGE = """
trainer: keras-image              # Keras convolutional networks; or your own: module:function
dataset: digits                   # also mnist, fashion_mnist, cifar10, cifar100, an .npz, a folder
max_epochs_per_trial: 12
min_epochs_per_trial: 3

optimize_for: val_accuracy        # several make a Pareto front: [val_accuracy, training_time]
# mode: health                    # also weigh how healthy each training was

# keras-image brings a search space; what stands here narrows or replaces parts of it.
space:
  learning_rate: {low: 3.0e-4, high: 3.0e-2}   # new bounds, still on a log scale
  optimizer: [adam, rmsprop]                   # a list: one of these
  conv_layers: {high: 3}
  kernel_size: 3                               # a plain value: not searched
"""

_OWN_SPACE = """
space:
  x: {type: float, low: -5, high: 5}
  learning_rate: {type: float, low: 1e-5, high: 1e-1, log: true}
  layers: {type: int, low: 1, high: 4}
  optimizer: [adam, sgd]                       # a list: one of these
  momentum: {type: float, low: 0, high: 0.99, when: {optimizer: sgd}}   # exists only with sgd
"""

_FUNCTION = (
    """
trainer: {trainer}        # package.module:function, beside this file
optimize_for: value               # what the function returns; a dict of metrics has more names
direction: maximize               # or minimize
"""
    + _OWN_SPACE
)

_COMMAND = (
    """
# The program writes JSON lines such as {"value": 0.9} to the descriptor HPO_REPORT_FD.
command: [python3, train.py, --lr, "{learning_rate}", --seed, "{seed}"]
optimize_for: value
direction: maximize               # or minimize
"""
    + _OWN_SPACE
)

_TAIL = """
sampler: tpe                      # random, grid, qmc, cmaes, nsga2, gp; options: {name: tpe, ...}
pruner: median                    # none, percentile, asha, hyperband, patient, wilcoxon, threshold
seed: 0

trials: 20
concurrent_workers: 2
# timeout: 1h30m                  # stop the sweep after this time
# trial_timeout: 10m              # stop one trial after this time
# max_failures: 5                 # stop the sweep after more failed trials than this
"""


def starter_text(name: str, trainer: str) -> str:
    """Return the starter for `trainer`: keras-image, `command`, or `module:function`.

    name: the file's name, as the comments spell it.
    """
    bodies = {"keras-image": _IMAGE, "command": _COMMAND}
    body = bodies.get(trainer) or _FUNCTION.replace("{trainer}", trainer)
    example = "dropout.high=0.3" if trainer == "keras-image" else "layers.high=8"
    return _HEAD.format(name=name, example=example) + body + _TAIL
