"""lemmata: a laboratory for the mathematics of deep learning.

Instruments measure on any PyTorch model what theory talks about; studies put a paper's claims to the test with them.
The names below are loaded when first used, so that `import lemmata` costs nothing and loads no torch.
"""

from importlib import import_module
from typing import Any

from lemmata.version import __version__

_PUBLIC = {
    # declarations
    "Claim": "lemmata.study",
    "Config": "lemmata.study",
    "Curve": "lemmata.study",
    "Experiment": "lemmata.study",
    "Measurements": "lemmata.study",
    "Paper": "lemmata.study",
    "Section": "lemmata.study",
    "Study": "lemmata.study",
    # figures as data
    "Axis": "lemmata.figures",
    "Figure": "lemmata.figures",
    "Panel": "lemmata.figures",
    "Reference": "lemmata.figures",
    "Series": "lemmata.figures",
    # measuring
    "Estimate": "lemmata.estimate",
    "NotConverged": "lemmata.estimate",
    "Objective": "lemmata.objective",
    # running
    "Run": "lemmata.laboratory",
    "Store": "lemmata.records",
    "load": "lemmata.study.registry",
    "recall": "lemmata.laboratory",
    "run": "lemmata.laboratory",
}
_MODULES = (
    "bernoulli", "bounds", "compare", "conformance", "curvature", "data", "descent", "errors", "figures", "flows",
    "kernels", "kinds", "landscape", "linalg", "nets", "phantoms", "propagation", "pruning", "regression", "robustness",
    "shape", "training",
)  # fmt: skip
_ELSEWHERE = {"kinds": "lemmata.study.kinds", "shape": "lemmata.study.kinds.shape"}
_PUBLIC |= {name: _ELSEWHERE.get(name, f"lemmata.{name}") for name in _MODULES}

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604  (names, and the keys of a table of names)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'lemmata' has no attribute {name!r}")
    module = import_module(_PUBLIC[name])
    return module if name in _MODULES else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
