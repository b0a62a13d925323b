"""The promises of certifiers: lemmata's keep them all, and each is broken once, by a certifier made for it.

Failure probability: a sound certifier fails a class with probability 5e-6 at most (four tests of soundness at 1e-6,
seeds fixed). The unsound ones here are wrong at least 1.6 times as often as allowed, or always.
"""

from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy.stats import norm

from lemmata.bernoulli import clopper_pearson
from lemmata.conformance import CertificateConformance
from lemmata.errors import InvalidInput
from lemmata.robustness import (
    Certificates,
    Laplace,
    Uniform,
    certify,
    certify_by_bounds,
    certify_by_lipschitz,
)


class Door(CertificateConformance):
    """`robustness.certify`, of which the kinds differ by what is asked for."""

    options = ("sigma", "batch")
    images = 400
    asked: ClassVar[dict] = {}

    def certify(self, model, x, seed, **options):
        given = {"sigma": 0.5, "n": 400, "n0": 25, **self.asked, **options}
        return certify(model, x, seed=seed, alpha=self.alpha, **given)


class TestFixed(Door):
    """Cohen's CERTIFY."""


class TestOneRadius(Door):
    """A decision at one radius."""

    distances = (0.5,)
    asked: ClassVar[dict] = {"radii": [0.5], "n": 1000}


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestAlphaOfCohen(Door):
    """The usual alpha, at which the 20,000 images of a test of soundness may hold 45 false ones."""

    images, alpha, distances = 20_000, 0.001, (0.5,)
    asked: ClassVar[dict] = {"radii": [0.5], "n": 400}


class TestRadii(Door):
    """Decisions at three radii."""

    asked: ClassVar[dict] = {"radii": [0.25, 0.5, 1.0], "n": 1000}


class TestTolerance(Door):
    """The radius to within a tolerance."""

    asked: ClassVar[dict] = {"tolerance": 0.1, "n": 1000}


class TestLaplace(Door):
    """Noise of another norm."""

    options, norm, images = ("batch",), "l1", 200

    def certify(self, model, x, seed, **options):
        return certify(model, x, noise=Laplace(0.5), seed=seed, n=200, n0=25, alpha=self.alpha, **options)


class TestUniform(TestLaplace):
    """The other one for l1."""

    def certify(self, model, x, seed, **options):
        return certify(model, x, noise=Uniform(1.0), seed=seed, n=200, n0=25, alpha=self.alpha, **options)


class TestEnsemble(Door):
    """Two networks, whose logits are averaged."""

    images = 200

    def certify(self, model, x, seed, **options):
        return certify([model, model], x, seed=seed, n=200, n0=25, alpha=self.alpha, **{"sigma": 0.5, **options})


class Bounded(CertificateConformance):
    """Bounds that draw nothing, and must never be false."""

    random, images = False, 40

    def certify(self, model, x, seed, **options):
        return certify_by_bounds(model, x, norm=self.norm, clip=None)


class TestBoundsLinf(Bounded):
    norm = "linf"


class TestBoundsL1(Bounded):
    norm = "l1"


class TestBoundsL2(Bounded):
    """Each by CROWN."""


class TestLipschitz(Bounded):
    """A constant of the network in place of its layers."""

    def certify(self, model, x, seed, **options):
        return certify_by_lipschitz(model, x)


def checked(model, x, sigma):
    """What a certifier has to refuse."""
    logits = model(x) if len(x) else None
    if logits is None or not bool(x.isfinite().all()) or not sigma > 0 or model.training:
        raise InvalidInput("bad images, noise or model")
    if logits.shape != (len(x), 2) or not bool(logits.isfinite().all()):
        raise InvalidInput("bad logits")


def hits_of(model, x, sigma, n, generator):
    """Votes (n,) for class 1 on n noisy copies of one image."""
    with torch.no_grad():
        z = x + sigma * torch.randn(n, *x.shape, generator=generator)
        return model(z).argmax(1)


