"""Probes: what is measured while the members are trained, on their weights as they are at that moment.

Memory is bounded: samples are evaluated in chunks such that all activations of all members in a chunk fit a
byte budget. Cost: one forward pass over the probe's samples for each member and measuring time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lemmata.errors import InvalidInput, UnknownName
from lemmata.training.ensemble import Ensemble
from lemmata.training.epochs import Epochs, log_epochs
from lemmata.training.losses import METRICS, check_targets

Metric = str | Callable[[Tensor, Tensor], Tensor]
BUDGET = 64 * 2**20  # bytes


@dataclass(frozen=True)
class Probe:
    """A metric on a set of samples.

    x (n, ...) and y (n, ...), or (M, n, ...) where members have their own. `metric` is ``"error"``,
    ``"accuracy"``,
    ``"cross_entropy"``, ``"mse"``, or a callable (outputs (n, ...), targets (n, ...)) -> scalar for one
    member, which sees all n outputs at once. `at` says after which epochs: see `lemmata.training.epochs`.

    >>> Probe(torch.zeros(5, 2), torch.zeros(5, dtype=torch.long), metric="error").at(1)
    [1]
    """

    x: Tensor = field(repr=False)
    y: Tensor = field(repr=False)
    metric: Metric = "error"
    at: Epochs = field(default=log_epochs(60), repr=False)

    def __post_init__(self) -> None:
        if not callable(self.metric) and self.metric not in METRICS:
            raise UnknownName("metric", self.metric, METRICS)


@dataclass(frozen=True)
class WeightProbe:
    """A function of the weights: ``function(states) -> (m,)``, states = {name: (m, *shape)} of the m live
    members.

    >>> norm = WeightProbe(lambda states: sum(w.flatten(1).square().sum(1) for w in states.values()).sqrt())
    >>> norm.function({"w": torch.ones(2, 4)})
    tensor([2., 2.])
    """

    function: Callable[[Mapping[str, Tensor]], Tensor] = field(repr=False)
    at: Epochs = field(default=log_epochs(60), repr=False)


class Samples:
    """Samples and targets that are shared by all M members, or that each member has its own of.

    x is per member if its shape begins (M, n); integer labels (n,) are shared, (M, n) per member; float
    targets are shared if they begin (n,) and x is shared or they have no (M, n) beginning.
    """

    def __init__(self, x: Tensor, y: Tensor, members: int, *, name: str):
        if x.ndim < 2 or not x.numel() or not y.numel():
            raise InvalidInput(f"{name}: x has shape {tuple(x.shape)}, y {tuple(y.shape)}; x must be (n, ...), n > 0")
        self.x, self.members, self.name = x, members, name
        sizes = y.shape[:2] if y.is_floating_point() else y.shape[-1:]  # one of them is n
        own = x.ndim > 2 and x.shape[0] == members and x.shape[1] in sizes
        self.x_shared = not own
        self.n = x.shape[1] if own else x.shape[0]
        self.version = 0  # counts how often the targets were replaced
        self.relabel(y)

    def relabel(self, y: Tensor) -> None:
        """Take other targets, shared or per member; labels by shape, floats as the class says."""
        leading = tuple(y.shape[:2])
        if y.is_floating_point():
            own = leading == (self.members, self.n) and not (self.x_shared and y.shape[0] == self.n and y.ndim == 2)
        else:
            own = y.ndim == 2
        if (leading if own else leading[:1]) != ((self.members, self.n) if own else (self.n,)):
            raise InvalidInput(
                f"{self.name}: y has shape {tuple(y.shape)}; for {self.n} samples and {self.members} members it must "
                f"begin ({self.n},) or ({self.members}, {self.n})"
            )
        if y.is_floating_point() and y.ndim == (2 if own else 1):
            y = y[..., None]
        self.y, self.y_shared = y, not own
        self.version += 1

    def slice(self, live: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Samples start to stop: x as (k, ...) if shared, else (m, k, ...); targets always (m, k, ...)."""
        if self.x_shared:
            x = self.x[start:stop]
        else:
            x = self.x[:, start:stop] if len(live) == self.members else self.x[live, start:stop]
        y = (
            self.y[start:stop].expand(len(live), *self.y[start:stop].shape)
            if self.y_shared
            else self.y[live, start:stop]
        )
        return x, y

    def check(self, ensemble: Ensemble, metric: Metric) -> None:
        """Refuse NaN, a wrong dtype or device, and targets that do not fit the outputs of the ensemble."""
        if not self.x.isfinite().all() or not self.y.isfinite().all():
            raise InvalidInput(f"{self.name}: the data hold NaN or infinity; remove or replace those samples")
        if (self.x.dtype, self.x.device) != (ensemble.theta.dtype, ensemble.theta.device):
            raise InvalidInput(
                f"{self.name}: x is {self.x.dtype} on {self.x.device}, the models are {ensemble.theta.dtype} on "
                f"{ensemble.theta.device}; convert one of them with .to(...)"
            )
        x = self.x[:1] if self.x_shared else self.x[:, :1]
        with torch.no_grad():
            try:
                outputs = ensemble(x, shared=self.x_shared)
            except RuntimeError as error:
                shape = tuple(self.x.shape[1 if self.x_shared else 2 :])
                raise InvalidInput(f"{self.name}: the model refuses a sample of shape {shape}: {error}") from error
        self._outputs = outputs
        self.check_targets(metric)

    def check_targets(self, metric: Metric) -> None:
        """Refuse targets that do not fit the outputs seen by `check`."""
        kind = "cross_entropy" if metric in ("error", "accuracy") else metric
        y = self.y[None] if self.y_shared else self.y
        check_targets(self._outputs, y, kind, self.name)


