"""The images a trial trains on: loaded, checked, split once, and kept for the next trial.

`load(settings)` is the one entrance. A warm process holds the last data set, so a later trial of
the same sweep gets the same arrays without touching the disk again.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_handler.catalog import IMAGE_DATASETS
from hpo_handler.data.arrays import Array, DataError, Images, Split, split
from hpo_handler.data.builtin import load_builtin
from hpo_handler.data.files import folder_stamp, load_folder, load_npz, npz_stamp


@dataclass(slots=True)
class _Held:
    """The last data set of this process and what it was made from."""

    key: tuple[object, ...] = ()
    data: Split | None = None


_held = _Held()


def load(settings: Mapping[str, Any]) -> Split:
    """Return the data set that `settings` name, split into training and validation parts.

    dataset: a built-in name, an `.npz` file or a folder of images per class. validation_split: the
    share of the training part to validate on. image_size, max_data_mb: see docs/trainers.md. The
    split is stratified and the same for every trial. Raises DataError, one sentence that says what
    to do.
    """
    name = str(settings.get("dataset") or "digits")
    share = settings.get("validation_split", 0.2)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        raise DataError(f"validation_split must lie between 0 and 1, not {share!r}")
    limit = int(settings.get("max_data_mb", 4096)) * 2**20
    size = int(settings.get("image_size", 0))
    path = None if name in IMAGE_DATASETS else _find(name)
    key = (name, float(share), limit, size, path and _stamp(path))
    if _held.data is None or _held.key != key:
        _held.data = None  # let the old arrays go before the new ones come
        _held.data = split(_read(name, path, limit, size), float(share))
        _held.key = key
    return _held.data


def _read(name: str, path: Path | None, limit: int, size: int) -> Images:
    if path is None:
        return load_builtin(name)
    return load_folder(path, limit, size) if path.is_dir() else load_npz(path, limit)


def _stamp(path: Path) -> tuple[object, ...]:
    return folder_stamp(path) if path.is_dir() else npz_stamp(path)


def _find(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir() or (path.is_file() and path.suffix == ".npz"):
        return path
    if path.is_file():
        raise DataError(
            f"dataset {name!r} is a file but not an .npz; save the arrays with np.savez"
        )
    close = difflib.get_close_matches(name, IMAGE_DATASETS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"built in are {', '.join(IMAGE_DATASETS)}"
    raise DataError(
        f"there is no dataset {name!r}, nor an .npz file or folder of that path; {hint}"
    )


__all__ = ["Array", "DataError", "Images", "Split", "load"]
