"""What is given as a seed: refused by its name and value where torch takes it silently, or fails on it."""

import numpy as np
import pytest
import torch

from lemmata.curvature.sharpness.climb import Chart, climb
from lemmata.errors import InvalidInput
from lemmata.given import require_number, require_seed
from lemmata.linalg import eigenpairs
from lemmata.nets import initialise
from lemmata.objective import Objective

NO_SEEDS = [True, None, 0.5, 3.0, "0", 2**63, 2**70, -1, [], [1], 1j, float("nan"), torch.tensor([1, 2]), np.array([1])]
NAMES = [str(type(seed).__name__) + str(i) for i, seed in enumerate(NO_SEEDS)]


@pytest.mark.parametrize("seed", NO_SEEDS, ids=NAMES)
def test_what_is_no_seed_is_refused_by_name(seed):
    with pytest.raises(InvalidInput, match=r"^draw = .*whole number from 0 to 2\^63 - 1"):
        require_seed(seed, "draw")


@pytest.mark.parametrize("seed", [0, 3, 2**63 - 1, np.int64(7)])
def test_whole_numbers_that_torch_takes_are_seeds(seed):
    assert require_seed(seed) == int(seed)
    assert torch.Generator().manual_seed(require_seed(seed)).initial_seed() == int(seed)


def test_a_generator_is_given_back_itself():
    generator = torch.Generator()
    assert require_seed(generator) is generator


@pytest.mark.parametrize("seed", NO_SEEDS, ids=NAMES)
def test_instruments_refuse_what_is_no_seed(seed):
    layer, x = torch.nn.Linear(2, 1), torch.ones(3, 2)
    with pytest.raises(InvalidInput, match="seed = "):
        initialise(layer, "he", seed)
    with pytest.raises(InvalidInput, match="seed = "):
        eigenpairs(torch.eye(3), 1, seed=seed)
    with pytest.raises(InvalidInput, match="seed = "):
        climb(Objective(layer, loss="mse", data=(x, x[:, :1])), Chart(torch.ones(3)), rho=0.1, steps=1, seed=seed)


def test_a_number_beyond_float64_is_refused_by_name():
    with pytest.raises(InvalidInput, match=r"^ridge is beyond the range of a float64"):
        require_number(10**400, "ridge")
    assert require_number(10**300, "ridge") == 1e300
