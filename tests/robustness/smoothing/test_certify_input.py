"""What cannot be certified is refused with what was wrong, the value, and the remedy."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.robustness import Gaussian, Uniform, certify
from lemmata.robustness.smoothing.aim import aim_at, reach

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def model():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"sigma": 0.0}, "sigma"),
        ({"sigma": -1.0}, "sigma"),
        ({"sigma": float("nan")}, "sigma"),
        ({"sigma": None}, "sigma=.*or noise"),
        ({"noise": Gaussian(1.0)}, "not both"),
        ({"sigma": None, "noise": "gauss"}, "noise = 'gauss'"),
        ({"alpha": 0.0}, "alpha = 0"),
        ({"alpha": 1.0}, "alpha = 1"),
        ({"alpha": float("nan")}, "alpha = nan"),
        ({"n": 0}, "n = 0"),
        ({"n": 99.5}, "n = 99.5"),
        ({"n0": 0}, "n0 = 0"),
        ({"n": 10**12}, "n = 1000000000000 copies .*at most 1000000000"),
        ({"n": 10**20, "tolerance": 0.1}, "at most 1000000000"),
        ({"n": 10**12, "radii": [0.1]}, "at most 1000000000"),
        ({"n0": 10**12}, "n0 = 1000000000000 copies"),
        ({"n0": True}, "n0 = True"),
        ({"sigma": True}, "sigma = True"),
        ({"batch": True}, "batch = True"),
        ({"tolerance": 0.1, "relative": "yes"}, "relative = 'yes'; give True"),
        ({"futility": -3}, "futility = -3"),
        ({"futility": float("nan")}, "futility = nan"),
        ({"sigma": 1e-9}, "too narrow for images"),
        ({"log": 3}, "log = 3; give the name of a file"),
        ({"log": ""}, "give the name of a file"),
        ({"log": "x.tsv.gz"}, "name it x.tsv, and compress it"),
        ({"input_range": 1}, "input_range = 1; give"),
        ({"n": 9}, "9 hits of 9 prove only p > 0.4642.*take n >= 10"),
        ({"radii": []}, "radii is empty"),
        ({"radii": [0.5, 0.25]}, r"not increasing.*\[0.25, 0.5\]"),
        ({"radii": [0.25, 0.25]}, "not increasing"),
        ({"radii": [-0.1, 0.25]}, "distances"),
        ({"radii": [0.1, float("nan")]}, "distances"),
        ({"radii": [float("inf")]}, "distances"),
        ({"radii": ["a"]}, "a radius = 'a'"),
        ({"radii": [0.5, 3.0], "n": 1_000}, r"radii \[3\] .* can never be certified with n = 1000 .*take n >= \d+"),
        ({"radii": [20.0]}, r"radii \[20\] .*no number of copies"),
        ({"radii": [0.5], "tolerance": 0.1}, "give one of them"),
        ({"relative": True}, "give a tolerance"),
        ({"radii": [0.1], "futility": -0.1}, "futility = -0.1"),
        ({"tolerance": 0.1, "futility": 1.5}, "futility = 1.5"),
        ({"tolerance": 0.0}, "tolerance = 0; give a positive l2 distance"),
        ({"tolerance": float("nan")}, "tolerance = nan"),
        ({"tolerance": 1.5, "relative": True}, "share of the radius between 0 and 1"),
        ({"seed": "zero"}, "seed = 'zero'"),
        ({"batch": 0}, "batch = 0"),
        ({"classes": 3}, "2 logits an image, but classes = 3"),
        ({"index": torch.tensor([0, 1, 1, 2])}, "a place twice"),
        ({"index": torch.tensor([0, 1])}, "index of shape"),
        ({"input_range": (0.0, 0.5)}, "outside the input_range"),
        ({"progress": 3}, "progress"),
    ],
    ids=str,
)
def test_settings(change, what):
    with pytest.raises(InvalidInput, match=what):
        certify(model(), X, **{"sigma": 1.0, "n": 100} | change)


def test_an_unknown_layout():
    with pytest.raises(UnknownName, match="memory_format 'fast'"):
        certify(model(), X, sigma=1.0, n=100, memory_format="fast")


@pytest.mark.parametrize(
    ("x", "what"),
    [
        (X[:0], "at least one image"),
        (X[0], "at least one image|fails on images"),
        ((255 * torch.rand(4, 3)).to(torch.uint8), "uint8"),
        (X.index_put((torch.tensor([2]), torch.tensor([0])), torch.tensor(float("nan"))), "image 2"),
        (X.index_put((torch.tensor([1]), torch.tensor([0])), torch.tensor(float("inf"))), "image 1"),
        (X.numpy(), "ndarray; give a torch tensor"),
        (X[:, :2], "fails on images of shape"),
    ],
    ids=["none", "one without its axis", "uint8", "NaN", "infinite", "numpy", "another shape"],
)
def test_images(x, what):
    with pytest.raises(InvalidInput, match=what):
        certify(model(), x, sigma=1.0, n=100)


@pytest.mark.parametrize(
    ("y", "what"),
    [
        (torch.tensor([0, 1, 0]), "for 4 images"),
        (torch.tensor([[0], [1], [0], [1]]), "for 4 images"),
        (torch.tensor([0, 1, 2, 0]), "classes 0 to 1"),
        (torch.tensor([0, -1, 1, 0]), "classes 0 to 1"),
        (torch.tensor([0.0, 1.0, 0.0, 1.0]), "one whole number"),
        (torch.tensor([True, False, True, True]), "one whole number"),
        ([0, 1, 0, 1], "list; give a torch tensor"),
    ],
    ids=str,
)
def test_labels(y, what):
    with pytest.raises(InvalidInput, match=what):
        certify(model(), X, y, sigma=1.0, n=100)


class Answers(nn.Module):
    """Gives what a function of the rows gives."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda x: x[:, 0], "logits"),
        (lambda x: x[:, :1], "two classes or more"),
        (lambda x: (x, x), "tuple"),
        (lambda x: x * float("nan"), "NaN logits"),
        (lambda x: x - x.mean(0), "depend|differs"),
        (lambda x: x + torch.rand_like(x), "chance"),
        (lambda x: x.argmax(1, keepdim=True).repeat(1, 2), "floating-point"),
    ],
    ids=["one number", "one logit", "a tuple", "NaN", "the batch", "chance", "classes"],
)
def test_models(function, what):
    with pytest.raises(InvalidInput, match=what):
        certify(Answers(function), X, sigma=1.0, n=100)


