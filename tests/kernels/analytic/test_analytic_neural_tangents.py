"""Values of neural-tangents 0.6.5, recorded by ``tests/oracles/neural_tangents_fully_connected.py``.

Tolerance 1e-7 of the largest entry on diagonals: what neural-tangents itself loses there for kernels with kinks (the
arc cosine of 1, as rounded), times the depth. Everything else agrees to 1e-11, since its LayerNorm adds 1e-12.
"""

import json
import math
from pathlib import Path

import pytest
import torch

from lemmata.kernels.analytic import Erf, FullyConnected, Rectifier, Sine, analytic_nngp, analytic_ntk

ORACLES = Path(__file__).parents[2] / "oracles"
RECORD = json.loads((ORACLES / "neural_tangents_0.6.5_fully_connected.json").read_text())
X = torch.tensor(RECORD["x"], dtype=torch.float64)
SIGMOID = 2.4020563531719796
OURS = {
    "relu": "relu",
    "leaky_relu": Rectifier(0.1),
    "identity": "identity",
    "abs": "abs",
    "erf": "erf",
    "gelu": "gelu",
    "sine": "sin",
    "cosine": Sine(phase=math.pi / 2),
    "sigmoid_like": Erf(amplitude=0.5, frequency=1 / SIGMOID, offset=0.5),
    "gaussian": "gaussian",
}
KINKED = ("relu", "leaky_relu", "abs")


def compare(case, network):
    """All entries of both kernels, in units of the largest one."""
    diagonal = torch.eye(len(X), dtype=torch.bool)
    tolerance = torch.where(diagonal & (case["activation"] in KINKED), 1e-7, 1e-11)
    for name, function in (("nngp", analytic_nngp), ("ntk", analytic_ntk)):
        wanted = torch.tensor(case[name], dtype=torch.float64)
        found = function(X, network=network).values
        assert bool(((found - wanted).abs() / wanted.abs().max() < tolerance).all()), name


@pytest.mark.parametrize("case", RECORD["plain"], ids=lambda c: f"{c['activation']}-{c['depth']}-{c['bias_variance']}")
def test_plain_networks(case):
    law = {key: case[key] for key in ("depth", "weight_variance", "bias_variance")}
    compare(case, FullyConnected(activation=OURS[case["activation"]], **law))


@pytest.mark.parametrize("case", RECORD["residual"], ids=lambda c: f"{c['activation']}-{c['blocks']}")
def test_residual_networks(case):
    law = {key: case[key] for key in ("activation", "weight_variance", "bias_variance")}
    compare(case, FullyConnected(depth=case["blocks"] + 2, residual=True, **law))


@pytest.mark.parametrize("case", RECORD["layer_norm"], ids=lambda c: f"{c['activation']}-{c['depth']}")
def test_networks_with_layer_normalisation(case):
    law = {key: case[key] for key in ("activation", "depth", "weight_variance", "bias_variance")}
    compare(case, FullyConnected(layer_norm=True, **law))
