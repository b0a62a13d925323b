"""Kernels against recorded values of neural-tangents 0.6.5 in float64: `tests/oracles/neural_tangents_record.py`.

Both sides round: 1e-11 of a matrix's largest entry is what a few layers of elementary functions leave. The tangent
kernel of convolutional nets is granted 2e-8, since at equal positions of near images neural-tangents takes the arc
cosine of a cosine that rounds to 1, and is off by 1e-8. Fully-connected nets are held against its values in
`analytic/test_analytic_neural_tangents.py`, training in `dynamics/test_neural_tangents.py`.
"""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from lemmata.kernels import Convolutional, cnn_gp, cntk, empirical_ntk

ORACLES = Path(__file__).parents[1] / "oracles"


def recorded(name: str) -> dict:
    return json.loads((ORACLES / f"neural_tangents_0.6.5_{name}.json").read_text())


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def agrees(found: torch.Tensor, wanted, tolerance: float = 1e-11) -> None:
    wanted = torch.as_tensor(wanted, dtype=torch.float64)
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max()) <= tolerance * float(wanted.abs().max())


# ---- convolutional nets ----------------------------------------------------------------------------------------------

CONVOLUTIONAL = recorded("convolutional")
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


# ---- empirical kernels -----------------------------------------------------------------------------------------------

EMPIRICAL = recorded("empirical")
NETWORKS = {
    "mlp": lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)),
    "cnn": lambda: nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 5, 3, padding=1, stride=2), nn.Tanh(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_empirical_kernels(name: str):
    case = EMPIRICAL[name]
    model, x, z = NETWORKS[name]().double(), tensor(case["x"]), tensor(case["z"])
    with torch.no_grad():
        for parameter, weights in zip(model.parameters(), case["weights"], strict=True):
            parameter.copy_(tensor(weights))
        agrees(model(x), case["f_x"])
    for second, key in ((None, "ntk_xx"), (z, "ntk_xz")):
        wanted = tensor(case[key])
        agrees(empirical_ntk(model, x, second).values, case[key])
        trace = wanted.diagonal(dim1=2, dim2=3).sum(-1)
        agrees(empirical_ntk(model, x, second, outputs="trace").values, (trace / 3).tolist())
        agrees(empirical_ntk(model, x, second, outputs="sum").values, (wanted.sum((2, 3)) / 3).tolist())
