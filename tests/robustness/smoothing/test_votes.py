"""Votes against closed forms and against a plain loop; the same votes however they are packed; what is refused."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.robustness import Gaussian, Laplace, Uniform, Votes
from lemmata.robustness.smoothing.noise_seeds import BLOCK, block_seeds


def half_space(weight, dtype=torch.float64):
    """Class 0 where <weight, x> > 0, class 1 elsewhere; x (rows, d)."""
    linear = nn.Linear(len(weight), 2, bias=False, dtype=dtype)
    with torch.no_grad():
        linear.weight.copy_(torch.stack([torch.tensor(weight), -torch.tensor(weight)]))
    return linear


def convnet(dtype=torch.float32):
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 3)]
    return nn.Sequential(*layers).eval().to(dtype)


def images(n, seed=0):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


class Answers(nn.Module):
    """Gives what a function gives."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


# ---- the votes are right ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_linear_classifier_votes_as_the_normal_law_says(dtype):
    weight, sigma, n = [0.6, -0.8, 1.2], 0.5, 20_000
    x = torch.tensor([[0.5, 0.1, 0.2], [0.0, 0.9, 0.1], [-0.3, 0.2, 0.4]], dtype=dtype)
    votes = Votes(half_space(weight, dtype), x, Gaussian(sigma), seed=1)
    counts = votes.count([0, 1, 2], n)
    margin = x.double() @ torch.tensor(weight, dtype=torch.float64)
    p = stats.norm.cdf(margin / (sigma * np.linalg.norm(weight)))
    # 4.5 standard deviations, three images: fails for one seed in 50,000
    assert np.abs(counts[:, 0] - n * p).max() < 4.5 * np.sqrt(n * p * (1 - p)).max()
    assert (counts.sum(1) == n).all()


@pytest.mark.parametrize(
    ("noise", "law"), [(Laplace(0.4), stats.laplace(scale=0.4)), (Uniform(0.9), stats.uniform(-0.9, 1.8))]
)
def test_other_noise_votes_as_its_law_says(noise, law):
    n = 20_000
    counts = Votes(half_space([1.0]), torch.tensor([[0.3]], dtype=torch.float64), noise).count([0], n)
    p = law.cdf(0.3)
    assert abs(counts[0, 0] - n * p) < 4.5 * np.sqrt(n * p * (1 - p))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_votes_are_those_of_a_plain_loop(dtype):
    # what the docstrings say, done one block at a time by hand
    model, x, noise = convnet(dtype), images(3), Gaussian(0.5)
    real = torch.float64 if dtype == torch.float64 else torch.float32
    votes = Votes(model, x, noise, seed=11, index=torch.tensor([40, 3, 8]), memory_format="plain", batch=50)
    expected = np.zeros((2, 3), dtype=np.int64)
    for row, (position, place, draws) in enumerate([(2, 8, 60), (0, 40, 100)]):
        classes = []
        for block, seed in enumerate(block_seeds(11, np.full(4, place), "estimate", np.arange(4)).tolist()):
            drawn = torch.empty(BLOCK, 1, 8, 8, dtype=real)
            drawn.normal_(0, 0.5, generator=torch.Generator().manual_seed(seed))
            with torch.no_grad():
                classes += model((drawn + x[position].to(real)).to(dtype)).argmax(1).tolist()
            assert block < 4
        expected[row] = np.bincount(classes[:draws], minlength=3)
    assert votes.count([2, 0], [60, 100]).tolist() == expected.tolist()


def test_the_first_of_equal_logits_has_the_vote():
    votes = Votes(Answers(lambda x: torch.zeros(len(x), 4)), torch.zeros(1, 2), Gaussian(1.0))
    assert votes.count([0], 30).tolist() == [[30, 0, 0, 0]]


def test_several_models_vote_by_their_mean_logits():
    one, two = half_space([1.0, 0.0]), half_space([0.0, 1.0])
    x = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    together = Votes([one, two], x, Gaussian(0.5)).count([0], 1000)
    assert together.tolist() == Votes(half_space([0.5, 0.5]), x, Gaussian(0.5)).count([0], 1000).tolist()


