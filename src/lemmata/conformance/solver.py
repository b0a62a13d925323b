"""What every solver of a regression promises, as a test class: run it on lemmata's solvers, or on one of your own.

    class TestMyRidge(LeastSquaresConformance):
        ridge = 0.1

        def solve(self, x, y, ridge):
            return my_ridge(x, y, ridge)

A solver takes samples x (n, p) and targets y, and gives a result with its solution, a certificate (how far from
optimal it is, as a number that can be computed again), its cost, its history and a figure. It changes nothing of the
user's, gives the same for the same seed, follows type and device, and refuses what has no answer or not only one.

`SolverConformance` is for any solver; `LeastSquaresConformance` knows the truth of |A x - b|^2 + ridge |x|^2, and
computes the certificate afresh. Each runs the solver some twenty times on 24 samples of 4 features.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal
from unittest import SkipTest

import torch
from torch import Tensor

from lemmata.conformance.comparing import equal, flat, generators, require
from lemmata.conformance.promises import Promises
from lemmata.errors import LemmataError
from lemmata.estimate import NotConverged

CERTIFICATES = ("normal_residual", "gradient_norm", "residual")


class SolverConformance(Promises):
    """The promises of any solver of a regression. Override `solve`; the rest has defaults."""

    ridge: float = 0.1
    labels: bool = False  # targets are classes 0, 1, 2, and no real numbers
    tolerance: float = 1e-6  # relative: what the solver's own tolerance leaves
    tolerance32: float = 1e-2  # relative, float32 against float64
    repeats: float = 0.0  # relative, two runs with one seed
    singular: Literal["refused", "minimum norm", ""] = ""  # what is done where the answer is not unique
    needs_history: bool = True  # False for a direct solver

    def solve(self, x: Tensor, y: Tensor, ridge: float) -> Any:
        """Solve; to be overridden. Whatever is random is drawn from one fixed seed.

        A solver without a ridge passes over the argument, and sets `ridge` to 0.
        """
        raise NotImplementedError("override `solve(self, x, y, ridge)` with a call of the solver to be tested")

    def values(self, result: Any) -> Tensor:
        """Everything of the result that is compared between two runs, as one vector."""
        return flat(result.x)

    def certificate(self, result: Any) -> float:
        """How far from optimal the result says that it is."""
        named = [name for name in CERTIFICATES if hasattr(result, name)]
        require(bool(named), f"the result has none of {CERTIFICATES}; override `certificate`")
        return float(getattr(result, named[0]))

    def recomputed(self, result: Any, x: Tensor, y: Tensor, ridge: float) -> float | None:
        """The certificate as it should be, from the solution alone; None where it is not known."""
        return None

    def truth(self, x: Tensor, y: Tensor, ridge: float) -> Any:
        """What the solver should give; None where it is not known."""
        return None

    def data(self, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
        """The samples: 24 Gaussian inputs (24, 4), and noisy linear targets (24, 2), or labels (24,) of 3 classes."""
        draw = torch.Generator().manual_seed(3)
        x, w = torch.randn(24, 4, generator=draw, dtype=torch.float64), torch.randn(4, 3, generator=draw).double()
        y = x @ w + torch.randn(24, 3, generator=draw)
        return x.to(dtype), y.argmax(1) if self.labels else y[:, :2].to(dtype).contiguous()

    # ---- the promises ------------------------------------------------------------------------------------------------

    def test_same_seed_same_answer(self) -> None:
        """Twice the same: to the bit, unless `repeats` grants rounding."""
        self._same(
            self._values(*self.data()), self._values(*self.data()), self.repeats, "two runs with one seed differ"
        )

    def test_changes_nothing(self) -> None:
        """The data stay, to the bit and with their gradients and flags; so do the global random generators."""
        x, y = self.data()
        before, drawn = (x.clone(), y.clone()), generators()
        self.solve(x, y, self.ridge)
        require(equal((x, y), before), "the solver changed the data")
        require(x.grad is None and not x.requires_grad, "the solver left a gradient on the data")
        require(equal(drawn, generators()), "the solver drew from a global random generator")

    def test_works_without_recording_gradients(self) -> None:
        """Under `torch.no_grad()` the same, and what comes back needs no gradient even where the data do."""
        x, y = self.data()
        usual = self._values(x, y)
        with torch.no_grad():
            self._same(self._values(x, y), usual, self.tolerance, "under torch.no_grad() the result differs")
        watched = self._values(x.clone().requires_grad_(), y)
        require(not watched.requires_grad, "the result records gradients; detach it")
        self._same(watched, usual, self.tolerance, "data that require a gradient change the result")

    def test_layout_in_memory_does_not_matter(self) -> None:
        """Transposed and strided tensors give what contiguous ones give."""
        x, y = self.data()
        wide = torch.stack([x, torch.full_like(x, math.nan)], -1)[..., 0]
        for other in (x.T.contiguous().T, wide):
            self._same(self._values(other, y), self._values(x, y), self.tolerance, "another layout differs")

    def test_float32_is_close_to_float64(self) -> None:
        """In single precision the same, to its rounding, or a refusal that carries what there was."""
        double, (x, y) = self._values(*self.data()), self.data(torch.float32)
        try:
            single = self._values(x, y)
        except NotConverged as stopped:
            single = self.values(stopped.best)
        self._same(single, double, self.tolerance32, "float32 differs from float64")

    def test_follows_the_device(self) -> None:
        """On a GPU the same, to rounding, and the solution lies there; skipped where there is none."""
        if not torch.cuda.is_available():
            raise SkipTest("no CUDA device")
        x, y = (part.cuda() for part in self.data())
        found = self._values(x, y)
        require(found.device.type == "cuda", f"data on the GPU, and the solution on {found.device}")
        self._same(found, self._values(*self.data()), max(self.tolerance, 1e-6), "on the GPU the result differs")

    def test_result_has_a_certificate_cost_and_history(self) -> None:
        """A certificate that is finite and not negative, a positive cost, a history, and a figure with labels."""
        x, y = self.data()
        result = self.solve(x, y, self.ridge)
        certificate = self.certificate(result)
        require(math.isfinite(certificate) and certificate >= 0, f"the certificate is {certificate}")
        cost = getattr(result, "cost", None)
        require(isinstance(cost, int | float) and math.isfinite(cost) and cost > 0, f"the cost is {cost}")
        require(not self.needs_history or bool(_length(getattr(result, "history", ()))), "the result has no history")
        figure = result.plot()
        require(all(panel.x.label and panel.y.label for panel in figure.panels), "a panel has an axis without label")
        try:
            result.cost = 0.0
        except (AttributeError, TypeError):
            return
        raise AssertionError("the result can be changed; make it a frozen dataclass")

    def test_certificate_is_true(self) -> None:
        """What the result says of itself is found again from the solution; skipped where `recomputed` is not given."""
        x, y = self.data()
        result = self.solve(x, y, self.ridge)
        again = self.recomputed(result, x, y, self.ridge)
        if again is None:
            raise SkipTest("no `recomputed` is given")
        said, scale = self.certificate(result), float(x.norm() * flat(y).double().norm())
        require(
            abs(said - again) <= 0.01 * again + 1e-12 * scale, f"the certificate says {said:.3g}; it is {again:.3g}"
        )

    def test_gives_the_truth(self) -> None:
        """Where `truth` knows the answer: equal to `tolerance`."""
        x, y = self.data()
        wanted = self.truth(x, y, self.ridge)
        if wanted is None:
            raise SkipTest("no `truth` is given")
        self._same(self._values(x, y), flat(wanted), self.tolerance, "the solution is wrong")

    def test_refuses_numbers_that_are_none(self) -> None:
        """NaN and infinity in the data."""
        x, y = self.data()
        for value in (math.nan, math.inf):
            broken = x.clone()
            broken[3, 1] = value
            self._refuses(broken, y, self.ridge, f"{value} among the features")
            if not self.labels:
                targets = y.clone()
                targets[2] = value
                self._refuses(x, targets, self.ridge, f"{value} among the targets")

    def test_refuses_shapes_that_do_not_fit(self) -> None:
        """No samples, no features, samples without target, features that are no matrix."""
        x, y = self.data()
        self._refuses(x[:0], y[:0], self.ridge, "empty data")
        self._refuses(x[:, :0], y, self.ridge, "data without features")
        self._refuses(x, y[:-1], self.ridge, "fewer targets than samples")
        self._refuses(x[:, None, :, None], y, self.ridge, "features of four dimensions")

    def test_refuses_a_ridge_that_is_none(self) -> None:
        """A negative ridge, or NaN; skipped where the solver has no ridge."""
        if self.ridge == 0:
            raise SkipTest("the solver has no ridge")
        for ridge in (-0.5, math.nan, math.inf):
            self._refuses(*self.data(), ridge, f"ridge {ridge}")

    def test_refuses_labels_that_are_none(self) -> None:
        """A class below zero, and fractions; skipped where targets are numbers."""
        if not self.labels:
            raise SkipTest("targets are no labels")
        x, y = self.data()
        self._refuses(x, y - 1, self.ridge, "a label below zero")
        self._refuses(x, y + 0.5, self.ridge, "labels that are fractions")

    def test_says_where_the_answer_is_not_unique(self) -> None:
        """A repeated feature and no ridge: an error, or the solution of least norm, not marked `unique`."""
        if not self.singular:
            raise SkipTest("`singular` is not set: the solver's answer is always unique")
        x, y = self.data()
        twice = torch.cat([x, x[:, :1]], 1)
        if self.singular == "refused":
            self._refuses(twice, y, 0.0, "a singular system")
            return
        result = self.solve(twice, y, 0.0)
        require(not getattr(result, "unique", True), "a solution out of many is marked `unique`")
        self._same(self.values(result), flat(torch.linalg.pinv(twice) @ y), self.tolerance, "not of least norm")

    # ---- what the tests are made of ----------------------------------------------------------------------------------

    def _values(self, x: Tensor, y: Tensor) -> Tensor:
        return self.values(self.solve(x, y, self.ridge))

    def _same(self, found: Tensor, wanted: Tensor, tolerance: float, what: str) -> None:
        require(found.shape == wanted.shape, f"{what}: {len(found)} values against {len(wanted)}")
        off, size = float((found.double().cpu() - wanted.double().cpu()).norm()), float(wanted.double().norm())
        require(off <= tolerance * size, f"{what}: by {off:.3g}, where the result has size {size:.3g}")

    def _refuses(self, x: Tensor, y: Tensor, ridge: float, what: str) -> None:
        try:
            result = self.solve(x, y, ridge)
        except LemmataError:
            return
        raise AssertionError(f"{what} should be refused with a LemmataError; the solver gave {result!r:.200}")


class LeastSquaresConformance(SolverConformance):
    """The promises of a solver of min |A x - b|^2 + ridge |x|^2, whose truth and certificate are known."""

    def truth(self, x: Tensor, y: Tensor, ridge: float) -> Any:
        """The solution by a dense factorisation of [A; sqrt(ridge) I], in float64."""
        x, y = x.double(), y.double()
        eye = math.sqrt(ridge) * torch.eye(x.shape[1], dtype=torch.float64)
        stacked = torch.cat([y, y.new_zeros(x.shape[1], *y.shape[1:])])
        return torch.linalg.lstsq(torch.cat([x, eye]), stacked, driver="gelsd").solution

    def recomputed(self, result: Any, x: Tensor, y: Tensor, ridge: float) -> float | None:
        """The residual of the normal equations, the largest over columns of |A^T(b - A x) - ridge x| / |A^T b|."""
        solution = self.values(result).double().reshape(x.shape[1], -1)
        x, y = x.double(), y.double().reshape(len(y), -1)
        return float(((x.T @ (y - x @ solution) - ridge * solution).norm(dim=0) / (x.T @ y).norm(dim=0)).max())


def _length(history: Any) -> int:
    """How many entries a history has: a sequence, an array, or a dataclass of them."""
    if isinstance(history, Sequence | Tensor) or hasattr(history, "__len__"):
        return len(history)
    return max((_length(part) for part in vars(history).values() if hasattr(part, "__len__")), default=0)
