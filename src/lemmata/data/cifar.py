"""CIFAR-10 in its binary layout: records of one label byte and 3,072 pixel bytes (red, green, blue planes of 32x32).

Five files `data_batch_k.bin` and one `test_batch.bin`, each of 10,000 records in the published set; a file with fewer
whole records can be read, but has another checksum, and so loads only with `verify=False`.
Reference: Krizhevsky (2009), Learning multiple layers of features from tiny images. Cost: 60,000 images in 0.2 s.
"""

from pathlib import Path

import numpy as np

from lemmata.data.mnist import check_labels
from lemmata.data.sources import Arrays
from lemmata.errors import CorruptFile

RECORD = 1 + 3 * 32 * 32
MOST_RECORDS = 10_000


def read(folder: Path) -> Arrays:
    """Images (n, 3, 32, 32) uint8 and labels (n,) of the five training batches and the test batch.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     for batch in [f"data_batch_{k}.bin" for k in range(1, 6)] + ["test_batch.bin"]:
    ...         write_batch(Path(name) / batch, np.zeros((2, 3, 32, 32), np.uint8), np.array([6, 9], np.uint8))
    ...     read(Path(name)).y.tolist()
    [6, 9, 6, 9, 6, 9, 6, 9, 6, 9]
    """
    batches = [read_batch(folder / f"data_batch_{k}.bin") for k in range(1, 6)]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return Arrays(images, labels, *read_batch(folder / "test_batch.bin"))


def read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 32, 32) and labels (n,) of one batch file, uint8, as views of its bytes.

    Raises `CorruptFile` if it is empty, ends inside a record, holds more than 10,000, or has a label above 9.
    """
    size = path.stat().st_size
    if size > MOST_RECORDS * RECORD:
        raise CorruptFile(
            f"{path} is oversized: {size:,} bytes, and a batch of {MOST_RECORDS:,} images has "
            f"{MOST_RECORDS * RECORD:,}; get it again"
        )
    if size == 0 or size % RECORD:
        raise CorruptFile(
            f"{path} is truncated: {size:,} bytes are not a whole number of records of {RECORD:,}; get it again"
        )
    records = np.fromfile(path, dtype=np.uint8).reshape(-1, RECORD)
    labels = records[:, 0]
    check_labels(path, labels)
    return records[:, 1:].reshape(-1, 3, 32, 32), labels


def write_batch(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images (n, 3, 32, 32) and labels (n,), both uint8, as one batch file."""
    records = np.concatenate([labels[:, None], images.reshape(len(labels), -1)], axis=1, dtype=np.uint8, casting="no")
    path.write_bytes(records.tobytes())
