import gzip
import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from hpo_handler import data
from hpo_handler.data import DataError, arrays
from hpo_handler.data.files import load_npz

RNG = np.random.default_rng(0)


def pictures(count, side=6, channels=None):
    shape = (count, side, side) if channels is None else (count, side, side, channels)
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def labels(count, classes=3):
    return np.arange(count) % classes


def save_npz(path, **parts):
    np.savez_compressed(path, **parts)
    return {"dataset": str(path), "validation_split": 0.25}


def test_digits_come_split_by_class_and_in_their_own_type():
    split = data.load({"dataset": "digits", "validation_split": 0.2})
    assert split.image_shape == (8, 8, 1)
    assert split.x_train.dtype == np.uint8
    assert len(split.y_train) + len(split.y_val) == 1797
    shares = np.bincount(split.y_val) / np.bincount(split.y_train)
    assert np.allclose(shares, 0.25, atol=0.02)
    assert split.x_train.max() * split.scale == 1.0


def test_a_second_trial_gets_the_same_arrays():
    settings = {"dataset": "digits", "validation_split": 0.2}
    assert data.load(settings) is data.load(dict(settings))


def test_the_split_is_the_same_every_time():
    images = arrays.Images("x", pictures(40)[..., None], labels(40), ("a", "b", "c"), 1 / 255)
    first, second = arrays.split(images, 0.25), arrays.split(images, 0.25)
    assert np.array_equal(first.x_val, second.x_val)
    assert np.array_equal(first.y_train, second.y_train)


def test_a_class_of_two_images_is_on_both_sides():
    images = arrays.Images("x", pictures(4)[..., None], np.array([0, 0, 1, 1]), ("a", "b"), 1.0)
    split = arrays.split(images, 0.01)
    assert set(split.y_train) == set(split.y_val) == {0, 1}


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, True, "0.2"])
def test_a_split_that_leaves_a_part_empty_is_refused(share):
    with pytest.raises(DataError, match="validation_split"):
        data.load({"dataset": "digits", "validation_split": share})


def test_an_npz_file_with_a_test_part_is_read(tmp_path):
    settings = save_npz(
        tmp_path / "own.npz",
        x_train=pictures(20),
        y_train=labels(20),
        x_test=pictures(5),
        y_test=labels(5),
    )
    split = data.load(settings)
    assert split.image_shape == (6, 6, 1)
    assert split.x_test.shape == (5, 6, 6, 1)
    assert split.classes == ("0", "1", "2")


def test_labels_may_be_words(tmp_path):
    settings = save_npz(
        tmp_path / "words.npz", x=pictures(8, channels=3), y=np.array(["cat", "dog"] * 4)
    )
    split = data.load(settings)
    assert split.classes == ("cat", "dog")
    assert set(split.y_train) == {0, 1}


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "own.npz"
    first = data.load(save_npz(path, x=pictures(8), y=labels(8, 2)))
    second = data.load(save_npz(path, x=pictures(12), y=labels(12, 2)))
    assert len(first.y_train) != len(second.y_train)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"a": np.zeros(3)}, "expected x and y"),
        ({"x": pictures(4), "y": labels(3)}, "4 images but labels"),
        ({"x": np.zeros((4, 3)), "y": labels(4)}, "shape"),
        ({"x": np.full((4, 3, 3), np.nan), "y": labels(4)}, "NaN"),
        ({"x": pictures(4), "y": np.zeros(4)}, "1 classes"),
        ({"x": pictures(4), "y": np.linspace(0, 1, 4)}, "fractions"),
        ({"x": pictures(4), "y": np.array([{}, 1, 2, 3], dtype=object)}, "pickles are not read"),
    ],
)
def test_an_npz_file_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, parts, words):
    with pytest.raises(DataError, match=words) as refused:
        data.load(save_npz(tmp_path / "bad.npz", **parts))
    assert "bad.npz" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros((2000, 32, 32), np.uint8), y=labels(2000))
    assert path.stat().st_size < 20_000
    with pytest.raises(DataError, match="unpacks to"):
        load_npz(path, 2**20)


def test_a_header_that_claims_more_than_the_file_has_is_refused(tmp_path):
    path = tmp_path / "liar.npz"
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 100, 100)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", stream.getvalue())
        archive.writestr("y.npy", stream.getvalue())
    with pytest.raises(DataError, match="claims shape"):
        load_npz(path, 2**30)


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(DataError, match="cannot be read"):
        load_npz(tmp_path / "text.npz", 2**20)


def write_folder(root, sizes, mode="L"):
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number, size in enumerate(sizes):
            shape = (size, size) if mode == "L" else (size, size, 3)
            image = Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8))
            image.save(root / name / f"{number}.{'png' if number % 2 else 'jpg'}")
    return root


def test_a_folder_of_images_per_class_is_read(tmp_path):
    split = data.load({"dataset": str(write_folder(tmp_path / "pets", [7] * 4))})
    assert split.classes == ("cat", "dog")
    assert split.image_shape == (7, 7, 1)


def test_one_coloured_image_makes_all_rgb(tmp_path):
    split = data.load({"dataset": str(write_folder(tmp_path / "pets", [7] * 4, "RGB"))})
    assert split.image_shape == (7, 7, 3)


