"""Classifiers whose answer depends on the batch or on chance are refused, and the layer is named."""

import pytest
import torch
from torch import nn
from torch.nn.functional import dropout

from lemmata.errors import InvalidInput
from lemmata.robustness import Gaussian, Votes
from lemmata.robustness.smoothing.batch_dependence import require_function, same_logits


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


class Masked(nn.Module):
    """Logits of three classes, from which `share` of their mean over the batch is taken, and constant others."""

    def __init__(self, share, constants):
        super().__init__()
        torch.manual_seed(0)
        self.read, self.share, self.constants = nn.Linear(64, 3), share, constants

    def forward(self, x):
        z = self.read(x.flatten(1))
        return torch.cat([z - self.share * z.mean(0), z.new_tensor(self.constants).expand(len(z), -1)], 1)


@pytest.mark.parametrize(
    "constants", [[-1e4], [-1e9], [-torch.inf], [-1e9] * 50, [-torch.inf, -1e9]], ids=["1e4", "1e9", "inf", "50", "two"]
)
def test_a_mask_on_other_classes_hides_no_dependence(constants):
    with pytest.raises(InvalidInput, match="depends on its batch"):
        Votes(Masked(0.9, constants), rows(), Gaussian(0.5))
    Votes(Masked(0.0, constants), rows(), Gaussian(0.5)).count([0], 50)  # the mask itself is none


def test_an_offset_common_to_all_classes_hides_no_dependence():
    model = nn.Sequential(Masked(0.9, [0.0]), Plus(1e4))
    with pytest.raises(InvalidInput, match="depends on its batch"):
        Votes(model, rows(), Gaussian(0.5))
    Votes(nn.Sequential(Masked(0.0, [0.0]), Plus(1e4)), rows(), Gaussian(0.5))


class Plus(nn.Module):
    def __init__(self, offset):
        super().__init__()
        self.offset = offset

    def forward(self, x):
        return x + self.offset


def test_logits_are_the_same_by_class():
    a = torch.tensor([[1.0, 2.0, -torch.inf], [3.0, 1.0, -torch.inf]])
    assert same_logits(a, a + torch.tensor([1e-5, -1e-5, 0.0]))
    assert same_logits(a, a[1:], row=1)
    assert not same_logits(a, a[:1], row=1)
    assert not same_logits(a, torch.where(a.isinf(), -1e30, a))  # an infinite logit is one
    assert not same_logits(a, a + torch.tensor([0.01, 0.0, 0.0]))
    assert same_logits(a, torch.full_like(a, torch.nan))  # whoever counts votes says so


def test_a_batch_that_only_many_rows_change_is_refused():
    class Large(nn.Module):
        def __init__(self):
            super().__init__()
            self.read = nn.Linear(64, 3)

        def forward(self, x):
            z = self.read(x.flatten(1))
            return z if len(x) < 10 else z.flip(1)

    with pytest.raises(InvalidInput, match="depends on its batch"):
        Votes(Large(), rows(), Gaussian(0.5), batch=50)
