"""What every kernel promises, as a test class: run it on lemmata's kernels, or on one of your own.

    class TestMyKernel(KernelConformance):
        def kernel(self, x, z=None):
            return my_kernel(x, z)

A kernel takes samples x (n, ...) and z (m, ...), by default x again, and gives k(x_i, z_j) as a tensor (n, m) or as a
`KernelMatrix`. It is symmetric and positive semidefinite, does not care how samples are ordered or cut into blocks,
changes nothing of the user's, follows type and device, works under `torch.no_grad`, and refuses what it has no answer
for. Positive semidefinite means, in floating point, that no eigenvalue of k(x) is below -`slack` times the rounding
unit times the largest one: rounding the entries of a true Gram matrix moves its eigenvalues by no more than n/2
rounding units of the largest one. It is asked of samples with near-duplicates, in float64 and in float32.

The class runs the kernel some forty times on 12 samples; override `samples` where it takes images. This tests
promises, not truth: for that override `truth`.
"""

import math
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor

from lemmata.conformance.comparing import equal, flat, generators, require
from lemmata.conformance.promises import Promises
from lemmata.errors import LemmataError


class KernelConformance(Promises):
    """The promises of any kernel. Override `kernel`; the rest has defaults."""

    tolerance: float = 1e-10  # relative to the largest entry: rounding in float64
    tolerance32: float = 1e-4  # relative to the largest entry, float32 against float64
    slack: float = 100.0  # how far below zero an eigenvalue may be, in rounding units of the largest one
    repeats: float = 0.0  # relative, two runs: above 0 where threads add up in any order, or draws are not fixed

    def kernel(self, x: Tensor, z: Tensor | None = None) -> Any:
        """Compute k(x, z), or k(x) where z is None; to be overridden. A model is to be in the samples' dtype."""
        raise NotImplementedError("override `kernel(self, x, z=None)` with a call of the kernel to be tested")

    def values(self, result: Any) -> Tensor:
        """The matrix (n, m) of a result: itself if it is a tensor, its `values` otherwise."""
        return result if isinstance(result, Tensor) else result.values

    def truth(self, x: Tensor, z: Tensor) -> Any:
        """What the kernel should give; None where it is not known."""
        return None

    def samples(self, dtype: torch.dtype = torch.float64) -> Tensor:
        """The samples: 12 Gaussian vectors (12, 5); override for images."""
        return torch.randn(12, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64).to(dtype)

    def other(self, x: Tensor) -> Tensor:
        """Samples that x does not go with: a feature fewer in the last axis."""
        return x[..., :-1]

    # ---- the promises ------------------------------------------------------------------------------------------------

    def test_symmetric(self) -> None:
        """k(x) is its own transpose, and finite."""
        values = self._values(self.samples())
        require(bool(values.isfinite().all()), "the kernel is not finite")
        self._same(values, values.mT, self.tolerance, "k(x) is not symmetric")

    def test_with_itself_or_alone(self) -> None:
        """k(x), k(x, x) and k(x, copy of x) are the same."""
        x = self.samples()
        alone = self._values(x)
        self._same(self._values(x, x), alone, self.tolerance, "k(x, x) differs from k(x)")
        self._same(self._values(x, x.clone()), alone, self.tolerance, "k(x, copy of x) differs from k(x)")

    def test_blocks_agree_with_the_whole(self) -> None:
        """k(x[:a], x[a:]), for several a, and k(x[a:b]) are blocks of k(x); k(z, x) is the transpose of k(x, z)."""
        x = self.samples()
        whole, n = self._values(x), len(x)
        for a in (1, n // 3, n - 2):
            upper, lower = self._values(x[:a], x[a:]), self._values(x[a:], x[:a])
            self._same(upper, whole[:a, a:], self.tolerance, f"k(x[:{a}], x[{a}:]) differs from its block of k(x)")
            self._same(lower, upper.mT, self.tolerance, f"k(x[{a}:], x[:{a}]) is not the transpose of the other way")
        a, b = n // 3, n - 1
        self._same(self._values(x[a:b]), whole[a:b, a:b], self.tolerance, f"k(x[{a}:{b}]) differs from its block")

    def test_order_does_not_matter(self) -> None:
        """Permuted samples give the permuted matrix."""
        x = self.samples()
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(5))
        self._same(self._values(x[order]), self._values(x)[order][:, order], self.tolerance, "permuted samples differ")

    def test_one_sample(self) -> None:
        """One sample gives a (1, 1) matrix, with itself and alone; one against many a row."""
        x = self.samples()
        whole = self._values(x)
        for place in (0, len(x) - 1):
            one, here = x[place : place + 1], slice(place, place + 1)
            self._same(self._values(one), whole[here, here], self.tolerance, f"k of sample {place} alone differs")
            self._same(self._values(one, x), whole[here], self.tolerance, f"k of sample {place} with all differs")

    def test_positive_semidefinite(self) -> None:
        """No eigenvalue below -`slack` rounding units of the largest, with equal and nearly equal samples."""
        for dtype in (torch.float64, torch.float32):
            x = self.samples(dtype)
            near = x[:4] * (1 + 1e-3 * torch.linspace(-1, 1, 4, dtype=dtype).reshape(-1, *[1] * (x.ndim - 1)))
            values = self._values(torch.cat([x, x[:2], near])).double()
            found = torch.linalg.eigvalsh((values + values.mT) / 2)
            least, allowed = float(found[0]), self.slack * torch.finfo(dtype).eps * float(found[-1])
            require(least >= -allowed, f"an eigenvalue in {dtype} is {least:.3g}, where {-allowed:.3g} is rounding")

    def test_changes_nothing(self) -> None:
        """The samples stay, to the bit and with their flags; so do the global random generators."""
        x, z = self.samples(), self.samples()[:5]
        before, drawn = (x.clone(), z.clone()), generators()
        self._values(x)
        self._values(x, z)
        require(equal((x, z), before), "the kernel changed the samples")
        require(x.grad is None and not x.requires_grad, "the kernel left a gradient on the samples")
        require(equal(drawn, generators()), "the kernel drew from a global random generator")

    def test_repeatable(self) -> None:
        """Twice the same: to the bit, unless `repeats` grants rounding."""
        x = self.samples()
        self._same(self._values(x), self._values(x), self.repeats, "two runs differ")

    def test_float32_is_close_to_float64(self) -> None:
        """In single precision the same, to its rounding; the dtype is kept in both."""
        x, single = self.samples(), self.samples(torch.float32)
        for z, z32 in ((None, None), (x[:5], single[:5])):
            double, found = self._values(x, z), self._values(single, z32)
            require(double.dtype == torch.float64, f"samples in float64, and the kernel in {double.dtype}")
            require(found.dtype == torch.float32, f"samples in float32, and the kernel in {found.dtype}")
            self._same(found, double, self.tolerance32, "float32 differs from float64")

    def test_works_without_recording_gradients(self) -> None:
        """Under `torch.no_grad()`, and on samples that require a gradient, the same."""
        x = self.samples()
        usual = self._values(x)
        with torch.no_grad():
            self._same(self._values(x), usual, self.tolerance, "under torch.no_grad() the kernel differs")
        watched = self._values(x.clone().requires_grad_()).detach()
        self._same(watched, usual, self.tolerance, "samples that require a gradient change the kernel")

    def test_layout_in_memory_does_not_matter(self) -> None:
        """Transposed and strided samples give what contiguous ones give."""
        x = self.samples()
        wide = torch.stack([x, torch.full_like(x, math.nan)], -1)[..., 0]
        for other in (x.transpose(0, -1).contiguous().transpose(0, -1), wide):
            self._same(self._values(other), self._values(x), self.tolerance, "another layout differs")

    def test_follows_the_device(self) -> None:
        """On a GPU the same, to rounding, and the matrix lies there; skipped where there is none."""
        if not torch.cuda.is_available():
            raise SkipTest("no CUDA device")
        found = self._values(self.samples().cuda())
        require(found.device.type == "cuda", f"samples on the GPU, and the kernel on {found.device}")
        self._same(found, self._values(self.samples()), max(self.tolerance, 1e-6), "on the GPU the kernel differs")

    def test_gives_the_truth(self) -> None:
        """Where `truth` knows the answer: equal to `tolerance`."""
        x = self.samples()
        z = x.flip(0)[:5]
        wanted = self.truth(x, z)
        if wanted is None:
            raise SkipTest("no `truth` is given")
        self._same(self._values(x, z), torch.as_tensor(wanted), self.tolerance, "the kernel is wrong")

    def test_refuses_numbers_that_are_none(self) -> None:
        """NaN and infinity, on either side."""
        x = self.samples()
        for value in (math.nan, math.inf):
            broken = x.clone()
            broken[3].view(-1)[-1] = value
            self._refuses(broken, None, f"{value} among the samples x")
            self._refuses(broken, x[:5], f"{value} among the samples x, with z given")
            self._refuses(x[:5], broken, f"{value} among the samples z")

    def test_refuses_shapes_that_do_not_fit(self) -> None:
        """No samples, on either side, and samples of other shapes."""
        x = self.samples()
        self._refuses(x[:0], None, "no samples")
        self._refuses(x[:0], x, "no samples x")
        self._refuses(x, x[:0], "no samples z")
        self._refuses(x, self.other(x), f"samples {tuple(x.shape)} with samples {tuple(self.other(x).shape)}")
        self._refuses(x, x[..., None], f"samples {tuple(x.shape)} with samples {(*x.shape, 1)}")

    # ---- what the tests are made of ----------------------------------------------------------------------------------

    def _values(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        values, shape = self.values(self.kernel(x, z)), (len(x), len(x if z is None else z))
        require(tuple(values.shape) == shape, f"a matrix of shape {tuple(values.shape)}, where {shape} is asked for")
        return values

    def _same(self, found: Tensor, wanted: Tensor, tolerance: float, what: str) -> None:
        require(found.shape == wanted.shape, f"{what}: shape {tuple(found.shape)} against {tuple(wanted.shape)}")
        found, wanted = flat(found.detach()).double().cpu(), flat(wanted.detach()).double().cpu()
        off, size = float((found - wanted).abs().max()), float(wanted.abs().max())
        require(off <= tolerance * size, f"{what}: by {off:.3g}, where the largest entry is {size:.3g}")

    def _refuses(self, x: Tensor, z: Tensor | None, what: str) -> None:
        try:
            result = self.kernel(x, z)
        except LemmataError:
            return
        raise AssertionError(f"{what} should be refused with a LemmataError; the kernel gave {result!r:.200}")
