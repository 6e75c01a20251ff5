"""A client that gets killed: `python client.py <run dir> <objective>...`."""

import os
import sys
import time
from pathlib import Path

from hpo_executors.local.executor import LocalExecutor
from hpo_executors.local.options import LocalOptions
from hpocli.spi import ExecutorContext, TrainerRef, TrialRequest

run_dir, *objectives = sys.argv[1:]
local = LocalExecutor(
    LocalOptions(), ExecutorContext(concurrent_workers=len(objectives), run_dir=Path(run_dir))
)
for number, objective in enumerate(objectives):
    workdir = Path(run_dir, objective)
    workdir.mkdir()
    local.submit_trial(
        TrialRequest(
            key=f"sweep/{number}/0",
            sweep_uid="sweep",
            trial=number,
            attempt=0,
            trainer=TrainerRef(
                kind="function",
                name=f"objectives:{objective}",
                pythonpath=(str(Path(__file__).parent),),
            ),
            params={},
            settings={},
            objectives=("value",),
            seed=0,
            workdir=workdir,
        ),
        lambda report: None,
    )
while not all(Path(run_dir, objective, "pids").exists() for objective in objectives):
    time.sleep(0.01)
if os.environ.get("CLIENT_FORKS") and os.fork() == 0:  # a copy of every descriptor lives on
    Path(run_dir, "draft").write_text(str(os.getpid()))
    Path(run_dir, "draft").rename(Path(run_dir, "fork"))
time.sleep(1000)
