"""The data sets with a name: digits from scikit-learn, the others through Keras's own loaders."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import socket
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hpo_handler.data.arrays import DataError, Images, as_images

_STALL_S = 30.0  # a download that sends nothing for so long has failed
_FILES = {
    "mnist": "mnist.npz",
    "fashion_mnist": "its four -ubyte.gz files, in a folder fashion-mnist,",
    "cifar10": "cifar-10-python.tar.gz, renamed cifar-10-batches-py-target_archive,",
    "cifar100": "cifar-100-python.tar.gz, renamed cifar-100-python-target_archive,",
}


def load_builtin(name: str) -> Images:
    """Return a data set of the catalog by name; downloads at most once, under a lock.

    Raises DataError where it is neither on this machine nor reachable.
    """
    return _digits() if name == "digits" else _keras(name)


def _digits() -> Images:
    x, y = importlib.import_module("sklearn.datasets").load_digits(return_X_y=True)
    images = x.astype(np.uint8).reshape(-1, 8, 8, 1)
    return Images("digits", images, y.astype(np.int32), _named(10), 1 / 16)


def _keras(name: str) -> Images:
    loader = importlib.import_module(f"keras.datasets.{name}")
    with _lock(keras_home() / "datasets", name):
        train, test = _fetch(name, loader.load_data)
    (x, y), (x_test, y_test) = train, test
    return Images(
        name,
        as_images(name, x),
        y.reshape(-1).astype(np.int32),
        _named(100 if name == "cifar100" else 10),
        1 / 255,
        as_images(name, x_test),
        y_test.reshape(-1).astype(np.int32),
    )


def _fetch(name: str, load: Any) -> Any:
    """Call Keras's loader; what goes wrong in it becomes one sentence.

    Keras raises a bare Exception for a failed download, and a process without a time limit on its
    sockets would wait for ever on a network that drops packets.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_STALL_S)
    try:
        return load()
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(_advice(name, f"is damaged ({error})")) from error
    except Exception as error:
        raise DataError(_advice(name, f"could not be had ({_first_line(error)})")) from error
    finally:
        socket.setdefaulttimeout(before)


def _advice(name: str, what: str) -> str:
    folder = keras_home() / "datasets"
    return (
        f"dataset {name!r} is not on this machine: put {_FILES[name]} into {folder}, "
        f"or give an .npz file as the dataset; it {what}"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def keras_home() -> Path:
    """Return the folder that Keras keeps its downloads under, as Keras itself chooses it."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    probe = home if home.exists() else home.parent
    return home if os.access(probe, os.W_OK) else Path("/tmp/.keras")  # noqa: S108 - as Keras does


@contextlib.contextmanager
def _lock(folder: Path, name: str) -> Iterator[None]:
    """Hold `name` for this process; the kernel gives it back on any kind of death."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".hpo-{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _named(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(count))
