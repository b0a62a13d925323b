"""CNN-GP and CNTK against recorded values of neural-tangents 0.6.5, in float64.

Both sides round: 1e-11 of the largest entry is what a few layers of elementary functions leave. The tangent kernel is
granted 2e-8: at equal positions of near images neural-tangents takes the arc cosine of a cosine that rounds to 1, and
is off by 1e-8 there.
"""

import json
from pathlib import Path

import pytest
import torch

from lemmata.kernels import Convolutional, cnn_gp, cntk

ORACLE = Path(__file__).parents[2] / "oracles" / "neural_tangents_0.6.5_convolutional.json"
CONVOLUTIONAL = json.loads(ORACLE.read_text())


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def agrees(found: torch.Tensor, wanted, tolerance: float = 1e-11) -> None:
    wanted = torch.as_tensor(wanted, dtype=torch.float64)
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max()) <= tolerance * float(wanted.abs().max())


READOUT = {"flatten": ("vanilla", None), "average": ("average", None), "local-average-same": ("local-average", 3)}


@pytest.mark.parametrize("parameterisation", ["fixed", "standard"])
def test_kernels_of_convolutional_nets(parameterisation: str):
    """Up to the constants of two conventions: the last ReLU's 2 / 9, and sums over positions for means."""
    tried = 0
    for case in CONVOLUTIONAL["cases"]:
        if case["parameterisation"] != parameterisation or case["readout"] not in READOUT:
            continue
        x = tensor(CONVOLUTIONAL["images"][case["images"]])
        readout, window = READOUT[case["readout"]]
        trained = parameterisation == "standard"
        network = Convolutional(
            case["convolutions"] + 1, readout, window=window, train_first=trained, train_last=trained
        )
        scale = 2 / 9 * (1 if readout == "average" else x.shape[2] * x.shape[3])
        scale *= 9 * x.shape[1] / 4 if trained else 1
        for z, columns in ((None, slice(None)), (x[1:], slice(1, None)))[: 2 if case["convolutions"] == 2 else 1]:
            agrees(cnn_gp(x, z, network=network).values, scale * tensor(case["nngp"])[:, columns])
            if trained or case["convolutions"] > 1:
                agrees(cntk(x, z, network=network).values, scale * tensor(case["ntk"])[:, columns], 2e-8)
        tried += 1
    assert tried == 15
