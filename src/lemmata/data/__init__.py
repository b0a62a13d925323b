"""Datasets by name, as tensors with a digest; label and pixel corruption; synthetic laws.

    from lemmata import data
    digits = data.load("mnist-5k").split(train=1000, test=1500, seed=0)

Importing this package loads neither torch nor numpy: `names`, `digest`, `available` and `download` never need torch,
and everything else is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lemmata.data import corruption, curves, mnist1d, preprocessing, shapeset, synthetic
    from lemmata.data.dataset import Dataset
    from lemmata.data.fetch import download
    from lemmata.data.folder import Found, available, digest
    from lemmata.data.loading import load
    from lemmata.data.published_logs import find_log
    from lemmata.data.sources import names
    from lemmata.data.weights import load_weights

_HOME = {
    "Dataset": "dataset",
    "Found": "folder",
    "available": "folder",
    "digest": "folder",
    "download": "fetch",
    "find_log": "published_logs",
    "load": "loading",
    "load_weights": "weights",
    "names": "sources",
}
_MODULES = ("corruption", "curves", "mnist1d", "preprocessing", "shapeset", "synthetic")

__all__ = [
    "Dataset",
    "Found",
    "available",
    "corruption",
    "curves",
    "digest",
    "download",
    "find_log",
    "load",
    "load_weights",
    "mnist1d",
    "names",
    "preprocessing",
    "shapeset",
    "synthetic",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
