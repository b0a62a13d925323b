"""Values of neural-tangents 0.6.5, an independent implementation in JAX, in float64.

    python tests/oracles/neural_tangents_record.py

writes ``neural_tangents_0.6.5_*.json`` beside itself, in the environment that ``benchmarks/peers/README.md`` describes.
Names of some parts write only those. What is computed is in the four modules named after the files:

    fully_connected    NNGP and NTK of fully-connected nets
    convolutional      of convolutional nets, on a few small images
    empirical          tangent kernels of small networks whose weights are recorded
    dynamics           training of a linearised network, and of the ensemble over initialisations

Matrices are lists of rows; images are (sample, channel, row, column), weights as torch has them.
"""

import json
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

PARTS = ("fully_connected", "convolutional", "empirical", "dynamics")
HERE = Path(__file__).parent
sys.modules["neural_tangents.experimental"] = ModuleType("experimental")  # the one part that asks for tensorflow
jax.config.update("jax_enable_x64", True)


def plain(value: Any) -> Any:
    """Arrays to lists, numbers to Python's."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return np.asarray(value).tolist() if isinstance(value, jax.Array | np.ndarray | np.generic) else value


def write(name: str, about: str, content: dict[str, Any]) -> None:
    """One file: what it is, the versions that made it, and the content, a line a case."""
    packages = ("neural-tangents", "jax", "jaxlib", "numpy", "scipy")
    head = {"about": about, "versions": {package: version(package) for package in packages}, **content}
    lines = []
    for key, value in plain(head).items():
        cases = isinstance(value, list) and value and isinstance(value[0], dict)
        text = "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]" if cases else json.dumps(value)
        lines.append(f" {json.dumps(key)}: {text}")
    path = HERE / f"neural_tangents_{version('neural-tangents')}_{name}.json"
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")


def main() -> None:
    for name in sys.argv[1:] or PARTS:
        part = import_module(f"neural_tangents_{name}")
        write(name, part.__doc__.strip(), part.content())


if __name__ == "__main__":
    main()