class Sound(CertificateConformance):
    """A few lines that keep every promise: an image at a time, with a generator of its own."""

    n0, n, images = 20, 200, 400
    options = ("sigma",)

    def certify(self, model, x, seed, sigma=0.5):
        checked(model, x, sigma)
        bounds = [self.bound(model, image, sigma, self.generator(seed, i)) for i, image in enumerate(x)]
        prediction, lower = (np.array(part) for part in zip(*bounds, strict=True))
        proven = lower > 0.5
        radius = np.where(proven, sigma * norm.ppf(np.clip(lower, 0.5, None)), 0.0)
        return Certificates(
            torch.tensor(np.where(proven, prediction, -1)), torch.tensor(radius), alpha=self.alpha, seed=seed
        )

    def generator(self, seed, i):
        return torch.Generator().manual_seed(10_000 * seed + i)

    def bound(self, model, image, sigma, generator):
        chosen = int(hits_of(model, image, sigma, self.n0, generator).float().mean() > 0.5)
        hits = (hits_of(model, image, sigma, self.n, generator) == chosen).sum().item()
        return chosen, float(clopper_pearson(hits, self.n, alpha=self.alpha))


def test_a_good_certifier_passes_without_pytest():
    Sound().check()


class NoConfidence(Sound):
    def bound(self, model, image, sigma, generator):
        votes = hits_of(model, image, sigma, self.n, generator)
        return 1, float((votes == 1).double().mean()) * 0.9999


class Reused(Sound):
    """The class is chosen by the votes that are its evidence."""

    images = 3000

    def bound(self, model, image, sigma, generator):
        votes = hits_of(model, image, sigma, self.n, generator)
        chosen = int(votes.float().mean() > 0.5)
        return chosen, float(clopper_pearson((votes == chosen).sum().item(), self.n, alpha=self.alpha))


class Peeks(Sound):
    """The best of five looks, each at the full level."""

    images = 2000

    def bound(self, model, image, sigma, generator):
        votes = hits_of(model, image, sigma, self.n, generator)
        n = np.array([20, 50, 100, 150, 200])
        return 1, float(clopper_pearson(votes.cumsum(0)[n - 1].numpy(), n, alpha=self.alpha).max())


class TwoSided(Sound):
    """Radii of the wrong noise: twice too large."""

    def certify(self, model, x, seed, sigma=0.5):
        found = super().certify(model, x, seed, sigma)
        return Certificates(found.prediction, 2 * found.radius, alpha=self.alpha)


class Never(Sound):
    def bound(self, model, image, sigma, generator):
        return 0, 0.0


class Seedless(Sound):
    def generator(self, seed, i):
        return torch.Generator().manual_seed(i)


class Forgets(Sound):
    """Draws from the global generator."""

    def generator(self, seed, i):
        return None


class OneStream(Sound):
    """Noise goes on from image to image, the last image first."""

    def generator(self, seed, i):
        if i == 0:
            self.stream = torch.Generator().manual_seed(seed)
        return self.stream

    def certify(self, model, x, seed, sigma=0.5):
        found = super().certify(model, x.flip(0), seed, sigma)
        return Certificates(found.prediction.flip(0), found.radius.flip(0), alpha=self.alpha)


class Scribbles(Sound):
    def certify(self, model, x, seed, sigma=0.5):
        found = super().certify(model, x, seed, sigma)
        x.clamp_(0, 1)
        return found


class Trains(Sound):
    def certify(self, model, x, seed, sigma=0.5):
        found = super().certify(model, x, seed, sigma)
        model.train()
        return found


class RadiusOfNothing(Sound):
    def certify(self, model, x, seed, sigma=0.5):
        found = super().certify(model, x, seed, sigma)
        object.__setattr__(found, "radius", found.radius + 0.001)  # Certificates themselves would refuse it
        return found


