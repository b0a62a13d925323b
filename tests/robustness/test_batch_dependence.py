"""Classifiers whose answer depends on the batch or on chance are refused, and the layer is named."""

import pytest
import torch
from torch import nn
from torch.nn.functional import dropout

from lemmata.errors import InvalidInput
from lemmata.robustness import Gaussian, Votes
from lemmata.robustness.batch_dependence import require_function


def network(middle):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), middle, nn.Flatten(), nn.Linear(4 * 36, 3)).eval()


def rows(n=4):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Centred(nn.Module):
    """Subtracts the mean over the batch, in any mode."""

    def forward(self, x):
        return x - x.mean(0)


class Shaken(nn.Module):
    """Dropout by a function, which no mode of a module tells."""

    def forward(self, x):
        return dropout(x, 0.5, training=True)


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.BatchNorm2d(4), "BatchNorm2d"),
        (nn.Dropout(0.1), "Dropout"),
        (nn.SyncBatchNorm(4), "SyncBatchNorm"),
        (nn.RReLU(), "RReLU"),
    ],
)
def test_layers_in_training_mode_are_named(layer, kind):
    with pytest.raises(InvalidInput, match=rf"the layer '1' \({kind}\) is in training mode.*call model.eval\(\)"):
        Votes(network(layer).train(), rows(), Gaussian(0.5))
    Votes(network(nn.Dropout(0.0)).train(), rows(), Gaussian(0.5))  # these answer the same in any mode


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False), nn.Dropout(), nn.InstanceNorm2d(4)]
)
def test_layers_in_evaluation_mode_are_taken(layer):
    assert require_function(network(layer), rows()).shape == (4, 3)


@pytest.mark.parametrize("layer", [Centred(), nn.BatchNorm2d(4, track_running_stats=False)])
def test_what_depends_on_the_batch_in_evaluation_mode_is_named(layer):
    name = type(layer).__name__
    with pytest.raises(InvalidInput, match=rf"depends on its batch.*The first layer to differ is '1' \({name}\)"):
        Votes(network(layer), rows(1), Gaussian(0.5))  # one image: its own noisy copies are the batch


def test_what_depends_on_chance_is_named():
    with pytest.raises(InvalidInput, match=r"depends by chance.*The first layer to differ is '1' \(Shaken\)"):
        Votes(network(Shaken()), rows(), Gaussian(0.5))


def test_a_model_that_is_its_own_culprit_is_said_to_be():
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            return self.linear(x) / x.std()

    with pytest.raises(InvalidInput, match="none of its submodules but its own forward"):
        require_function(Whole(), torch.rand(4, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_rounding_is_no_dependence(dtype):
    # products over 2,000 entries round differently alone and in a batch
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2000, 2000), nn.ReLU(), nn.Linear(2000, 10)).to(dtype)
    require_function(model, torch.randn(4, 2000).to(dtype))
