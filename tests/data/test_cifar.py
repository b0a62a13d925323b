"""CIFAR-10's binary layout, made here by hand from its published description, and every way a batch can be wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.data import cifar
from lemmata.errors import CorruptFile


def random_batch(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 3, 32, 32)).astype(np.uint8), rng.integers(0, 10, n).astype(np.uint8)


def test_a_record_is_its_label_then_red_green_blue_rows(tmp_path):
    red, green, blue = bytes(range(256)) * 4, b"\1" * 1024, b"\2" * 1024
    (tmp_path / "batch.bin").write_bytes(b"\7" + red + green + blue)
    images, labels = cifar.read_batch(tmp_path / "batch.bin")
    assert labels.tolist() == [7]
    assert images[0, 0, 1, :3].tolist() == [32, 33, 34]  # the second row of the red plane
    assert (images[0, 1] == 1).all()
    assert (images[0, 2] == 2).all()


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 20), seed=st.integers(0, 1000))
def test_reading_gives_back_what_was_written(tmp_path_factory, n, seed):
    path = tmp_path_factory.mktemp("cifar") / "batch.bin"
    images, labels = random_batch(n, seed)
    cifar.write_batch(path, images, labels)
    again_images, again_labels = cifar.read_batch(path)
    assert path.stat().st_size == n * 3073
    assert np.array_equal(images, again_images)
    assert np.array_equal(labels, again_labels)


def test_the_batches_come_in_order(tmp_path):
    for k in range(1, 6):
        cifar.write_batch(tmp_path / f"data_batch_{k}.bin", *random_batch(2, k))
    cifar.write_batch(tmp_path / "test_batch.bin", *random_batch(3, 6))
    arrays = cifar.read(tmp_path)
    assert arrays.x_test is not None
    assert np.array_equal(arrays.x, np.concatenate([random_batch(2, k)[0] for k in range(1, 6)]))
    assert np.array_equal(arrays.x_test, random_batch(3, 6)[0])


@pytest.mark.parametrize("size", [0, 1, 3072, 3074, 2 * 3073 - 1])
def test_truncated(tmp_path, size):
    path = tmp_path / "batch.bin"
    path.write_bytes(bytes(size))
    with pytest.raises(CorruptFile, match=rf"truncated: {size:,} bytes are not a whole number of records of 3,073"):
        cifar.read_batch(path)


def test_oversized_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "batch.bin"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a sparse terabyte: reading it would not end
    with pytest.raises(
        CorruptFile, match=r"oversized: 1,099,511,627,776 bytes, and a batch of 10,000 images has 30,730"
    ):
        cifar.read_batch(path)


def test_label_out_of_range(tmp_path):
    images, labels = random_batch(5)
    labels[3] = 10
    cifar.write_batch(tmp_path / "batch.bin", images, labels)
    with pytest.raises(CorruptFile, match=r"batch\.bin: label 10 of example 3 is out of range, expected 0\.\.9"):
        cifar.read_batch(tmp_path / "batch.bin")