def test_images_of_two_sizes_need_the_setting(tmp_path):
    root = write_folder(tmp_path / "pets", [7, 7, 9])
    with pytest.raises(DataError, match=r"9x9; set settings\.image_size"):
        data.load({"dataset": str(root)})
    assert data.load({"dataset": str(root), "image_size": 5}).image_shape == (5, 5, 1)


def test_a_broken_image_is_named(tmp_path):
    root = write_folder(tmp_path / "pets", [7, 7])
    (root / "cat" / "9.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"cat/9\.png is not a usable image"):
        data.load({"dataset": str(root)})


def test_an_unknown_name_gets_the_nearest_known_one():
    with pytest.raises(DataError, match="did you mean 'cifar10'"):
        data.load({"dataset": "cifar-10"})


def write_mnist(datasets):
    parts = {"x": pictures(30, 28), "y": labels(30, 10), "t": pictures(10, 28), "u": labels(10, 10)}
    np.savez(
        datasets / "mnist.npz",
        x_train=parts["x"],
        y_train=parts["y"],
        x_test=parts["t"],
        y_test=parts["u"],
    )


def write_fashion_mnist(datasets):
    folder = datasets / "fashion-mnist"
    folder.mkdir()
    for part, count in (("train", 30), ("t10k", 10)):
        images = struct.pack(">4i", 2051, count, 28, 28) + pictures(count, 28).tobytes()
        marks = struct.pack(">2i", 2049, count) + labels(count, 10).astype(np.uint8).tobytes()
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(marks))


def write_cifar(datasets, target, inner, files, keys):
    archive = datasets / f"{target}_archive"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for name, count in files:
            pixels = np.tile(np.arange(10, dtype=np.uint8)[:, None], (count // 10, 3072))
            body = {b"data": pixels}
            body |= {key: (np.arange(count) % 10).tolist() for key in keys}
            raw = pickle.dumps(body)
            info = tarfile.TarInfo(f"{inner}/{name}")
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))


def write_cifar10(datasets):
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    files = [(name, 10_000) for name in names]
    write_cifar(datasets, "cifar-10-batches-py-target", "cifar-10-batches-py", files, [b"labels"])


def write_cifar100(datasets):
    files = [("train", 200), ("test", 100)]
    keys = [b"fine_labels", b"coarse_labels"]
    write_cifar(datasets, "cifar-100-python-target", "cifar-100-python", files, keys)


# Keras checks the digest of the published file; a small file of the same format has another one.
LOAD = """
import sys, warnings
warnings.simplefilter("error")
import keras.src.utils.file_utils as files
if sys.argv[2] != "own-digest":
    files.validate_file = lambda *_, **__: True
if sys.argv[2].startswith("/"):  # a slow download from this file, counted beside it
    def retrieve(url, target, progress):
        import shutil, time
        with open(sys.argv[2] + ".count", "a") as count:
            count.write("once\\n")
        time.sleep(1)
        shutil.copy(sys.argv[2], target)
    files.urlretrieve = retrieve
from hpo_handler import data
try:
    split = data.load({"dataset": sys.argv[1], "validation_split": 0.2})
    print(split.image_shape, len(split.y_train), len(split.y_val), split.x_test.shape[0],
          len(split.classes), float(split.x_train.max() * split.scale) <= 1)
except data.DataError as error:
    print("DataError:", error)
"""


def load_in_a_process(home, name, digest="any-digest"):
    env = {
        **os.environ,
        "KERAS_HOME": str(home),
        "CUDA_VISIBLE_DEVICES": "-1",
        "KERAS_BACKEND": "tensorflow",
        "https_proxy": "http://127.0.0.1:9",
    }
    env = {k: v for k, v in env.items() if k.lower() != "no_proxy"}
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, name, digest],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def last_line(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err[-2000:]
    return out.strip().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "write", "expected"),
    [
        ("mnist", write_mnist, "(28, 28, 1) 20 10 10 10 True"),
        ("fashion_mnist", write_fashion_mnist, "(28, 28, 1) 20 10 10 10 True"),
        ("cifar10", write_cifar10, "(32, 32, 3) 40000 10000 10000 10 True"),
        ("cifar100", write_cifar100, "(32, 32, 3) 160 40 100 100 True"),
    ],
)
def test_the_keras_loaders_read_files_of_the_published_format(tmp_path, name, write, expected):
    (tmp_path / "datasets").mkdir()
    write(tmp_path / "datasets")
    assert last_line(load_in_a_process(tmp_path, name)) == expected


@pytest.mark.slow
def test_offline_the_error_names_the_dataset_and_what_to_do(tmp_path):
    said = last_line(load_in_a_process(tmp_path, "mnist", "own-digest"))
    assert said.startswith("DataError: dataset 'mnist' is not on this machine")
    assert f"put mnist.npz into {tmp_path / 'datasets'}" in said


@pytest.mark.slow
def test_two_workers_download_once(tmp_path):
    write_mnist(tmp_path)
    source = str(tmp_path / "mnist.npz")
    home = tmp_path / "home"
    workers = [load_in_a_process(home, "mnist", source) for _ in range(2)]
    assert [last_line(worker) for worker in workers] == ["(28, 28, 1) 20 10 10 10 True"] * 2
    assert (tmp_path / "mnist.npz.count").read_text() == "once\n"
