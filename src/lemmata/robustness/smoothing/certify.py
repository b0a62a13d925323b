"""Certify by randomised smoothing: of each image the class that noise cannot change, and how far an adversary may go.

    g(x) = the class that f(x + noise) takes most often;   p = its probability;   no x' within R(p) of x changes g

Two streams of noisy copies: n0 choose the class, others, at most n, bound p from below; the noise law turns the bound
into the radius. A certificate is wrong with probability at most alpha, an image. What is asked for decides how many
copies it takes:

    neither radii nor tolerance   all n copies of every image: CERTIFY of Cohen, Rosenfeld, Kolter (2019)
    radii=[r]                     yes or no at r: stops as soon as either is settled, often after a hundredth of n
    radii=[r1, r2, ...]           the same for each in order, all at the level alpha, on the same copies
    tolerance=t                   the radius, as soon as all n copies could not raise it by more than t

Cost: the forward passes of the copies; nothing else shows. Copies of many images share a forward pass.

Where it fails: the certificate is g's, not f's. What is deployed must vote over noise as here (`predict`), in the same
precision. A class with p <= 1/2 is abstained from though g has it, and no radius goes beyond that of n hits of n: 3.8
sigma at n = 100,000. The class is chosen from votes, never from the label. Testing the label's own probability instead
also says something true of g, but certifies nothing that could be deployed, since who has no labels does not know which
class to test; and it spares itself the errors and the copies of the choice, so that its figures cannot be held beside
certified accuracies of classifiers.

Source: Cohen, Rosenfeld, Kolter (2019), Theorem 1 and section 3.2; the stopping, `lemmata.bernoulli`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from lemmata.bernoulli.fixed_sample import FixedSample
from lemmata.bernoulli.procedure import FloatArray, IntArray
from lemmata.errors import InvalidInput, LemmataError
from lemmata.given import require_callable, require_model
from lemmata.robustness.certificates.certificates import ABSTAIN, Certificates
from lemmata.robustness.labels import require_labels
from lemmata.robustness.smoothing.aim import Aim, aim_at, require_copies
from lemmata.robustness.smoothing.certification_log import CertificationLog, Line, digest_of, digests
from lemmata.robustness.smoothing.decided import Decided
from lemmata.robustness.smoothing.noise import Noise, require_noise
from lemmata.robustness.smoothing.sequential import schedule
from lemmata.robustness.smoothing.standing import Standing
from lemmata.robustness.smoothing.votes import Votes

UNKNOWN = -1  # the label of an image whose class is not known, as in a log
BETWEEN_NEWS = 0.4  # seconds, while no image is decided
COLUMNS = ("prediction", "radius", "index", "samples", "hits", "drawn", "seconds")


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a certification. `certificates` are those decided by then, None if there are none.

    The images that are decided first are those that few copies decide: with `radii` or a `tolerance` they are no random
    part of all, and their accuracy says nothing of the others; the name of the certificates says so. Certify the rest
    (a `log` goes on by itself) before you report figures.

    It is a `KeyboardInterrupt`, which a notebook may catch to keep what there is, and which ``except Exception`` lets
    pass. A program that does not catch it ends with status 1, not by the signal SIGINT as Python ends after a plain
    `KeyboardInterrupt`; for a loop of a shell to stop too, catch it and raise a plain one.
    """

    def __init__(self, certificates: Certificates | None, message: str):
        self.certificates = certificates
        super().__init__(message)


class LogNotWritten(LemmataError):
    """A log could not be written, for a full disk, say. `certificates` are those decided by then.

    All of them but the last few are in the log. What is said of the images of an `Interrupted` holds here too.
    """

    def __init__(self, certificates: Certificates | None, message: str):
        self.certificates = certificates
        super().__init__(message)