# ---- and the same however they are asked for -------------------------------------------------------------------------


def test_votes_do_not_depend_on_the_packing():
    x, model = images(4).flatten(1).double(), half_space(np.random.default_rng(0).normal(size=64).tolist())
    at_once = Votes(model, x, Gaussian(0.5), batch=400).count(range(4), 203)
    parts = Votes(model, x, Gaussian(0.5), batch=7)
    total = np.zeros((4, 2), dtype=np.int64)
    for chosen, draws in [([3, 0], [1, 30]), ([2], [203]), ([0, 1, 3], [173, 180, 25]), ([3, 1], [177, 23])]:
        total[chosen] += parts.count(chosen, draws)
    assert total.tolist() == at_once.tolist()
    assert parts.samples.tolist() == [203] * 4


def test_an_image_votes_alone_as_among_others():
    x, model = images(5).flatten(1).double(), half_space([0.1, -0.1] * 32)
    among = Votes(model, x, Gaussian(0.5), seed=3).count(range(5), 75)
    alone = Votes(model, x[4:], Gaussian(0.5), seed=3, index=torch.tensor([4])).count([0], 75)
    assert alone.tolist() == among[4:].tolist()


def test_streams_and_seeds_draw_other_copies():
    def drawn(seed, stream):
        seen = []
        model = Answers(lambda x: (seen.append(x.clone()), torch.stack([x[:, 0], -x[:, 0]], 1))[1])
        votes = Votes(model, torch.zeros(1, 3), Gaussian(1.0), seed=seed, memory_format="plain", batch=50)
        seen.clear()
        votes.count([0], 50, stream)
        # the votes' copy of the model shares this list, as a function's closure is not copied
        return torch.cat(seen)

    first = drawn(0, "estimate")
    assert first.unique(dim=0).shape == (50, 3)
    assert torch.equal(first, drawn(0, "estimate"))
    for other in (drawn(0, "selection"), drawn(1, "estimate")):
        assert not (first[:, None] == other).all(2).any()


def test_the_model_and_the_images_stay_as_they_are():
    model, x = convnet(), images(3)
    before, copied = copy.deepcopy(model.state_dict()), x.clone()
    layout = model[0].weight.stride()
    Votes(model, x, Gaussian(0.5)).count(range(3), 100)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(x, copied)
    assert model[0].weight.stride() == layout
    assert all(each.requires_grad and each.grad is None for each in model.parameters())


def test_time_and_samples_are_counted():
    votes = Votes(convnet(), images(3), Gaussian(0.5))
    votes.count([0, 2], [30, 10])
    votes.count([0], 5, "selection")
    assert votes.samples.tolist() == [35, 0, 10]
    assert votes.seconds[1] == 0
    assert (votes.seconds[[0, 2]] > 0).all()
    assert "45 drawn" in repr(votes)


def test_rows_at_once_fit_the_budget():
    votes = Votes(convnet(), images(2), Gaussian(0.5), budget=100_000)
    # four copies of an image (256 bytes) and of the largest answer, 8 channels of it (2,048 bytes): 10 rows
    assert votes.way.batch == 100_000 // (4 * (256 + 2048))
    assert votes.count([0, 1], 60).sum() == 120


