"""Each member of an ensemble against a plain torch.optim loop over one nn.Module, written here as the oracle.

float64, 100 steps: the two differ by rounding only (sums in another order), so 1e-10 is generous by four orders.
"""

import copy

import pytest
import torch
from torch import nn

from lemmata import nets
from lemmata.training import SGD, Adam, train

M, N, BATCH, EPOCHS = 4, 60, 12, 20
STEPS = EPOCHS * N // BATCH
RATES = [0.02, 0.05, 0.1, 0.2]
DECAYS = [0.0, 1e-3, 1e-2, 5e-2]


def data(seed=0, inputs=7, classes=3):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(N, inputs, generator=g, dtype=torch.float64), torch.randint(classes, (N,), generator=g)


def perceptrons(activation="relu"):
    return [nets.mlp(7, [9, 8], 3, activation=activation, seed=s, dtype=torch.float64) for s in range(M)]


def alone(model, x, y, optimiser, *, seed, batch=BATCH, epochs=EPOCHS, loss=nn.functional.cross_entropy):
    """The oracle: one network, torch's own optimiser, torch's own autograd."""
    generator = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator)
        for start in range(0, len(x), batch):
            index = order[start : start + batch]
            optimiser.zero_grad()
            loss(model(x[index]), y[index]).backward()
            optimiser.step()
    return model


def assert_agree(result, singles, tolerance=1e-10):
    for i, single in enumerate(singles):
        for name, value in single.state_dict().items():
            difference = (result.states[name][i].double() - value.double()).abs().max().item()
            assert difference < tolerance, (i, name, difference)


CASES = {
    "sgd": (SGD(lr=RATES), lambda p, i: torch.optim.SGD(p, RATES[i])),
    "momentum": (SGD(lr=RATES, momentum=0.9), lambda p, i: torch.optim.SGD(p, RATES[i], momentum=0.9)),
    "momentum per member": (
        SGD(lr=0.05, momentum=[0.0, 0.5, 0.8, 0.9]),
        lambda p, i: torch.optim.SGD(p, 0.05, momentum=[0.0, 0.5, 0.8, 0.9][i]),
    ),
    "nesterov": (
        SGD(lr=RATES, momentum=0.9, nesterov=True),
        lambda p, i: torch.optim.SGD(p, RATES[i], momentum=0.9, nesterov=True),
    ),
    "weight decay": (
        SGD(lr=0.05, momentum=0.9, weight_decay=DECAYS),
        lambda p, i: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=DECAYS[i]),
    ),
    "nesterov with decay": (
        SGD(lr=0.05, momentum=0.8, weight_decay=1e-2, nesterov=True),
        lambda p, i: torch.optim.SGD(p, 0.05, momentum=0.8, weight_decay=1e-2, nesterov=True),
    ),
    "adam": (
        Adam(lr=[r / 10 for r in RATES], weight_decay=DECAYS),
        lambda p, i: torch.optim.Adam(p, RATES[i] / 10, weight_decay=DECAYS[i]),
    ),
    "adam with betas per member": (
        Adam(lr=0.01, betas=(0.8, [0.99, 0.999, 0.9, 0.95])),
        lambda p, i: torch.optim.Adam(p, 0.01, betas=(0.8, [0.99, 0.999, 0.9, 0.95][i])),
    ),
    "adamw": (
        Adam(lr=0.01, weight_decay=DECAYS, decoupled=True),
        lambda p, i: torch.optim.AdamW(p, 0.01, weight_decay=DECAYS[i]),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_member_equals_a_plain_torch_loop(case):
    rule, torch_rule = CASES[case]
    x, y = data()
    models = perceptrons()
    before = copy.deepcopy(models)
    result = train(models, x, y, optimiser=rule, batch_size=BATCH, epochs=EPOCHS, seeds=range(10, 10 + M))
    singles = [alone(m, x, y, torch_rule(m.parameters(), i), seed=10 + i) for i, m in enumerate(before)]
    assert result.steps.tolist() == [STEPS] * M
    assert STEPS == 100
    assert_agree(result, singles)
