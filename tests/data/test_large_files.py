"""The published files themselves, where LEMMATA_DATA names a folder that holds them."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lemmata import data
from lemmata.data import checksum, cifar, idx, sources
from lemmata.errors import CorruptFile


def folder_with(*paths: str) -> Path:
    root = os.environ.get("LEMMATA_DATA")
    if not root:
        pytest.skip("LEMMATA_DATA is not set")
    for path in paths:
        if not (Path(root) / path).exists():
            pytest.skip(f"LEMMATA_DATA holds no {path}")
    return Path(root)


def test_mnist_is_the_published_one():
    root = folder_with("mnist")
    mnist = data.load("mnist", data_dir=root, verify=True)
    assert mnist.x.shape == (60_000, 1, 28, 28)
    assert mnist.y_test is not None
    # The class counts of the two parts, as every description of MNIST gives them.
    assert mnist.y.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.y_test.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert abs(float(mnist.x.double().mean()) - 0.1307) < 5e-5  # the customary normalisation constants
    assert abs(float(mnist.x.double().std()) - 0.3081) < 5e-5


def test_mnist_5k_is_the_first_500_of_each_class_of_mnist():
    root = folder_with("mnist")
    images = idx.read(root / "mnist" / "train-images-idx3-ubyte.gz", rank=3)
    labels = idx.read(root / "mnist" / "train-labels-idx1-ubyte.gz", rank=1)
    small = sources.MNIST_5K.read()
    first = np.concatenate([np.flatnonzero(labels == digit)[:500] for digit in range(10)])
    assert np.array_equal(images[first], small.x[:, 0])
    assert np.array_equal(labels[first], small.y)


def unpack(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of a packed part: planes (R-G, G, B-G) mod 256, differenced along rows and columns."""
    with np.load(path, allow_pickle=False) as packed:
        planes = np.cumsum(np.cumsum(packed["d"], -1, dtype=np.uint8), -2, dtype=np.uint8)
        labels = packed["y"].astype(np.uint8)
    planes[0] += planes[1]
    planes[2] += planes[1]
    return planes.transpose(1, 0, 2, 3), labels


def test_cifar10_batches_written_by_us_have_the_published_checksums(tmp_path, monkeypatch):
    root = folder_with("cifar10/train_1.npz", "cifar10/test.npz")
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for k, file in enumerate(sources.CIFAR10.files[:5], start=1):
        cifar.write_batch(folder / file.name, *unpack(root / "cifar10" / f"train_{k}.npz"))
        assert checksum.md5(folder / file.name) == file.md5
    cifar.write_batch(folder / "test_batch.bin", *unpack(root / "cifar10" / "test.npz"))

    short = (folder / "test_batch.bin").stat().st_size
    if short != sources.CIFAR10.files[5].size:
        message = (
            rf"test_batch\.bin is not the published file of cifar10: it has {short:,} bytes \(published: 30,730,000"
        )
        with pytest.raises(CorruptFile, match=message):
            data.load("cifar10", data_dir=tmp_path)
    loaded = data.load("cifar10", data_dir=tmp_path, verify=False)  # 0.8 GB
    assert loaded.verified == (short == sources.CIFAR10.files[5].size)
    assert loaded.y.bincount().tolist() == [5000] * 10
    mean = loaded.x.mean((0, 2, 3)).double() * 255
    assert torch.allclose(mean, torch.tensor([125.3, 123.0, 113.9], dtype=torch.float64), atol=0.06)  # He et al. (2015)


@pytest.mark.parametrize("name", ["fashion-mnist", "mnist"])
def test_parts_of_published_sets_travel_through_idx(tmp_path, monkeypatch, name):
    packed = f"subset/{name.removesuffix('-mnist')}_10k_2k.npz"
    root = folder_with(packed)
    folder = tmp_path / name
    folder.mkdir()
    with np.load(root / packed, allow_pickle=False) as part:
        arrays = {key: part[key][::4] for key in part.files}  # a quarter: packing takes long
    for prefix, part in (("train", "train"), ("t10k", "test")):
        idx.write(folder / f"{prefix}-images-idx3-ubyte.gz", arrays[f"{part}_x"])
        idx.write(folder / f"{prefix}-labels-idx1-ubyte.gz", arrays[f"{part}_y"].astype(np.uint8))
    source = sources.SOURCES[name]
    files = tuple(
        file._replace(md5=checksum.md5(folder / file.name), size=(folder / file.name).stat().st_size)
        for file in source.files
    )
    monkeypatch.setitem(sources.SOURCES, name, replace(source, files=files))
    loaded = data.load(name, data_dir=tmp_path)
    assert loaded.verified
    assert np.array_equal(loaded.y.numpy(), arrays["train_y"])
    assert np.array_equal((loaded.x[:, 0] * 255).round().numpy(), arrays["train_x"])
