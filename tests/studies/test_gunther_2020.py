"""The study of Guenther, Ruthotto, Schroder, Cyr and Gauger (2020): its pieces, and its verdicts."""

import numpy as np
import pytest
import torch

from lemmata.flows import Flow
from lemmata.studies import _gunther_2020_convergence as convergence
from lemmata.studies import gunther_2020 as gunther
from lemmata.studies._gunther_2020_training import STREAMS, Training, _weights, samples, trained
from lemmata.verdicts import Outcome


def test_iterations_lie_between_two_whole_numbers():
    assert convergence.iterations([1e-3, 1e-9, 1e-12]) == pytest.approx(1)
    assert convergence.iterations([1e-3, 1e-6, 1e-12]) == pytest.approx(1.5)
    assert convergence.iterations([1e-3, 1e-6]) == pytest.approx(2)  # extrapolated
    assert convergence.crossing(np.array([2, 4, 6]), np.array([0.1, 0.5, 2.0])) == pytest.approx(5)
    assert convergence.crossing(np.array([2, 4, 6]), np.array([0.1, 0.5, 0.6])) == 6


def test_several_networks_in_one_batch_are_each_what_it_is_alone():
    """Losses and errors, of training and of the network itself; float32 sums in another order."""
    options = {"n": 60, "steps": 5, "layers": 8}
    both = trained([Training(seed=seed, **options) for seed in (0, 1)])
    for seed in (0, 1):
        alone = trained([Training(seed=seed, **options)])[0]
        assert alone.curves["history"].y == pytest.approx(both[seed].curves["history"].y, abs=1e-4)
    config = Training(**options)
    (x, _), _ = samples(config, [STREAMS, STREAMS + 1])
    opening, field, closing = (part.requires_grad_(False) for part in _weights(config, [STREAMS, STREAMS + 1], 2, 5))
    y = torch.tanh(opening(x))
    found = closing(Flow(field, steps=8, method="forward-euler")(y))[1]
    y, h = y[1], config.T / 8
    for k in range(8):
        K, b = (weight[0, 1] for weight in field.weights_at(torch.tensor([k * h]), torch.tensor([(k + 0.5) * h])))
        y = y + h * torch.tanh(y @ K.T + b)
    assert found == pytest.approx(y @ closing.weight[1] + closing.bias[1], abs=1e-5)


def test_converged_multigrid_trains_as_the_layers_in_turn_do():
    """Four iterations are exact for four chunks (8 layers, m = 2): the same losses to float32."""
    options = {"n": 60, "steps": 8, "layers": 8, "m": 2, "iterations": 4}
    serial, own = (trained([Training(mode=mode, **options)])[0] for mode in ("serial", "layer-parallel"))
    assert own.curves["history"].y == pytest.approx(serial.curves["history"].y, abs=1e-3)


# ---- verdicts --------------------------------------------------------------------------------------------------------

CLAIMS = [claim.name for claim in gunther.study.claims]


def test_smoke_scale_refutes_nothing(smoke):
    found = smoke("gunther-2020")
    assert not {Outcome.CONTRADICTED, Outcome.VOID} & {verdict.outcome for verdict in found.verdicts.values()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_verdicts_at_laptop_scale_with_every_control_refuted(laptop, name: str):
    laptop("gunther-2020").assert_outcome(name)
