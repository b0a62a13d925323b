"""Kernels against recorded values of neural-tangents 0.6.5 in float64: `tests/oracles/neural_tangents_record.py`.

Both sides round. 1e-11 of a matrix's largest entry is what up to six layers of elementary functions leave; where
neural-tangents takes the arc cosine of a cosine that rounds to 1 (on the diagonal of tangent kernels with a kink, and
at equal positions of near images) its own error is 1e-8, and the tolerance there 1e-7 (2e-8 where it averages out).
"""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from lemmata.kernels import FullyConnected, analytic_nngp, analytic_ntk
from lemmata.kernels.analytic import Rectifier
from lemmata.kernels.cntk import Convolutional, cnn_gp, cntk
from lemmata.kernels.dynamics import KernelBlocks, LinearisedTraining, NewSamples, predict_ensemble
from lemmata.kernels.empirical import empirical_ntk
from lemmata.training import SGD

ORACLES = Path(__file__).parents[1] / "oracles"
KINKED = ("relu", "leaky_relu", "abs")
ACTIVATIONS = {"leaky_relu": Rectifier(0.1), "sine": "sin", "cosine": "cos"}  # where names or defaults differ
UNNAMED = {
    "sigmoid_like": lambda h: (torch.special.erf(h / 2.4020563531719796) + 1) / 2,
    "gaussian": lambda h: torch.exp(-h.square()),
}


def recorded(name: str) -> dict:
    return json.loads((ORACLES / f"neural_tangents_0.6.5_{name}.json").read_text())


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def agrees(found: torch.Tensor, wanted, tolerance: float = 1e-11) -> None:
    wanted = torch.as_tensor(wanted, dtype=torch.float64)
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max()) <= tolerance * float(wanted.abs().max())


# ---- fully-connected nets --------------------------------------------------------------------------------------------

FULLY_CONNECTED = recorded("fully_connected")


def law(case: dict, **options) -> FullyConnected:
    activation = case["activation"]
    return FullyConnected(
        case.get("depth") or case["blocks"] + 2,  # a first layer, the blocks, and a last one
        activation=UNNAMED.get(activation) or ACTIVATIONS.get(activation, activation),
        weight_variance=case["weight_variance"],
        bias_variance=case["bias_variance"],
        **options,
    )


def label(case: dict) -> str:
    size = f"{case['depth']} layers" if "depth" in case else f"{case['blocks']} blocks"
    return f"{case['activation']}, {size}, variances {case['weight_variance']} {case['bias_variance']}"


@pytest.mark.parametrize("kind", ["plain", "residual", "layer_norm"])
def test_kernels_of_fully_connected_nets(kind: str):
    x = tensor(FULLY_CONNECTED["x"])
    for case in FULLY_CONNECTED[kind]:
        if case["activation"] in UNNAMED:
            continue
        options = {} if kind == "plain" else {kind: True}
        network = law(case, **options)
        agrees(analytic_nngp(x, network=network).values, case["nngp"])
        ntk = analytic_ntk(x, network=network).values
        agrees(ntk, case["ntk"], 1e-7 if case["activation"] in KINKED else 1e-11)
        apart = ~torch.eye(5, dtype=torch.bool)
        agrees(ntk[apart], tensor(case["ntk"])[apart].tolist())
        agrees(analytic_ntk(x[:2], x[2:], network=network).values, tensor(case["ntk"])[:2, 2:].tolist())


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
        for z, columns in ((None, slice(None)), (x[1:], slice(1, None))):
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


# ---- training of the linearised network ------------------------------------------------------------------------------

DYNAMICS = recorded("dynamics")


def trained(loss: str) -> LinearisedTraining:
    y = torch.tensor(DYNAMICS["labels"]) if loss == "cross_entropy" else tensor(DYNAMICS["y"])
    test = NewSamples(tensor(DYNAMICS["kernel_test"]), tensor(DYNAMICS["f_test"]))
    return LinearisedTraining(tensor(DYNAMICS["kernel"]), y, f0=tensor(DYNAMICS["f"]), loss=loss, test=test)


def test_gradient_flow():
    cases = DYNAMICS["flow"]
    run = trained("half_mse").run([math.inf if case["t"] is None else case["t"] for case in cases])
    for place, case in enumerate(cases):
        agrees(run.train_outputs[place], case["f"])
        agrees(run.test_outputs[place], case["f_test"])


def test_flow_of_the_cross_entropy():
    """Both integrate numerically: neural-tangents to its integrator's default of 1.4e-8 a step, ours to 1e-10."""
    cases = DYNAMICS["cross_entropy"]
    run = trained("cross_entropy").run([case["t"] for case in cases], tolerance=1e-10)
    for place, case in enumerate(cases):
        agrees(run.train_outputs[place], case["f"], 1e-6)
        agrees(run.test_outputs[place], case["f_test"], 1e-6)


def test_momentum_in_the_limit_of_small_steps():
    """neural-tangents reads heavy ball as the equation f'' = -friction f' - K grad; ours are the steps themselves.

    With steps of h = sqrt(lr) and momentum 1 - friction h they follow it to O(h); two such runs, extrapolated to
    h = 0, to O(h^2) = 1e-6, of which 1e-5 is granted.
    """
    eta, training = DYNAMICS["eta"], trained("half_mse")
    friction = (1 - DYNAMICS["momentum_factor"]) / eta**0.5
    for case in DYNAMICS["momentum"]:
        end, runs = eta**0.5 * case["t"], []
        for steps in (20_000, 40_000):
            h = end / steps
            runs.append(training.run([steps], SGD(lr=h * h, momentum=1 - friction * h)))
        for found, wanted in (("train_outputs", case["f"]), ("test_outputs", case["f_test"])):
            coarse, fine = (getattr(run, found)[0] for run in runs)
            agrees(2 * fine - coarse, wanted, 1e-5)


@pytest.mark.parametrize("layers", ["ntk", "nngp"])
def test_mean_and_covariance_over_initialisations(layers: str):
    """1e-9: the kernels' condition of 30 on top of rounding, and inverses on neural-tangents' side."""
    blocks = {}
    for name in ("nngp", "ntk"):
        whole = tensor(DYNAMICS[name])
        blocks[name] = KernelBlocks(whole[:6, :6], whole[6:, :6], whole[6:, 6:])
    cases = [case for case in DYNAMICS["ensemble"] if case["trained"] == layers]
    times = [math.inf if case["t"] is None else case["t"] for case in cases]
    found = predict_ensemble(blocks[layers], blocks["nngp"], tensor(DYNAMICS["y"]), times=times, loss="half_mse")
    for place, case in enumerate(cases):
        if case["t"] != 0:
            agrees(found.mean[place], case["mean"], 1e-9)
        agrees(found.covariance[place], case["covariance"], 1e-9)
    assert times[0] == 0
    assert not found.mean[0].any()
