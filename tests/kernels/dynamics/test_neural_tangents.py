"""Values that neural-tangents 0.6.5 gave: flow, cross-entropy, momentum, and the ensemble over initialisations."""

import json
import math
from pathlib import Path

import pytest
import torch

from lemmata.kernels.dynamics import KernelBlocks, LinearisedTraining, NewSamples, predict_ensemble
from lemmata.training import SGD

RECORDED = json.loads((Path(__file__).parents[2] / "oracles" / "neural_tangents_0.6.5_dynamics.json").read_text())
F64 = torch.float64


def read(name):
    return torch.tensor(RECORDED[name], dtype=torch.long if name == "labels" else F64)


def training(loss):
    test = NewSamples(read("kernel_test"), read("f_test"))
    y = read("labels") if loss == "cross_entropy" else read("y")
    return LinearisedTraining(read("kernel"), y, f0=read("f"), loss=loss, test=test)


def compare(run, cases, tolerance):
    for place, case in enumerate(cases):
        torch.testing.assert_close(run.train_outputs[place], torch.tensor(case["f"], dtype=F64), rtol=0, atol=tolerance)
        theirs = torch.tensor(case["f_test"], dtype=F64)
        torch.testing.assert_close(run.test_outputs[place], theirs, rtol=0, atol=tolerance)


def time(case):
    return math.inf if case["t"] is None else case["t"]


def test_gradient_flow():
    cases = RECORDED["flow"]
    compare(training("half_mse").run([time(case) for case in cases]), cases, 1e-10)  # closed forms, both in float64


def test_cross_entropy():
    cases = RECORDED["cross_entropy"]
    compare(training("cross_entropy").run([time(case) for case in cases]), cases, 1e-6)  # their solver: 1e-8 a step


@pytest.mark.parametrize("step", [1e-3, 1e-4])
def test_heavy_ball_in_the_limit_of_small_steps(step):
    """They read momentum as an ordinary differential equation, whose discretisation ours is, to first order."""
    friction = (1 - RECORDED["momentum_factor"]) / math.sqrt(RECORDED["eta"])
    rule = SGD(lr=step**2, momentum=1 - friction * step)
    cases = RECORDED["momentum"]
    steps = [round(math.sqrt(RECORDED["eta"]) * case["t"] / step) for case in cases]
    compare(training("half_mse").run(steps, rule), cases, 3 * step)


def test_the_ensemble():
    ntk, nngp = read("ntk"), read("nngp")
    blocks = {name: KernelBlocks(K[:6, :6], K[6:, :6], K[6:, 6:]) for name, K in (("ntk", ntk), ("nngp", nngp))}
    for name in ("ntk", "nngp"):
        cases = [case for case in RECORDED["ensemble"] if case["trained"] == name]
        found = predict_ensemble(
            blocks[name], blocks["nngp"], read("y"), times=[time(case) for case in cases], loss="half_mse"
        )
        for place, case in enumerate(cases):
            torch.testing.assert_close(found.mean[place], torch.tensor(case["mean"], dtype=F64), rtol=0, atol=1e-9)
            theirs = torch.tensor(case["covariance"], dtype=F64)
            torch.testing.assert_close(found.covariance[place], theirs, rtol=0, atol=1e-9)
