"""A user's own images: an `.npz` file, or a folder with one folder of images a class.

Both are checked before their bulk is read: sizes, shapes and types come from headers, so a small
file that claims or unpacks to a huge array is refused at once. No pickles are read.
"""

from __future__ import annotations

import contextlib
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from hpo_handler.data.arrays import (
    Array,
    DataError,
    Images,
    as_images,
    as_labels,
    label_classes,
    pixel_scale,
)

SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_FILES = 500_000
_MB = 2**20


def npz_stamp(path: Path) -> tuple[object, ...]:
    """Return what changes when the file does."""
    status = path.stat()
    return (str(path.resolve()), status.st_mtime_ns, status.st_size)


def load_npz(path: Path, limit: int) -> Images:
    """Read arrays x and y, or x_train, y_train and optionally x_test, y_test.

    limit: the most bytes that the arrays may have together.
    """
    name = path.name
    try:
        with zipfile.ZipFile(path) as archive:
            members = _check_members(archive, name, limit)
        with np.load(path, allow_pickle=False) as arrays:
            parts = {key: arrays[key] for key in members}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} cannot be read as an .npz file: {error}") from error
    return _from_parts(name, parts)


def _check_members(archive: zipfile.ZipFile, name: str, limit: int) -> list[str]:
    """Return the names of the arrays to read, having checked what their headers claim."""
    sizes = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    wanted = [["x_train", "y_train", "x_test", "y_test"], ["x_train", "y_train"], ["x", "y"]]
    members = next((keys for keys in wanted if set(keys) <= set(sizes)), None)
    if members is None:
        raise DataError(
            f"{name} has the arrays {', '.join(sorted(sizes))[:200] or 'none'}; expected x and y, "
            "or x_train, y_train (and x_test, y_test)"
        )
    total = sum(sizes[key].file_size for key in members)
    if total > limit:
        raise DataError(
            f"{name} unpacks to {total // _MB} MB; at most {limit // _MB} are read "
            "(settings.max_data_mb)"
        )
    for key in members:
        with archive.open(sizes[key]) as stream:
            _check_header(f"{name}: {key}", stream, sizes[key].file_size)
    return members


def _check_header(name: str, stream: IO[bytes], size: int) -> None:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise DataError(f"{name} is in array format {version}; save it again with np.savez")
    if dtype.hasobject:
        raise DataError(f"{name} holds Python objects; save plain numbers (pickles are not read)")
    if any(side < 0 for side in shape) or int(np.prod(shape, dtype=object)) * dtype.itemsize > size:
        raise DataError(
            f"{name} claims shape {shape} but has only {size} bytes; the file is damaged"
        )


def _from_parts(name: str, parts: dict[str, Array]) -> Images:
    suffix = "_train" if "x_train" in parts else ""
    x = as_images(name, parts[f"x{suffix}"])
    y = as_labels(name, parts[f"y{suffix}"], len(x))
    x_test = as_images(name, parts["x_test"]) if "x_test" in parts else None
    y_test = None if x_test is None else as_labels(name, parts["y_test"], len(x_test))
    if x_test is not None and x_test.shape[1:] != x.shape[1:]:
        raise DataError(
            f"{name}: training images are {x.shape[1:]}, test images {x_test.shape[1:]}"
        )
    numbered, test, classes = label_classes(name, y, y_test)
    return Images(name, x, numbered, classes, pixel_scale(x), x_test, test)


def folder_stamp(root: Path) -> tuple[object, ...]:
    """Return what changes when an image is added, removed or rewritten."""
    files = [(file, file.stat()) for _, members in _classes(root) for file in members]
    return (str(root.resolve()), hash(tuple((str(f), s.st_mtime_ns, s.st_size) for f, s in files)))


def load_folder(root: Path, limit: int, size: int) -> Images:
    """Read `root/<class>/*.png|jpg`; grey if all are grey, else RGB.

    size: bring every image to size by size pixels; 0 keeps them, and they must agree.
    """
    classes = _classes(root)
    files = [file for _, members in classes for file in members]
    if len(classes) < 2 or any(not members for _, members in classes):
        raise DataError(
            f"{root.name} needs at least two folders with {', '.join(SUFFIXES)} images in each, "
            "one folder a class"
        )
    if len(files) > MAX_FILES:
        raise DataError(f"{root.name} has {len(files)} images; at most {MAX_FILES} are read")
    shape, mode = _common_shape(root, files, size)
    channels = 1 if mode == "L" else 3
    total = len(files) * shape[0] * shape[1] * channels
    if total > limit:
        raise DataError(
            f"{root.name} unpacks to {total // _MB} MB; at most {limit // _MB} are read "
            "(settings.max_data_mb, or a smaller settings.image_size)"
        )
    x = np.empty((len(files), *shape, channels), dtype=np.uint8)
    for row, file in zip(x, files, strict=True):
        row[...] = _decode(root, file, shape, mode)
    y = np.repeat(np.arange(len(classes), dtype=np.int32), [len(m) for _, m in classes])
    return Images(root.name, x, y, tuple(name for name, _ in classes), 1 / 255)


def _classes(root: Path) -> list[tuple[str, list[Path]]]:
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    return [
        (folder.name, sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES))
        for folder in folders
    ]


def _common_shape(root: Path, files: list[Path], size: int) -> tuple[tuple[int, int], str]:
    """Read the headers only: the height and width all images share, and `L` or `RGB`."""
    found: dict[tuple[int, int], Path] = {}
    grey = True
    for file in files:
        width, height, mode = _header(root, file)
        found.setdefault((height, width), file)
        grey = grey and mode in ("1", "L", "LA")
    if len(found) > 1 and not size:
        (a, first), (b, second) = list(found.items())[:2]
        raise DataError(
            f"{first.relative_to(root)} is {a[1]}x{a[0]} pixels but {second.relative_to(root)} is "
            f"{b[1]}x{b[0]}; set settings.image_size, e.g. 32, to bring them to one size"
        )
    return ((size, size) if size else next(iter(found))), "L" if grey else "RGB"


def _header(root: Path, file: Path) -> tuple[int, int, str]:
    with _opened(root, file) as image:
        return image.width, image.height, image.mode


def _decode(root: Path, file: Path, shape: tuple[int, int], mode: str) -> Array:
    with _opened(root, file) as image:
        pixels = image.convert(mode)
        if pixels.size != (shape[1], shape[0]):
            pixels = pixels.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
        return np.asarray(pixels, dtype=np.uint8).reshape(*shape, -1)


@contextlib.contextmanager
def _opened(root: Path, file: Path) -> Iterator[Image.Image]:
    """Open a PNG or JPEG of 8-bit pixels; whatever is wrong with it becomes one sentence."""
    name = file.relative_to(root)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG", "JPEG")) as image:
                if image.mode[0] in "IF":
                    raise DataError(f"{name} has 16-bit pixels; save it with 8")  # noqa: TRY301 - read once
                yield image
    except DataError:
        raise
    except (OSError, ValueError, Warning, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{name} is not a usable image: {error}") from error