def test_nan_far_from_the_image_is_refused_when_it_is_met():
    # finite on the image and near it: only some of many noisy copies fall where the model has no answer
    with pytest.raises(InvalidInput, match="NaN logits"):
        certify(Answers(lambda x: torch.stack([x[:, 0], (x[:, 0] + 2.5).sqrt()], 1)), X * 0, sigma=1.0, n=10_000)


@pytest.mark.parametrize(
    ("what", "message"), [(abs, "torch.nn.Module"), ([], "at least one"), ([abs], "torch.nn.Module")]
)
def test_what_is_no_model(what, message):
    with pytest.raises(InvalidInput, match=message):
        certify(what, X, sigma=1.0, n=100)


def test_training_mode_is_refused():
    normalised = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    with pytest.raises(InvalidInput, match=r"training mode.*model.eval\(\)"):
        certify(normalised, X, sigma=1.0, n=100)
    with pytest.raises(InvalidInput, match="training mode"):
        certify(nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 2)), X, sigma=1.0, n=100)
    assert len(certify(normalised.eval(), X, sigma=1.0, n=100)) == 4


@pytest.mark.parametrize("alpha", [0.001, 0.05])
@pytest.mark.parametrize("radius", [0.5, 1.0, 1.9])
def test_the_n_that_a_refusal_names_suffices_and_is_near_the_least(radius, alpha):
    noise = Gaussian(0.5)
    with pytest.raises(InvalidInput, match="take n >=") as refusal:
        aim_at(noise, radii=[radius], n=2, alpha=alpha)
    named = int(str(refusal.value).rsplit(" ", 1)[1].replace(",", ""))
    assert aim_at(noise, radii=[radius], n=named, alpha=alpha).radii.tolist() == [radius]
    least = np.log(alpha) / norm.logcdf(radius / 0.5)  # n hits prove p > alpha^(1/n)
    assert least <= named <= 1.2 * least + 2


def test_ten_copies_can_certify_and_nine_cannot():
    # 0.5^10 = 0.00098 < 0.001: an image all of whose 10 copies agree is certified, at a radius of 0.0017 sigma or less
    found = certify(model(), 100 * X, sigma=0.01, n=10)
    assert not found.abstained.any()
    assert float(found.radius.max()) == pytest.approx(0.01 * norm.ppf(0.001**0.1), rel=1e-9)


def test_radii_beyond_all_noise_are_refused():
    with pytest.raises(InvalidInput, match="certifies no radius beyond its half width"):
        certify(model(), X, noise=Uniform(0.5), radii=[0.6], n=100)
    with pytest.raises(InvalidInput, match="no number of copies"):
        certify(model(), X, noise=Uniform(0.5), radii=[0.1, 0.5], n=1_000)


@pytest.mark.parametrize("asked", [{}, {"radii": [0.25, 1.0]}, {"tolerance": 0.01}], ids=str)
def test_reach_is_the_bound_of_nothing_but_hits(asked):
    n, alpha = 5_000, 0.001
    proven = reach(aim_at(Gaussian(0.5), n=n, alpha=alpha, **asked).procedure)
    assert proven <= alpha ** (1 / n) + 1e-12
    assert proven >= (alpha / 2) ** (1 / n) or "radii" in asked
    assert "radii" not in asked or proven == pytest.approx(norm.cdf(2.0), rel=1e-12)


@pytest.mark.gpu
def test_a_model_on_a_gpu_takes_images_from_the_processor():
    here = certify(model().cuda(), X, sigma=1.0, n=1_000)
    there = certify(model().cuda(), X.cuda(), torch.zeros(4, dtype=torch.int64, device="cuda"), sigma=1.0, n=1_000)
    assert torch.equal(here.hits, there.hits)
    assert there.radius.device.type == "cpu"
