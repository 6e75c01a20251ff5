"""The environment a trial process starts with: no credentials, its share of threads, its device."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_SECRET_NAME = re.compile(
    r"API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|TOKEN(?!IZERS_PARALLELISM$)|SECRET|PASSW(OR)?D|PASSPHRASE"
    r"|CREDENTIAL|^AWS_|^SSH_AUTH_SOCK$|_KEY$",
    re.IGNORECASE,
)
_PASSWORD_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]+@")
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` without what looks like a credential, by name or as a password in a URL.

    Proxy variables stay: without them a data set cannot be fetched.
    """
    return {
        name: value
        for name, value in environ.items()
        if not _SECRET_NAME.search(name)
        and (name.lower().endswith("_proxy") or not _PASSWORD_IN_URL.search(value))
    }


def trial_environment(
    environ: Mapping[str, str], *, threads: int, device: str | None
) -> dict[str, str]:
    """Return the environment of one trial process.

    threads: how many it may compute with. device: the GPU it may see, or None for CPU only.
    """
    return {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **scrubbed(environ),
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
        "CUDA_VISIBLE_DEVICES": "-1" if device is None else device,
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # workers may share a GPU
        "KERAS_BACKEND": "tensorflow",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "HPO_PARENT_PID": str(os.getpid()),
    }


def threads_per_worker(asked: int, workers: int) -> int:
    """Return `asked`, or where that is 0 this process's cores divided by `workers`, at least 1."""
    return asked or max(1, usable_cores() // max(1, workers))


def usable_cores() -> int:
    """Return how many cores this process may use: affinity and container quota counted in."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max": no quota
        return cores


def visible_gpus(environ: Mapping[str, str]) -> list[str]:
    """Return the NVIDIA GPUs that a worker may be given, honouring CUDA_VISIBLE_DEVICES."""
    named = environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        devices = [name.strip() for name in named.split(",")]
        return [name for name in devices if name and name != "-1"]
    nodes = sorted(int(p.name[6:]) for p in Path("/dev").glob("nvidia[0-9]*"))
    return [str(index) for index in range(len(nodes))]
