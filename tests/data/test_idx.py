"""IDX files: exact bytes of the format, round trips, and every way a file can lie."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lemmata.data import idx
from lemmata.errors import CorruptFile, InvalidInput


def file_of(tmp_path, content: bytes):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(content))
    return path


def test_the_bytes_are_those_of_the_published_description(tmp_path):
    path = tmp_path / "images.gz"
    idx.write(path, np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
    assert gzip.decompress(path.read_bytes()) == bytes.fromhex("00000803 00000001 00000002 00000003 000102030405")


@settings(max_examples=50, deadline=None)
@given(array=arrays(np.uint8, array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=6)))
def test_reading_gives_back_what_was_written(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("idx") / "file.gz"
    idx.write(path, array)
    again = idx.read(path, rank=array.ndim)
    assert again.shape == array.shape
    assert np.array_equal(again, array)


def test_writing_is_deterministic(tmp_path):
    for name in ("a.gz", "b.gz"):
        idx.write(tmp_path / name, np.ones((3, 4), dtype=np.uint8))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_only_bytes_are_written(tmp_path):
    with pytest.raises(InvalidInput, match=r"uint8, not float64; convert"):
        idx.write(tmp_path / "file.gz", np.zeros(3))


@pytest.mark.parametrize("held", [b"", b"\1", b"\0" * 23])
def test_fewer_bytes_than_promised(tmp_path, held):
    path = file_of(tmp_path, struct.pack(">BBBBI", 0, 0, 8, 1, 24) + held)
    with pytest.raises(CorruptFile, match=rf"truncated: the header promises 24 bytes and it holds {len(held)}; get"):
        idx.read(path, rank=1)


def test_more_bytes_than_promised(tmp_path):
    path = file_of(tmp_path, struct.pack(">BBBBI", 0, 0, 8, 1, 3) + b"\0" * 4)
    with pytest.raises(CorruptFile, match=r"oversized: the header promises 3 bytes and it holds more"):
        idx.read(path, rank=1)


@pytest.mark.parametrize("members", [1, 3])
def test_a_gzip_bomb_is_not_unpacked_beyond_its_header(tmp_path, members):
    path = tmp_path / "bomb.gz"
    zeros = gzip.compress(bytes(1 << 26))
    path.write_bytes(gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 3)) + zeros * members)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFile, match="oversized"):
            idx.read(path, rank=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20  # the bomb holds 64 MiB a member; what is read is buffered in small blocks


def test_a_header_that_promises_the_moon(tmp_path):
    path = file_of(tmp_path, struct.pack(">BBBBIII", 0, 0, 8, 3, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF))
    with pytest.raises(CorruptFile, match=r"promises 79,228,162,458,924,105,385,300,197,375 bytes, and 1,073,741,824"):
        idx.read(path, rank=3)


@pytest.mark.parametrize("cut", [3, 9, 40])
def test_a_gzip_stream_cut_short(tmp_path, cut):
    path = tmp_path / "file.gz"
    idx.write(path, np.random.default_rng(0).integers(0, 256, 1000).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(CorruptFile, match=r"truncated or damaged .*; get it again"):
        idx.read(path, rank=1)


def test_every_flipped_bit_after_the_gzip_header_is_noticed(tmp_path):
    path = tmp_path / "file.gz"
    idx.write(path, np.random.default_rng(0).integers(0, 256, 60).astype(np.uint8))
    sound = path.read_bytes()
    for byte in range(10, len(sound)):
        path.write_bytes(sound[:byte] + bytes([sound[byte] ^ 4]) + sound[byte + 1 :])
        with pytest.raises(CorruptFile):
            idx.read(path, rank=1)


def test_no_gzip_file_at_all(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(b"<html>404 not found</html>")
    with pytest.raises(CorruptFile, match=r"file\.gz is no sound gzip file \(Not a gzipped file \(b'<h'\)\)"):
        idx.read(path, rank=1)


@pytest.mark.parametrize("magic", [b"\0\1\x08\1", b"\0\0\x0d\1", b"\x89PNG"])
def test_wrong_magic(tmp_path, magic):
    path = file_of(tmp_path, magic + struct.pack(">I", 0))
    with pytest.raises(CorruptFile, match=rf"no IDX file of unsigned bytes: it begins with {magic.hex()}, .* 00000801"):
        idx.read(path, rank=1)


@pytest.mark.parametrize("content", [b"", b"\0\0", b"\0\0\x08\3\0\0\0\1"])
def test_an_end_inside_the_header(tmp_path, content):
    with pytest.raises(CorruptFile, match="truncated: it ends inside the header"):
        idx.read(file_of(tmp_path, content), rank=3)


def test_images_where_labels_should_be(tmp_path):
    path = tmp_path / "file.gz"
    idx.write(path, np.zeros((2, 28, 28), np.uint8))
    with pytest.raises(
        CorruptFile, match=r"holds images \(3 dim.*, expected labels \(1 dim.*\)\)?; are the .* swapped\?"
    ):
        idx.read(path, rank=1)


def test_another_rank(tmp_path):
    path = tmp_path / "file.gz"
    idx.write(path, np.zeros((2, 2), np.uint8))
    with pytest.raises(CorruptFile, match=r"holds 2 dimensions, expected images \(3 dimensions\)$"):
        idx.read(path, rank=3)


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_never_crash(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("idx") / "file.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\1" + content))
    try:
        array = idx.read(path, rank=1)
    except CorruptFile:
        return
    assert content == struct.pack(">I", len(array)) + array.tobytes()