@torch.no_grad()
def measure(
    ensemble: Ensemble, samples: Samples, live: Tensor, metrics: Sequence[Metric], *, budget: int = BUDGET
) -> list[Tensor]:
    """Evaluate metrics for the members of `ensemble`, which are the members `live` of the samples: (m,) float64 each.

    The outputs are computed once for all metrics; they are kept, (m, n, ...), only where a metric is a callable.
    """
    chunk = max(1, budget // (len(ensemble) * sample_bytes(ensemble, samples)))
    totals = torch.zeros(len(metrics), len(ensemble), dtype=torch.float64, device=samples.x.device)
    whole = []
    for start in range(0, samples.n, chunk):
        x, y = samples.slice(live, start, min(start + chunk, samples.n))
        outputs = ensemble(x, shared=samples.x_shared)
        for total, metric in zip(totals, metrics, strict=True):
            if not callable(metric):
                total.add_(METRICS[metric](outputs, y).sum(1, dtype=torch.float64))
        if any(callable(metric) for metric in metrics):
            whole.append(outputs)
    for total, metric in zip(totals, metrics, strict=True):
        if callable(metric):
            _, y = samples.slice(live, 0, samples.n)
            total.copy_(samples.n * torch.vmap(metric)(torch.cat(whole, 1), y))
    return list((totals / samples.n).cpu())


def sample_bytes(ensemble: Ensemble, samples: Samples) -> int:
    """Bytes of all activations of one member for one sample (each leaf module's output, and the input)."""
    if "sample_bytes" not in vars(ensemble.template):
        x = samples.x[:1] if samples.x_shared else samples.x[0, :1]
        sizes = [x.numel()]
        leaves = [module for module in ensemble.template.modules() if not list(module.children())]
        hooks = [leaf.register_forward_hook(lambda *call: sizes.append(_numel(call[-1]))) for leaf in leaves]
        mode = ensemble.template.training
        with torch.no_grad():
            ensemble.template.eval()(x)
        ensemble.template.train(mode)
        for hook in hooks:
            hook.remove()
        ensemble.template.sample_bytes = sum(sizes) * x.element_size()  # type: ignore[assignment]
    return ensemble.template.sample_bytes  # type: ignore[return-value]


def _numel(output: object) -> int:
    return output.numel() if isinstance(output, Tensor) else 0
