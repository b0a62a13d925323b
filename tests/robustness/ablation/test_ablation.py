"""Certificates by ablation against every perturbation of tiny images, with smoothed classifiers known exactly."""

from fractions import Fraction
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.robustness.ablation import (
    RandomAblation,
    ablate,
    ablation_distance,
    band_votes,
    certified_sides,
    certify_by_ablation,
    certify_patch,
    encode,
)
from lemmata.robustness.ablation.bands import kept_pixels
from lemmata.robustness.ablation.encoding import largest
from lemmata.robustness.smoothing.noise import Gaussian


class Lookup(nn.Module):
    """A base classifier as wild as can be: the class of an encoded image is a hash of what is seen."""

    def __init__(self, seed, classes=3, lean=0.0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = torch.randn(2 * 9, 7, generator=generator).double() * 5
        self.classes, self.lean = classes, lean

    def forward(self, x):
        wild = torch.sin(x.double().flatten(1) @ self.weight).sum(1) * 1e3
        bright = x[:, 0].sum((1, 2)).double() - x[:, 1].sum((1, 2))
        c = torch.where((wild - wild.floor()) < self.lean, (bright > 0).long(), wild.floor().long() % self.classes)
        return nn.functional.one_hot(c, self.classes).float()


def exact_probabilities(model, image, keep):
    """The smoothed classifier's probabilities, by all subsets: Fractions."""
    d = image.shape[1] * image.shape[2]
    masks = torch.zeros(comb(d, keep), d, dtype=torch.bool)
    for row, subset in enumerate(combinations(range(d), keep)):
        masks[row, list(subset)] = True
    kept = masks.reshape(-1, *image.shape[1:])
    votes = model(encode(image[None].expand(len(kept), -1, -1, -1), kept)).argmax(1)
    return [Fraction(int((votes == c).sum()), len(votes)) for c in range(3)]


@pytest.mark.parametrize(("d", "keep"), [(9, 3), (784, 45), (3072, 75), (5, 5)])
def test_the_distance_is_that_of_exact_rationals(d, keep):
    for changed in range(0, d + 1, max(1, d // 9)):
        exact = 1 - Fraction(comb(d - changed, keep), comb(d, keep))
        found = ablation_distance(d, keep, changed)
        assert exact <= Fraction(found) or exact == 0
        assert abs(Fraction(found) - exact) <= Fraction(1, 10**15)


def test_the_radius_of_eight_pixels_on_mnist():
    # 8 pixels is what Levine and Feizi (2020a), abstract, certify for half of MNIST
    law = RandomAblation(keep=45, pixels=784)
    threshold = float(law.threshold(8.0))
    assert threshold == pytest.approx(0.5 + 1 - comb(776, 45) / comb(784, 45), rel=1e-6)
    assert float(law.radius(threshold + 1e-6)) == 8
    assert float(law.radius(threshold - 1e-6)) == 7


@settings(max_examples=60, deadline=None)
@given(d=st.integers(2, 900), share=st.floats(0.001, 1.0), p=st.floats(0.5, 1.0))
def test_the_radius_is_the_largest_that_the_theorem_gives(d, share, p):
    keep = max(1, int(share * d))
    law = RandomAblation(keep=keep, pixels=d)
    radius = int(law.radius(p))

    def holds(r):
        return Fraction(p) - (1 - Fraction(comb(d - r, keep), comb(d, keep))) > Fraction(1, 2)

    assert radius == 0 or holds(radius)
    if radius < d:  # the next is not certified, unless by less than the ties of scores and rounding
        slack = Fraction(p) - (1 - Fraction(comb(d - radius - 1, keep), comb(d, keep))) - Fraction(1, 2)
        assert slack <= Fraction(d**2, 2**47)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("keep", [1, 2])
def test_no_certificate_is_false_on_any_perturbation(seed, keep):
    # 3 x 3 images; at the exact probabilities, all changes of one pixel to 5 values, and of two to 3
    model = Lookup(seed, lean=0.97)
    image = (torch.rand(1, 3, 3, generator=torch.Generator().manual_seed(seed)) > 0.3).float()
    p = exact_probabilities(model, image, keep)
    first = int(np.argmax(p))
    radius = int(RandomAblation(keep=keep, pixels=9).radius(float(p[first]) * (1 - 1e-15)))
    assert radius >= 1 or float(p[first]) < 0.74  # so that something is tested
    for changed, values in ((1, (0, 0.25, 0.5, 0.75, 1)), (2, (0, 0.5, 1))):
        if radius < changed:
            continue
        for places in combinations(range(9), changed):
            for value in product(values, repeat=changed):
                other = image.clone()
                other.view(-1)[list(places)] = torch.tensor(value, dtype=other.dtype)
                q = exact_probabilities(model, other, keep)
                assert int(np.argmax(q)) == first
                assert all(c == first or q[first] > q[c] for c in range(3))


def test_the_theorem_is_tight():
    # a classifier that gives class 0 unless it sees a changed pixel loses exactly Delta
    image, other = torch.zeros(1, 3, 3), torch.zeros(1, 3, 3)
    other.view(-1)[[2, 5]] = 1.0

    class Seen(nn.Module):
        def forward(self, x):
            return nn.functional.one_hot((x[:, 0].sum((1, 2)) > 0).long(), 3).float()

    before, after = (exact_probabilities(Seen(), each, 3)[0] for each in (image, other))
    assert before == 1
    assert before - after == 1 - Fraction(comb(7, 3), comb(9, 3))


def test_random_subsets_are_even():
    # each of the 36 pairs of 9 pixels equally often: chi-squared on 36,000 draws; fails by chance at 1e-6 (seed fixed)
    from scipy.stats import chisquare

    kept = ablate(torch.ones(36_000, 1, 3, 3), 2, seed=3)[:, 0].flatten(1)
    codes = (kept.double() @ (2.0 ** torch.arange(9)).double()).long()
    counts = codes.bincount()
    assert int((counts > 0).sum()) == 36
    assert chisquare(counts[counts > 0].numpy()).pvalue > 1e-6


def test_the_door_certifies_what_the_exact_probability_allows():
    model = Lookup(0, lean=0.995)
    x = torch.ones(2, 1, 3, 3)
    x[1, 0, 0, 0] = 0
    found = certify_by_ablation(model, x, torch.tensor([1, 1]), keep=1, n=20_000, alpha=1e-4, seed=1)
    assert found.norm == "l0"
    law = RandomAblation(keep=1, pixels=9)
    for i in range(2):
        p = exact_probabilities(model, x[i], 1)
        assert int(found.prediction[i]) == int(np.argmax(p))
        # Clopper and Pearson's bound is below p with probability 1 - alpha, and above p - 0.02 (5 standard deviations)
        assert float(law.radius(float(max(p)) - 0.02)) <= float(found.radius[i]) <= float(law.radius(float(max(p))))
        assert abs(float(found.hits[i] / found.drawn[i]) - float(max(p))) < 0.02
    few = certify_by_ablation(model, x, keep=1, n=20_000, radii=[1.0, 2.0], seed=1)
    assert (few.samples < found.samples).all()


def test_encoding_tells_missing_from_black():
    x = torch.tensor([[[[0.0, 1.0], [0.25, 0.0]]]])
    kept = torch.tensor([[[True, True], [False, False]]])
    assert encode(x, kept)[0].tolist() == [[[0, 1], [0, 0]], [[1, 0], [0, 0]]]
    scores = torch.rand(4, 5, 5).double()
    assert largest(scores, 7).flatten(1).sum(1).tolist() == [7] * 4


@pytest.mark.parametrize("kind", ["columns", "rows", "blocks"])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_patch_meets_no_more_bands_than_the_count(kind, size):
    masks = kept_pixels(6, 7, size=size, kind=kind)
    assert len(masks) == {"columns": 7, "rows": 6, "blocks": 42}[kind]
    for m in (1, 2, 3):
        most = (m + size - 1) ** 2 if kind == "blocks" else m + size - 1
        met = [int(masks[:, i : i + m, j : j + m].flatten(1).any(1).sum()) for i in range(7 - m) for j in range(8 - m)]
        assert max(met) == min(most, len(masks))


@pytest.mark.parametrize("kind", ["columns", "rows", "blocks"])
@pytest.mark.parametrize("threshold", [None, 0.4])
def test_no_patch_breaks_a_certificate(kind, threshold):
    # 3 x 3 images of 0 and 1: every patch of the certified sides, at every place, with every content
    certified = 0
    for seed in range(12):
        model = Lookup(seed, lean=0.9)
        image = (
            torch.ones(1, 1, 3, 3)
            if seed % 2
            else (torch.rand(1, 1, 3, 3, generator=torch.Generator().manual_seed(seed)) > 0.1).float()
        )
        found = certify_patch(model, image, size=1, kind=kind, threshold=threshold)
        for m in range(1, int(found.radius[0]) + 1):
            certified += 1
            contents = torch.tensor(list(product((0.0, 1.0), repeat=m * m))).reshape(-1, m, m)
            others = []
            for i, j in product(range(4 - m), repeat=2):
                other = image.expand(len(contents), -1, -1, -1).clone()
                other[:, 0, i : i + m, j : j + m] = contents
                others.append(other)
            votes = band_votes(model, torch.cat(others), size=1, kind=kind, threshold=threshold)
            assert (votes.argmax(1) == found.prediction[0]).all()
    assert certified >= 3


def test_votes_are_those_of_a_plain_loop():
    model = Lookup(4)
    x = torch.rand(3, 1, 3, 3)
    votes = band_votes(model, x, size=2, kind="columns", batch=4)
    for i in range(3):
        counts = [0, 0, 0]
        for start in range(3):
            kept = torch.zeros(1, 3, 3, dtype=torch.bool)
            for column in (start, (start + 1) % 3):
                kept[:, :, column] = True
            counts[int(model(encode(x[i : i + 1], kept)).argmax())] += 1
        assert votes[i].tolist() == counts


def test_ties_go_to_the_smaller_index_and_are_paid_for():
    # 4 against 2: margin 2 allows m = 1 (Delta 1) only if the rival loses ties
    assert certified_sides(torch.tensor([[4, 2]]), size=1, kind="columns", most=3).tolist() == [1]
    assert certified_sides(torch.tensor([[2, 4]]), size=1, kind="columns", most=3).tolist() == [0]
    assert certified_sides(torch.tensor([[3, 3]]), size=1, kind="columns", most=3).tolist() == [0]
    # bands of 3 columns: 2 (m + 2) <= 10; blocks of 2 x 2: 2 (m + 1)^2 <= 20
    assert certified_sides(torch.tensor([[10, 0]]), size=3, kind="columns", most=9).tolist() == [3]
    assert certified_sides(torch.tensor([[20, 0]]), size=2, kind="blocks", most=9).tolist() == [2]


def test_bad_input_is_refused():
    model, x = Lookup(0), torch.linspace(0, 1, 18).reshape(2, 1, 3, 3)
    for call in (certify_patch, lambda m, x, size: certify_by_ablation(m, x, keep=size, n=100)):
        for images in (x * 2, x - 0.1, x * float("nan"), x[0], (x * 255).long()):
            with pytest.raises(InvalidInput, match=r"\[0, 1\]|images \(N, C, H, W\)"):
                call(model, images, size=2)
        with pytest.raises(InvalidInput, match="= 0"):
            call(model, x, size=0)
        with pytest.raises(InvalidInput, match="= 10"):
            call(model, x, size=10)
    with pytest.raises(UnknownName, match="columns"):
        certify_patch(model, x, size=1, kind="column")
    with pytest.raises(InvalidInput, match="probability"):
        certify_patch(model, x, size=1, threshold=0.0)
    norm = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(18), nn.Linear(18, 2))
    for call in (certify_patch, lambda m, x, size: certify_by_ablation(m, x, keep=size, n=100)):
        with pytest.raises(InvalidInput, match="training mode"):
            call(norm, x, size=2)
    with pytest.raises(InvalidInput, match="half precision"):
        certify_by_ablation(nn.Linear(2, 2).bfloat16(), x, keep=2)
    with pytest.raises(InvalidInput, match="keep fewer"):
        RandomAblation(keep=45, pixels=784).threshold(100.0)
    with pytest.raises(InvalidInput, match="NaN logits"):
        certify_patch(nn.Sequential(nn.Flatten(), _NaN()), x, size=1)


class _NaN(nn.Module):
    def forward(self, x):
        return torch.where(x[:, :2] > 0.99999, torch.nan, x[:, :2]) if len(x) == 4 else x[:, :2] * torch.nan


Y = torch.tensor([0, 1])
VOTES = torch.tensor([[9, 1]])
REFUSED = [
    *((lambda x, y=y: certify_patch(Lookup(0), x, y, size=1), "labels y") for y in (Y + 10, Y - 20, Y.float(), [0, 1])),
    *((lambda x, n=n: certify_patch(Lookup(0), x, size=1, batch=n), f"batch = {n!r}") for n in (0, -1, 1.5, True)),
    *((lambda x, k=k: RandomAblation(keep=k, pixels=5), f"keep = {k!r}") for k in (0, 6, "a", 1.5)),
    *((lambda x, d=d: RandomAblation(keep=1, pixels=d), f"pixels = {d!r}") for d in (0, "a", 2.5)),
    (lambda x: ablation_distance(64, 10, -1), "changed = -1"),
    (lambda x: ablation_distance(64, 10, 65), "changed = 65 of 64"),
    (lambda x: ablation_distance(64, 65, 1), "keep = 65 of 64"),
    (lambda x: ablation_distance(64, 1.5, 1), "keep = 1.5"),
    (lambda x: certified_sides(VOTES, size=0, kind="rows", most=3), "size = 0"),
    (lambda x: certified_sides(VOTES, size=1, kind="rows", most=0), "most = 0"),
    (lambda x: certified_sides(VOTES - 8.5, size=1, kind="rows", most=3), "counts: torch.float32"),
    (lambda x: certified_sides(-VOTES, size=1, kind="rows", most=3), "counts: torch.int64"),
    (lambda x: encode(x, torch.ones(3, 3, dtype=torch.bool)), r"kept: torch.bool of shape \(3, 3\)"),
    (lambda x: encode(x, torch.ones(2, 3, 1, dtype=torch.bool)), "kept: "),
    (lambda x: encode(x, torch.ones(2, 3, 3)), "kept: torch.float32"),
    *((lambda x, r=r: certify_by_ablation(Lookup(0), x, keep=2, radii=r), "no number of pixels") for r in (
        [0.5], [0.5, 0.7], 0.5, [-1], [float("nan")], torch.tensor([1.0, 1.5]),
    )),
    (lambda x: certify_by_ablation(Lookup(0), x, keep=2, radii=["a"]), "radii = 'a'"),
    (lambda x: certify_by_ablation(Lookup(0), x, keep=2, noise=Gaussian(0.5)), "noise = Gaussian.*leave it out"),
    (lambda x: certify_by_ablation(Lookup(0), x, keep=2, sigma=0.5), "sigma = 0.5; .*leave it out"),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(REFUSED)))
def test_refused_with_what_was_wrong(place):
    call, words = REFUSED[place]
    with pytest.raises(InvalidInput, match=words):
        call(torch.rand(2, 1, 3, 3, generator=torch.Generator().manual_seed(0)))


def test_labels_are_kept():
    found = certify_patch(Lookup(0), torch.ones(2, 1, 3, 3), Y, size=1)
    assert found.label is not None
    assert found.label.equal(Y)
    with pytest.raises(UnknownName, match="known: blocks, columns, rows"):
        certified_sides(VOTES, size=1, kind="x", most=3)