@pytest.mark.gpu
def test_a_gpu_counts_in_any_packing_and_as_the_law_says():
    x = torch.tensor([[0.25, 0.0], [-0.5, 0.1]])
    model = half_space([1.0, 0.0], torch.float32).cuda()
    votes = Votes(model, x, Gaussian(0.5), batch=1000)
    counts = votes.count([0, 1], 20_000)
    again = Votes(model, x, Gaussian(0.5), batch=30)
    assert (again.count([0, 1], 300) + again.count([0, 1], 19_700)).tolist() == counts.tolist()
    p = stats.norm.cdf([0.5, -1.0])
    assert np.abs(counts[:, 0] - 20_000 * p).max() < 4.5 * np.sqrt(20_000 / 4)
    assert votes.way.device.type == "cuda"


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x[:, 0], r"torch.float32 \(4,\) for 4 images"),
        (lambda x: x[:, :1], r"\(4, 1\) for 4 images"),
        (lambda x: x[:2], r"\(2, 3\) for 4 images"),
        (lambda x: x[:, :, None], r"\(4, 3, 1\)"),
        (lambda x: x.long(), "torch.int64"),
        (lambda x: (x, x), "gives a tuple"),
        (lambda x: x @ torch.ones(7, 2), "fails on images of shape"),
    ],
)
def test_answers_that_are_no_logits_are_refused(answer, message):
    with pytest.raises(InvalidInput, match=message):
        Votes(Answers(answer), torch.rand(5, 3), Gaussian(0.5))


def test_other_classes_than_stated_are_refused():
    with pytest.raises(InvalidInput, match="2 logits an image, but classes = 10"):
        Votes(half_space([1.0]), torch.zeros(1, 1), Gaussian(0.5), classes=10)


def test_nan_logits_name_the_image():
    model = Answers(lambda x: torch.stack([(3.0 - x[:, 0]).sqrt(), x[:, 0]], 1))
    votes = Votes(model, torch.tensor([[-9.0], [2.5]]), Gaussian(0.2))
    with pytest.raises(InvalidInput, match=r"NaN logits for \d+ of 2000 noisy copies of image 1;"):
        votes.count([0, 1], 2000)
    assert votes.samples.tolist() == [0, 0]  # what was not counted was not drawn


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.uint8), "floating-point images"),
        (torch.zeros(0, 3), "at least one image"),
        (torch.zeros(3), "at least one image"),
        (torch.tensor([[0.0], [float("nan")]]), "image 1 of x has a NaN"),
        (torch.tensor([[float("inf")], [0.0]]), "image 0 of x has a NaN or infinite"),
        ([[1.0]], "give a torch tensor"),
    ],
)
def test_images_that_are_none_are_refused(x, message):
    with pytest.raises(InvalidInput, match=message):
        Votes(half_space([1.0]), x, Gaussian(0.5))


def test_images_outside_the_range_that_the_model_expects_are_refused():
    x = torch.tensor([[0.5], [255.0]])
    with pytest.raises(InvalidInput, match=r"image 1 of x reaches from 255 to 255, outside the input_range \[0, 1\]"):
        Votes(half_space([1.0]), x, Gaussian(0.5), input_range=(0, 1))
    Votes(half_space([1.0]), x / 255, Gaussian(0.5), input_range=(0, 1))


@pytest.mark.parametrize(
    ("chosen", "draws", "message"),
    [
        ([0, 0], 5, "different positions"),
        ([3], 5, "different positions from 0 to 2"),
        ([-1], 5, "different positions"),
        ([0], -5, "0 or more"),
        ([0.5], 5, "whole numbers"),
        ([0, 1], [5], "whole numbers"),
    ],
)
def test_requests_that_are_none_are_refused(chosen, draws, message):
    with pytest.raises(InvalidInput, match=message):
        Votes(half_space([1.0]), torch.zeros(3, 1), Gaussian(0.5)).count(chosen, draws)


def test_options_that_are_none_are_refused():
    model, x, noise = half_space([1.0]), torch.zeros(3, 1), Gaussian(0.5)
    with pytest.raises(UnknownName, match="stream"):
        Votes(model, x, noise).count([0], 5, "evidence")
    with pytest.raises(UnknownName, match="memory_format"):
        Votes(model, x, noise, memory_format="chanels_last")
    with pytest.raises(InvalidInput, match="batch = 0"):
        Votes(model, x, noise, batch=0)
    with pytest.raises(InvalidInput, match="place of each of the 3 images"):
        Votes(model, x, noise, index=torch.tensor([1, 2]))
    with pytest.raises(InvalidInput, match="give Gaussian"):
        Votes(model, x, 0.5)
    with pytest.raises(InvalidInput, match="list of models"):
        Votes(lambda x: x, x, noise)