def certify(
    model: nn.Module | Sequence[nn.Module],
    x: Tensor,
    y: Tensor | None = None,
    *,
    sigma: float | None = None,
    noise: Noise | None = None,
    radii: float | Sequence[float] | None = None,
    tolerance: float | None = None,
    relative: bool = False,
    futility: float = 0.01,
    n: int = 100_000,
    n0: int = 100,
    alpha: float = 0.001,
    seed: int | torch.Generator = 0,
    classes: int | None = None,
    batch: int | None = None,
    memory_format: str = "auto",
    index: Tensor | None = None,
    input_range: tuple[float, float] | None = None,
    name: str | None = None,
    log: str | os.PathLike[str] | None = None,
    progress: Callable[[Standing], object] | None = None,
) -> Certificates:
    """Certify the classes that `model` under noise gives the images x (N, ...), true classes y (N,) where known.

    The noise is Gaussian of standard deviation `sigma`, or any `noise` (`Gaussian`, `Laplace`, `Uniform`), in the units
    of x. At most `n` copies an image are drawn to certify and `n0` to choose its class; each certificate, and all
    decisions at `radii` about one image together, are false with probability at most `alpha`. `tolerance` is a
    distance, or with `relative` a share of the radius. Of images that all n copies would certify, a share of about
    `futility` is given up early: a matter of effort, not of validity. `model` gives logits (rows, classes), or is
    several such models, whose logits are averaged. `batch` and `memory_format`, found by measuring, change the time
    only. `input_range` (low, high) is what the model expects of images without noise, if that is to be checked.

    `index` (N,) are the places of the images in their data set, 0, 1, ... by default; what is drawn depends on `seed`,
    place and copy alone. `log` names a file to which each decided image is appended, flushed to the disk, in the format
    of Cohen's published logs with further columns; the same call goes on where an earlier one ended, and gives the same
    certificates (to the last bit with `batch` and `memory_format` given). `progress` is called after every round that
    decides an image, of about half a second once the first few have told the pace, and about twice a second otherwise
    (``progress=print`` will do). Ctrl-C raises `Interrupted`, a full disk `LogNotWritten`; both carry what was decided.

    Raises `InvalidInput` for images that are empty, of integers, or not finite, labels that do not fit, a configuration
    that can certify nothing (`aim.aim_at`), a log of another certification, and what `Votes` refuses: logits of a
    wrong shape or not finite, a model whose answers depend on the other images of a batch, or on chance.

    >>> model = nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))      # class 0 where x_1 > 0
    >>> x = torch.tensor([[1.0, 5.0], [-0.2, 0.0]])                             # 1 and 0.2 away from the other class
    >>> certify(model, x, torch.tensor([0, 0]), sigma=0.5, radii=[0.1, 0.25, 0.5], n=10_000)
    Certificates(prediction=[0, 1], radius=[0.5, 0.1], label=[0, 0], ...
    """
    law = require_noise(noise, sigma)
    aim = aim_at(law, radii=radii, tolerance=tolerance, relative=relative, n=n, alpha=alpha, futility=futility)
    n0 = require_copies(n0, "n0")
    models = list(model) if isinstance(model, Sequence) else [require_model(model)]
    votes = Votes(
        model, x, law, classes=classes, seed=seed, index=index, batch=batch, memory_format=memory_format,
        input_range=input_range,
    )  # fmt: skip
    if len(np.unique(votes.index)) < len(votes.index):
        raise InvalidInput("index names a place twice; each image has a place of its own, by which its noise is drawn")
    count = len(votes.x)
    labels = np.full(count, UNKNOWN) if y is None else require_labels(y, count, votes.classes).numpy()
    run = _Run(votes, aim, n0, labels, name or _title(models, aim))
    if log is not None:
        asked = {"radii": _plain(aim.radii), "tolerance": tolerance, "relative": relative}
        drawn = {"noise": repr(law), "seed": votes.seed, "n0": n0, "n": n, "alpha": alpha, "futility": futility}
        run.keep(CertificationLog(log, {"model": digest_of(models), **drawn, **asked}))
    return run.finish(None if progress is None else require_callable(progress, "progress"))


