"""The promises of any instrument, a test each."""

import math
from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor, nn

from lemmata.conformance.comparing import equal, fingerprint, flat, generators, require
from lemmata.conformance.promises import Promises
from lemmata.errors import LemmataError
from lemmata.objective import Loss, Objective, Subject
from lemmata.phantoms import PHANTOMS, Phantom


class InstrumentConformance(Promises):
    """The promises of any instrument. Override `instrument`; the rest has defaults."""

    loss: Loss = "cross_entropy"
    subset: tuple[str, ...] = ("output",)  # parameters to restrict the objective to
    tolerance: float = 1e-8  # relative: rounding in float64, or what the instrument's own tolerance leaves
    tolerance32: float = 1e-3  # relative, float32 against float64
    repeats: float = 0.0  # relative, two runs of one seed: above 0 where the fastest of several ways is taken

    def instrument(self, subject: Subject) -> Any:
        """Measure; to be overridden. Whatever is random is drawn from one fixed seed."""
        raise NotImplementedError("override `instrument(self, subject)` with a call of the instrument to be tested")

    def values(self, result: Any) -> Tensor:
        """Everything of the result that is compared between two runs, as one vector."""
        return flat(result.value)

    def truth(self, phantom: Phantom) -> Any:
        """What the instrument should give on a phantom; None where it is not known."""
        return None

    def model(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """The network measured: a linear layer, batch normalisation, ReLU, and a linear layer called ``output``."""
        draw = torch.Generator().manual_seed(1)
        model = nn.Sequential()
        model.add_module("hidden", nn.Linear(4, 4))
        model.add_module("norm", nn.BatchNorm1d(4))
        model.add_module("relu", nn.ReLU())
        model.add_module("output", nn.Linear(4, 3))
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if tensor.is_floating_point():
                    drawn = torch.randn(tensor.shape, generator=draw)
                    tensor.copy_(1 + 0.2 * drawn.abs() if name.startswith("norm") else 0.7 * drawn)
        return model.to(dtype).eval()

    def data(self, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
        """The samples: 24 Gaussian inputs (24, 4) with labels 0, 1, 2."""
        draw = torch.Generator().manual_seed(2)
        return torch.randn(24, 4, generator=draw).to(dtype), torch.randint(3, (24,), generator=draw)

    # ---- the promises ------------------------------------------------------------------------------------------------

    def test_takes_an_objective_or_what_it_is_made_of(self) -> None:
        """An `Objective`, and (model, loss, data), give the same."""
        parts = self._measure((self.model(), self.loss, self.data()))
        self._same(self._measure(self._objective()), parts, self.repeats, "an Objective and (model, loss, data) differ")

    def test_same_seed_same_answer(self) -> None:
        """Twice the same: to the bit, unless `repeats` grants rounding."""
        subject = self._objective()
        self._same(self._measure(subject), self._measure(subject), self.repeats, "two runs with one seed differ")

    def test_changes_nothing_of_the_model(self) -> None:
        """Parameters, buffers, gradients, flags and hooks stay; so do tensors of the data and the random generators."""
        model, (x, y) = self.model(), self.data()
        next(model.parameters()).requires_grad_(False)
        for p in model.parameters():
            p.grad = torch.full_like(p, 0.5)
        model.register_forward_hook(lambda *_: None)
        before, drawn = fingerprint(model, x, y), generators()
        self._measure((model, self.loss, (x, y)))
        for what, value in fingerprint(model, x, y).items():
            require(equal(before[what], value), f"the instrument changed {what}")
        require(equal(drawn, generators()), "the instrument drew from a global random generator")

    def test_changes_nothing_of_the_objective(self) -> None:
        """An objective that was measured is what it was: parameters, batches, the mode of its model."""
        objective = self._objective()
        x, y = objective.batches[0]
        before = fingerprint(objective.model, x, y)
        names = list(objective.names)
        self._measure(objective)
        for what, value in fingerprint(objective.model, x, y).items():
            require(equal(before[what], value), f"the instrument changed {what} of the objective")
        require(names == objective.names, "the instrument changed the objective's parameters")

    def test_one_batch_or_several(self) -> None:
        """The mean over the data does not depend on how they are cut, or who cuts them."""
        x, y = self.data()
        whole = self._measure(self._objective())
        pieces = self._measure(self._objective(chunk=7))
        loader = self._measure((self.model(), self.loss, list(zip(x.split(10), y.split(10), strict=True))))
        self._same(pieces, whole, self.tolerance, "chunks of 7 samples differ from all at once")
        self._same(loader, whole, self.tolerance, "batches of 10 samples differ from all at once")

    def test_float32_is_close_to_float64(self) -> None:
        """In single precision the same, to its rounding."""
        double, single = (
            self._measure((self.model(dtype), self.loss, self.data(dtype))) for dtype in (torch.float64, torch.float32)
        )
        self._same(single, double, self.tolerance32, "float32 differs from float64")

    def test_works_on_some_of_the_parameters(self) -> None:
        """A block: finite, and not what the whole gives."""
        whole, block = self._objective(), self._objective(parameters=list(self.subset))
        part, restricted = self._measure(block), self._measure(whole.restricted(list(self.subset)))
        require(bool(part.isfinite().all()), "on a subset of the parameters the result is not finite")
        self._same(restricted, part, self.tolerance, "a restricted objective differs from one made of the subset")
        everything = self._measure(whole)
        moved = len(part) != len(everything) or not torch.allclose(part, everything, rtol=1e-9, atol=0)
        require(moved, "a subset of the parameters gives what all give: is `parameters` heeded?")

    def test_works_without_recording_gradients(self) -> None:
        """Under `torch.no_grad()` the same, and what comes back needs no gradient."""
        usual = self._measure(self._objective())
        with torch.no_grad():
            quiet = self._measure(self._objective())
        self._same(quiet, usual, self.tolerance, "under torch.no_grad() the result differs")
        require(not usual.requires_grad, "the result records gradients; detach it")

    def test_refuses_empty_data(self) -> None:
        """No samples, no answer."""
        x, y = self.data()
        self._refuses((self.model(), self.loss, (x[:0], y[:0])), "empty data")
        self._refuses((self.model(), self.loss, []), "a loader without batches")

    def test_refuses_parameters_that_are_no_numbers(self) -> None:
        """NaN in, an error out: by way of the model, and of an objective moved to such a state."""
        broken = self.model()
        name, parameter = next(iter(broken.named_parameters()))
        with torch.no_grad():
            parameter.view(-1)[0] = math.nan
        self._refuses((broken, self.loss, self.data()), f"NaN in {name!r}")
        try:
            moved = self._objective().at(broken.state_dict())
        except LemmataError:
            return
        self._refuses(moved, f"NaN in {name!r} of an objective's state")

    def test_refuses_a_mode_left_open(self) -> None:
        """A model in training mode with batch normalisation or dropout: which function is meant has to be said."""
        self._refuses((self.model().train(), self.loss, self.data()), "batch normalisation in training mode")
        dropping = nn.Sequential(nn.Dropout(0.5), self.model()).train()
        dropping[1].eval()
        self._refuses((dropping, self.loss, self.data()), "dropout in training mode")

    def test_refuses_what_is_no_subject(self) -> None:
        """A model alone is not enough."""
        self._refuses(self.model(), "a model without loss and data")  # type: ignore[arg-type]

    def test_follows_the_device(self) -> None:
        """On a GPU the same, to rounding; skipped where there is none."""
        if not torch.cuda.is_available():
            raise SkipTest("no CUDA device")
        x, y = (part.cuda() for part in self.data())
        result = self._measure((self.model().cuda(), self.loss, (x, y)))
        here = self._measure(self._objective())
        self._same(result, here, max(self.tolerance, 1e-6), "on the GPU the result differs")

    def test_gives_the_truth_on_phantoms(self) -> None:
        """Where `truth` knows the answer: equal to `tolerance`, or within six standard errors."""
        phantoms = [build() for build in PHANTOMS.values()]
        known = [(phantom, truth) for phantom in phantoms if (truth := self.truth(phantom)) is not None]
        if not known:
            raise SkipTest("no `truth` is given")
        for phantom, truth in known:
            result = self.instrument(phantom.objective)
            found, wanted = self.values(result).double().cpu(), flat(truth).double()
            error = flat(getattr(result, "stderr", 0.0)).double().cpu()
            allowed = self.tolerance * wanted.abs().max().clamp(min=1e-3) + 6 * error
            require(found.shape == wanted.shape, f"{phantom.name}: {len(found)} values, but {len(wanted)} are known")
            off = (found - wanted).abs()
            worst = int((off - allowed).argmax())
            told = f"{float(found[worst]):.9g} instead of {float(wanted[worst]):.9g}"
            require(bool((off <= allowed).all()), f"{phantom.name}: {told}, {float(off[worst]):.3g} off")

    # ---- what the tests are made of ----------------------------------------------------------------------------------

    def _objective(self, **options: Any) -> Objective:
        return Objective(self.model(), loss=self.loss, data=self.data(), **options)

    def _measure(self, subject: Subject) -> Tensor:
        return self.values(self.instrument(subject))

    def _same(self, found: Tensor, wanted: Tensor, tolerance: float, what: str) -> None:
        require(found.shape == wanted.shape, f"{what}: {len(found)} values against {len(wanted)}")
        found, wanted = found.double().cpu(), wanted.double().cpu()
        off = float((found - wanted).norm())
        size = float(wanted.norm())
        require(off <= tolerance * size, f"{what}: by {off:.3g}, where the result has size {size:.3g}")

    def _refuses(self, subject: Subject, what: str) -> None:
        try:
            result = self.instrument(subject)
        except LemmataError:
            return
        raise AssertionError(f"{what} should be refused with a LemmataError; the instrument gave {result!r:.200}")
