"""What every certifier of robustness promises, as a test class: run it on lemmata's certifiers, or on one of your own.

    class TestMyCertifier(CertificateConformance):
        options = ("sigma", "batch")

        def certify(self, model, x, seed, **options):
            return my_certify(model, x, seed=seed, alpha=self.alpha, **{"sigma": 0.5, **options})

A certifier takes a model and images x (N, ...) and gives `Certificates`. Above all it must not certify what is false
more often than with probability `alpha`, an image. That is asked where the truth is known and hard to keep to:

    a linear classifier   on either side of a hyperplane: noise that is symmetric leaves it where it is, so that the
                          radius in any norm is the distance; images stand at chosen distances, and more is false
    a coin                an image on the hyperplane: both classes have probability 1/2, and every certificate is false
    a constant            must be certified as what it is

With N images of which a sound certifier gets each wrong with probability at most alpha, independently, the number wrong
exceeds the bound used here with probability at most `error`. The larger alpha is, the fewer images show a violation:
the default asks certifiers to be run at 0.05, where one that is wrong twice as often is found nearly always.

The class certifies some 5,000 images of 16 pixels by linear models. It tests promises, not power: a certifier may
abstain from everything but the constant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from unittest import SkipTest

import torch
from scipy.stats import binom
from torch import Tensor, nn

from lemmata.conformance.comparing import equal, fingerprint, generators, require
from lemmata.conformance.promises import Promises
from lemmata.errors import LemmataError

if TYPE_CHECKING:
    from lemmata.robustness import Certificates

Option = Literal["sigma", "batch"]
BELOW, ABOVE = 0.998, 1.001  # how much nearer than the distance images stand, and what radius is more than rounding off


class CertificateConformance(Promises):
    """The promises of any certifier. Override `certify`; the rest has defaults."""

    alpha: float = 0.05  # with which `certify` is to run
    error: float = 1e-6  # with which a certifier that keeps its promises fails a test of soundness
    images: int = 1000  # in each test of soundness
    distances: tuple[float, ...] = (0.25, 0.5, 1.0)  # at which images stand; where radii are decided, name them here
    norm: str = "l2"  # of the radii: "l1", "l2" or "linf"
    shape: tuple[int, ...] = (1, 4, 4)  # of an image
    options: tuple[Option, ...] = ()  # what `certify` takes beside the seed
    random: bool = True  # False for bounds that draw nothing

    def certify(self, model: nn.Module, x: Tensor, seed: int, **options: Any) -> Certificates:
        """Certify the images x (N, ...); to be overridden. `options` are among those named, and override defaults."""
        raise NotImplementedError("override `certify(self, model, x, seed, **options)` with the certifier to be tested")

    # ---- it certifies nothing that is false --------------------------------------------------------------------------

    def test_linear_classifier(self) -> None:
        """Of images at known distances from a hyperplane, no more than alpha allows get a larger radius or class."""
        for number, distance in enumerate(self.distances):
            model = self._linear()
            sign = torch.where(torch.arange(self.images) % 2 == 0, 1.0, -1.0)
            found = self._certified(model, self._at(BELOW * distance * sign, model), seed=number)
            truth = (sign > 0).long()
            beyond = found.radius.cpu() > ABOVE * BELOW * distance
            wrong = self._claimed(found) & ((found.prediction.cpu() != truth) | beyond)
            self._rare(wrong, f"images {distance:g} away from the other class were certified beyond it")

    def test_coin(self) -> None:
        """On the hyperplane every certificate is false."""
        model = self._linear()
        found = self._certified(model, self._at(torch.zeros(self.images), model), seed=7)
        self._rare(self._claimed(found), "images between two classes were given one")

    def test_constant_classifier(self) -> None:
        """Whatever the image, a constant classifier is certified as its one class, with a radius."""
        found = self._certified(self._constant(), self._images(), seed=0)
        require(bool((found.prediction == 1).all()), f"a classifier that only knows 1 is certified {found.prediction}")
        require(bool((found.radius > 0).all()), f"a constant classifier has the radii {found.radius}")

    # ---- what it gives -----------------------------------------------------------------------------------------------

    def test_gives_certificates(self) -> None:
        """A class or -1, a radius that is a number, of each image; the norm and alpha that were promised."""
        x = self._images()
        found = self._certified(self._linear(), x, seed=0)
        shape, kinds = (len(x),), (found.prediction.dtype, found.radius.dtype)
        require(found.prediction.shape == found.radius.shape == shape, f"certificates of {len(x)} images: {found!r}")
        require(kinds == (torch.int64, torch.float64), f"classes and radii in {kinds}; give int64 and float64")
        require(bool(found.radius.isfinite().all()), f"radii that are no numbers: {found.radius}")
        require(not found.radius.requires_grad, "the radii record gradients")
        require(set(found.prediction.tolist()) <= {-1, 0, 1}, f"classes 0 and 1 are certified {found.prediction}")
        require(found.norm == self.norm, f"certificates in {found.norm}, where {self.norm} is asked for")
        require(found.alpha <= self.alpha or not self.random, f"alpha = {found.alpha}, where {self.alpha} is asked for")

    def test_abstains_with_nothing(self) -> None:
        """Where there is no class there is no radius."""
        model = self._linear()
        for x in (self._images(), self._at(torch.zeros(20), model)):
            found = self._certified(model, x, seed=0)
            left = found.radius[found.prediction < 0]
            require(bool((left == 0).all()), f"images without a class have the radii {left[left != 0]}")

    def test_repeatable(self) -> None:
        """The same seed gives the same certificates, to the bit."""
        x = self._images()
        first, again = (self._certified(self._linear(), x, seed=3) for _ in range(2))
        self._same(again, first, "two runs of one seed differ")

    def test_seeds_differ(self) -> None:
        """Another seed draws other noise: radii, hits or samples of some image differ."""
        if not self.random:
            raise SkipTest("the certifier draws nothing")
        x = self._images()
        first, second = (_numbers(self._certified(self._linear(), x, seed=seed)) for seed in (0, 1))
        require(not equal(first, second), "seeds 0 and 1 give the same certificates; is the seed used?")

    def test_changes_nothing(self) -> None:
        """Images, model and the global random generators are as before."""
        model, x = self._linear(), self._images()
        before, drawn = fingerprint(model, x, torch.zeros(0)), generators()
        self._certified(model, x, seed=0)
        after = fingerprint(model, x, torch.zeros(0))
        changed = [what for what in before if not equal(before[what], after[what])]
        require(not changed, f"the certifier changed {', '.join(changed)}")
        require(equal(drawn, generators()), "the certifier drew from a global random generator, or seeded it")

    def test_other_images_do_not_matter(self) -> None:
        """The first images have the same certificates alone, and beside others."""
        model, x = self._linear(), self._images()
        whole, few = self._certified(model, x, seed=0), 3
        self._same(self._certified(model, x[:few], seed=0), whole, "certificates depend on how many images follow", few)
        beside = self._certified(model, torch.cat([x[:few], -3 * x[few:]]), seed=0)
        self._same(beside, whole, "certificates depend on the images that follow", few)

    def test_follows_the_device(self) -> None:
        """On a GPU, where other noise may be drawn, the constant is certified too; skipped where there is none."""
        if not torch.cuda.is_available():
            raise SkipTest("no CUDA device")
        found = self._certified(self._constant().cuda(), self._images().cuda(), seed=0)
        require(bool((found.prediction == 1).all()), f"on the GPU a classifier that only knows 1 is {found.prediction}")

    def test_batch_does_not_matter(self) -> None:
        """Batches of 7 and of 1,000 give the same certificates."""
        self._takes("batch")
        x = self._images()
        small, large = (self._certified(self._linear(), x, seed=0, batch=batch) for batch in (7, 1000))
        self._same(small, large, "certificates depend on the batch")

    # ---- what it refuses ---------------------------------------------------------------------------------------------

    def test_refuses_logits_that_are_none(self) -> None:
        """NaN, and logits that are not (rows, classes)."""
        x = self._images()
        self._refuses(_Broken(lambda z: z * torch.nan), x, "logits that are NaN")
        self._refuses(_Broken(lambda z: z[:, 0]), x, "logits of shape (rows,)")
        self._refuses(_Broken(lambda z: z[:, :, None]), x, "logits of shape (rows, classes, 1)")
        self._refuses(_Broken(lambda z: z[:1]), x, "one row of logits for several images")

    def test_refuses_images_that_are_none(self) -> None:
        """NaN in an image, and no images."""
        x = self._images()
        self._refuses(self._linear(), x[:0], "no images")
        x[0] = torch.nan
        self._refuses(self._linear(), x, "images with NaN")

    def test_refuses_models_in_training(self) -> None:
        """Batch normalisation over the batch makes an image's class depend on the others; dropout on chance."""
        for layer in (nn.BatchNorm1d(2, affine=False), nn.Dropout(0.5)):
            model = nn.Sequential(self._linear(), layer).train()
            self._refuses(model, self._images(), f"{type(layer).__name__} in training mode")

    def test_refuses_noise_that_is_none(self) -> None:
        """Noise of standard deviation 0, less, or NaN."""
        self._takes("sigma")
        for sigma in (0.0, -0.5, torch.nan):
            self._refuses(self._linear(), self._images(), f"sigma = {sigma}", sigma=sigma)

    # ---- what the tests are made of ----------------------------------------------------------------------------------

    def _linear(self) -> nn.Module:
        """Class 1 where <w, x> > 0, class 0 elsewhere."""
        features = torch.Size(self.shape).numel()
        w = torch.randn(features, generator=torch.Generator().manual_seed(2))
        layer = nn.Linear(features, 2, bias=False)
        with torch.no_grad():
            layer.weight.copy_(torch.stack([-w, w]))
        return nn.Sequential(nn.Flatten(), layer).eval()

    def _constant(self) -> nn.Module:
        """Class 1, always."""
        layer = nn.Linear(torch.Size(self.shape).numel(), 2)
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.copy_(torch.tensor([0.0, 1.0]))
        return nn.Sequential(nn.Flatten(), layer).eval()

    def _at(self, distance: Tensor, model: nn.Module) -> Tensor:
        """Images (N, *shape) at signed distances (N,) from the hyperplane, along the shortest way in the norm."""
        w = model.get_parameter("1.weight")[1].detach()
        if self.norm == "l1":
            way = torch.zeros_like(w)
            way[w.abs().argmax()] = w[w.abs().argmax()].sign()
        else:
            way = w.sign() if self.norm == "linf" else w / w.norm()
        return (distance[:, None] * way).reshape(-1, *self.shape)

    def _images(self) -> Tensor:
        """Eight images at several distances."""
        spread = torch.tensor([1.5, -1.0, 0.6, -0.4, 0.2, -0.1, 0.8, 0.0])
        return self._at(spread * max(self.distances), self._linear())

    def _certified(self, model: nn.Module, x: Tensor, seed: int, **options: Any) -> Certificates:
        found = self.certify(model, x, seed, **options)
        missing = [name for name in ("prediction", "radius", "norm", "alpha") if not hasattr(found, name)]
        require(not missing, f"`certify` gave {type(found).__name__}, which is no Certificates")
        return found

    def _takes(self, option: Option) -> None:
        if option not in self.options:
            raise SkipTest(f"the certifier takes no {option}")

    def _claimed(self, found: Certificates) -> Tensor:
        """Which images were certified: with noise at radius 0 too, since that says what the smoothed class is."""
        return ((found.prediction >= 0) if self.random else (found.radius > 0)).cpu()

    def _rare(self, wrong: Tensor, what: str) -> None:
        count, allowed = int(wrong.sum()), int(binom.isf(self.error, len(wrong), self.alpha if self.random else 0.0))
        told = f"alpha = {self.alpha:g} allows {allowed}" if self.random else "none may be"
        require(count <= max(allowed, 0), f"{count} of {len(wrong)} {what}; {told}")

    def _same(self, found: Certificates, wanted: Certificates, what: str, few: int | None = None) -> None:
        for name, values in _numbers(wanted).items():
            require(equal(_numbers(found)[name][:few], values[:few]), f"{what}: their {name}")

    def _refuses(self, model: nn.Module, x: Tensor, what: str, **options: Any) -> None:
        try:
            found = self.certify(model, x, seed=0, **options)
        except LemmataError:
            return
        raise AssertionError(f"{what} should be refused with a LemmataError; the certifier gave {found!r:.200}")


def _numbers(found: Certificates) -> dict[str, Tensor]:
    """What two certificates are compared by; times differ."""
    named = {name: getattr(found, name) for name in ("prediction", "radius", "hits", "drawn", "samples")}
    return {name: values for name, values in named.items() if values is not None}


class _Broken(nn.Module):
    """Logits that are passed through a function."""

    def __init__(self, change: Any):
        super().__init__()
        self.change = change
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.change(x.flatten(1)[:, :2])