class _Run:
    """A certification under way: the line of each image that is decided, by its position in x."""

    def __init__(self, votes: Votes, aim: Aim, n0: int, labels: IntArray, name: str):
        self.votes, self.aim, self.n0, self.labels, self.name = votes, aim, n0, labels, name
        self.lines: dict[int, Line] = {}
        self.digests = [""] * len(labels)
        self.log: CertificationLog | None = None

    def keep(self, log: CertificationLog) -> None:
        """Take what the log has, and write to it from now on."""
        self.log, self.digests = log, digests(self.votes.x)
        known = log.known(self.votes.index.tolist(), self.labels.tolist(), self.digests)
        self.lines = {position: line for position, line in enumerate(known) if line is not None}

    def finish(self, progress: Callable[[Standing], object] | None) -> Certificates:
        """Decide the images that are left."""
        left = np.setdiff1d(np.arange(len(self.labels)), list(self.lines))
        began, copies, before = time.perf_counter(), 0, len(self.lines)
        told = -np.inf
        try:
            for each in schedule(self.votes, self.aim.procedure, left, n0=self.n0) if len(left) else ():
                self._take(each.decided)
                copies += each.rows
                fresh, seconds = len(self.lines) - before, time.perf_counter() - began
                if progress is not None and (len(each.decided) or seconds - told > BETWEEN_NEWS):
                    told = seconds
                    progress(Standing(len(self.lines), len(self.labels), fresh, copies, seconds))
        except KeyboardInterrupt:
            raise Interrupted(self._some(), self._where()) from None
        return self.certificates()

    def _take(self, found: Decided) -> None:
        certified = self.aim.certified(found.lower)
        prediction = np.where(certified, found.prediction, ABSTAIN)
        who, seconds = found.images, self.votes.seconds[found.images].round(6)
        columns = (
            who, self.votes.index[who], self.labels[who], prediction, self.aim.radius(found.lower), seconds,
            found.drawn + self.n0, found.hits, found.drawn,
        )  # fmt: skip
        fresh = {
            position: Line(*rest, image=self.digests[position])
            for position, *rest in zip(*(column.tolist() for column in columns), strict=True)
        }
        self.lines |= fresh
        try:
            if self.log is not None:
                self.log.append(fresh.values())
        except OSError as problem:
            raise LogNotWritten(
                self._some(),
                f"the log could not be written: {problem}; {len(self.lines)} of {len(self.labels)} images are decided, "
                "and carried by this error as `certificates`; make room, and the same call goes on",
            ) from problem

    def certificates(self) -> Certificates:
        """What is decided by now, in the order of the images."""
        lines = [self.lines[position] for position in sorted(self.lines)]

        def column(name: str) -> Tensor:
            values = [getattr(line, name) for line in lines]
            return torch.tensor(values, dtype=torch.float64 if isinstance(values[0], float) else torch.int64)

        aim, law = self.aim, self.aim.noise
        return Certificates(
            **{name: column(name) for name in COLUMNS},
            label=None if (self.labels == UNKNOWN).all() else column("label"),
            radii=None if aim.radii is None else torch.from_numpy(aim.radii), noise=law, norm=law.norm,
            alpha=aim.procedure.alpha, name=self.name, seed=self.votes.seed,
            stopped="fixed" if isinstance(aim.procedure, FixedSample) else "sequential",
        )  # fmt: skip

    def _some(self) -> Certificates | None:
        """What is decided of a certification that is not finished, marked as such."""
        if not self.lines:
            return None
        marked = f"{self.name}, not finished: the {len(self.lines)} of {len(self.labels)} images decided first"
        return replace(self.certificates(), name=marked)

    def _where(self) -> str:
        kept = "the same call goes on" if self.log is not None else "with log='file' the same call would go on"
        return (
            f"{len(self.lines)} of {len(self.labels)} images are decided; {kept}. These are the ones that were decided "
            "first, the easier ones as a rule: their accuracy is not that of all"
        )


def _title(models: Sequence[nn.Module], aim: Aim) -> str:
    """What is certified, for reports and figures."""
    several = f"{len(models)} models of " if len(models) > 1 else ""
    return f"{several}{type(models[0]).__name__} under {aim.noise}"


def _plain(radii: FloatArray | None) -> list[float] | None:
    return None if radii is None else radii.tolist()