def zero_division(x):
    return x * (1 // 0)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (zero_division, "the model fails .*ZeroDivisionError"),
        (lambda x: x.to_sparse(), "layout torch.sparse_coo.*dense logits"),
        (lambda x: x.to("meta"), "on meta"),
        (lambda x: x * torch.inf, "NaN logits for .* infinite leading logit"),
        (lambda x: torch.full_like(x, -torch.inf), "-inf everywhere, counts as NaN"),
        (lambda x: torch.cat([x, torch.full_like(x, torch.inf)], 1), "infinite leading logit"),
    ],
    ids=["raises", "sparse", "meta", "infinite", "masked everywhere", "plus infinity"],
)
def test_models_that_give_no_numbers_are_refused(answer, message):
    with pytest.raises(InvalidInput, match=message):
        Votes(Answers(answer), torch.rand(5, 3), Gaussian(0.5)).count([0], 30)


def test_a_mask_of_minus_infinity_is_taken():
    votes = Votes(Answers(lambda x: torch.cat([x, torch.full_like(x, -torch.inf)], 1)), torch.rand(5, 3), Gaussian(0.5))
    assert votes.count([0], 30)[0, 3:].tolist() == [0, 0, 0]


def test_models_that_cannot_be_copied_or_hold_no_numbers_are_refused():
    x, noise = torch.rand(5, 3), Gaussian(0.5)
    with pytest.raises(InvalidInput, match="meta device and holds no numbers"):
        Votes(nn.Linear(3, 2, device="meta"), x, noise)
    holding = nn.Linear(3, 2)
    holding.stream = (each for each in ())  # generators cannot be copied
    with pytest.raises(InvalidInput, match="cannot be copied"):
        Votes(holding, x, noise)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("made", [torch.jit.script, lambda model: torch.jit.trace(model, torch.rand(5, 3))])
def test_compiled_modules_are_refused(made):
    with pytest.raises(InvalidInput, match=r"torch\.jit module .* give the module it was made of"):
        Votes(made(nn.Linear(3, 2)), torch.rand(5, 3), Gaussian(0.5))


@pytest.mark.parametrize("sigma", [1e-9, 1e-6])
def test_noise_that_is_rounded_away_is_refused(sigma):
    x = torch.rand(2, 3) + 1
    with pytest.raises(InvalidInput, match="too narrow for images with entries up to"):
        Votes(half_space([1.0, 0.0, 0.0], torch.float32), x, Gaussian(sigma))
    Votes(half_space([1.0, 0.0, 0.0]), x, Gaussian(sigma))  # a float64 model has it added in float64
    Votes(half_space([1.0, 0.0, 0.0], torch.float32), x, Gaussian(1e-3))


@pytest.mark.parametrize("wrong", [1, (0, 1, 2), (1, 0), (0, float("nan")), "01", ("a", 1)], ids=str)
def test_a_range_that_is_none_is_refused_as_such(wrong):
    with pytest.raises(InvalidInput, match=r"^input_range"):
        Votes(half_space([1.0]), torch.zeros(3, 1), Gaussian(0.5), input_range=wrong)


def test_a_budget_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match="budget = 'a'"):
        Votes(half_space([1.0]), torch.zeros(3, 1), Gaussian(0.5), budget="a")


def test_blocks_are_listed_a_few_at_a_time(monkeypatch):
    x, model = images(4).flatten(1).double(), half_space([0.1, -0.1] * 32)
    whole = Votes(model, x, Gaussian(0.5)).count([0, 2, 3], [203, 0, 77])
    monkeypatch.setattr("lemmata.robustness.smoothing.votes.AT_ONCE", 3)
    assert Votes(model, x, Gaussian(0.5)).count([0, 2, 3], [203, 0, 77]).tolist() == whole.tolist()