class SinglePrecision(Sound):
    def certify(self, model, x, seed, sigma=0.5):
        found = super().certify(model, x, seed, sigma)
        return Certificates(found.prediction, found.radius.float(), alpha=self.alpha)


class Batched(TestFixed):
    """The batch changes the noise."""

    def certify(self, model, x, seed, **options):
        return super().certify(model, x, seed + (options.get("batch") == 7), **options)


class TakesAnything(Sound):
    def certify(self, model, x, seed, sigma=0.5):
        x = torch.nan_to_num(x) if len(x) else torch.zeros(1, *self.shape)
        sane = Sound._linear(self)
        return super().certify(sane, x, seed, 0.5)


BROKEN = [
    (NoConfidence, "test_linear_classifier"),
    (NoConfidence, "test_coin"),
    (Reused, "test_coin"),
    (Peeks, "test_coin"),
    (TwoSided, "test_linear_classifier"),
    (Never, "test_constant_classifier"),
    (Seedless, "test_seeds_differ"),
    (Forgets, "test_repeatable"),
    (Forgets, "test_changes_nothing"),
    (OneStream, "test_other_images_do_not_matter"),
    (Scribbles, "test_changes_nothing"),
    (Trains, "test_changes_nothing"),
    (RadiusOfNothing, "test_abstains_with_nothing"),
    (SinglePrecision, "test_gives_certificates"),
    (Batched, "test_batch_does_not_matter"),
    (TakesAnything, "test_refuses_logits_that_are_none"),
    (TakesAnything, "test_refuses_images_that_are_none"),
    (TakesAnything, "test_refuses_models_in_training"),
    (TakesAnything, "test_refuses_noise_that_is_none"),
]


@pytest.mark.parametrize(("certifier", "promise"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_each_promise_can_be_broken(certifier, promise):
    with pytest.raises(AssertionError):
        getattr(certifier(), promise)()


def test_every_promise_is_broken_here_once():
    promises = {name for name in dir(CertificateConformance) if name.startswith("test_")}
    assert promises - {promise for _, promise in BROKEN} == {"test_follows_the_device"}


class Margin(CertificateConformance):
    """No noise at all: the distance itself, of a classifier whose weights are known."""

    random = False
    images = 50

    def certify(self, model, x, seed, **options):
        checked(model, x, 1.0)
        layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
        if not layers:
            return Certificates(torch.ones(len(x), dtype=torch.int64), torch.ones(len(x), dtype=torch.float64))
        logits = model(x).detach().double()
        weight = layers[0].weight.detach().double()
        slope = torch.linalg.vector_norm(weight[1] - weight[0], {"l1": torch.inf, "l2": 2, "linf": 1}[self.norm])
        radius = (logits[:, 1] - logits[:, 0]).abs() / slope
        prediction = torch.where(radius > 0, logits.argmax(1), -1)
        return Certificates(prediction, radius, norm=self.norm, alpha=self.alpha)


@pytest.mark.parametrize("kind", ["l1", "l2", "linf"])
def test_bounds_without_noise_in_every_norm(kind):
    """Images stand at the distance that they should: a certifier that gives just the distance passes, more fails."""
    good = type("Exact", (Margin,), {"norm": kind})
    good().check()

    class Larger(good):
        def certify(self, model, x, seed, **options):
            found = super().certify(model, x, seed, **options)
            return Certificates(found.prediction, 1.01 * found.radius, norm=self.norm, alpha=self.alpha)

    with pytest.raises(AssertionError, match="certified beyond it"):
        Larger().test_linear_classifier()


def test_the_certifier_must_be_given():
    with pytest.raises(NotImplementedError, match="override"):
        CertificateConformance().certify(torch.nn.Flatten(), torch.zeros(1, 2), 0)


def test_a_certifier_that_gives_nothing_is_named():
    class Gives(CertificateConformance):
        def certify(self, model, x, seed, **options):
            return None

    with pytest.raises(AssertionError, match="gave NoneType"):
        Gives().test_gives_certificates()
