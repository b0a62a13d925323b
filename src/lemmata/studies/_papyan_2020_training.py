"""Perceptrons trained far beyond zero error, with what collapses on the way: the runs of Papyan and others (2020)."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import data, nets
from lemmata.studies._papyan_2020_collapse import Collapse, collapse
from lemmata.study import Config, Curve, Measurements
from lemmata.training import SGD
from lemmata.training.batches import Batches
from lemmata.training.ensemble import Ensemble
from lemmata.training.perceptron import assemble
from lemmata.training.probes import Samples

DROPS = (1 / 2, 5 / 6)  # shares of the epochs at which the step size falls to a tenth
LOOKS = 40  # measurements, evenly spaced in the logarithm of the epoch
NAMES = ("nc1", "norms", "angles", "rms_cosine", "duality", "nearest")


class Training(Config):
    """One network trained by momentum on the first `classes` classes of a data set."""

    data: Literal["digits", "mnist", "cifar10"] = "digits"
    classes: int = Field(default=10, ge=3, le=10)
    per_class: int = Field(default=100, ge=2, description="training examples of each class")
    labels: Literal["true", "random"] = "true"
    widths: tuple[int, ...] = (128, 128, 64)
    normalised: bool = Field(default=True, description="batch normalisation before each rectifier")
    weight_decay: float = Field(default=5e-3, ge=0)
    lr: float = Field(default=0.05, gt=0)
    batch_size: int = Field(default=100, ge=2)
    epochs: int = Field(default=200, ge=6)


def examples(config: Training) -> tuple[Tensor, Tensor]:
    """As many examples of each class (n, d), pixels in [-0.5, 0.5], and labels (n,), true or permuted."""
    whole = data.load(config.data)
    random = torch.Generator().manual_seed(config.seed)
    order = torch.randperm(len(whole.y), generator=random)
    rows = torch.cat([order[whole.y[order] == k][: config.per_class] for k in range(config.classes)])
    x, y = whole.x[rows].flatten(1), whole.y[rows]
    if config.labels == "random":
        y = y[torch.randperm(len(y), generator=random)]
    return x - 0.5, y


def network(config: Training, inputs: int) -> nn.Sequential:
    """A perceptron, with batch normalisation after each hidden layer if so wished; the last module is ``output``."""
    plain = nets.mlp(inputs, config.widths, config.classes, seed=config.seed)
    if not config.normalised:
        return plain
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name, module in plain.named_children():
        layers[name] = module
        if isinstance(module, nn.Linear) and name != "output":
            layers[f"norm_{name}"] = nn.BatchNorm1d(module.out_features)
    return nn.Sequential(layers)


def run(configs: Sequence[Training]) -> list[Measurements]:
    """Train all networks of a block together; after chosen epochs measure their collapse on the training set."""
    first = configs[0]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    drawn = [examples(config) for config in configs]
    x, y = (torch.stack(part).to(device) for part in zip(*drawn, strict=True))
    ensemble = assemble([network(config, x.shape[2]).to(device) for config in configs], "cross_entropy")
    decay = [config.weight_decay for config in configs]
    rule = SGD(lr=first.lr, momentum=0.9, weight_decay=decay).start(ensemble)
    batches = Batches(Samples(x, y, len(configs), name="training data"), first.batch_size, [c.seed for c in configs])
    at = sorted({round(float(epoch)) for epoch in np.geomspace(1, first.epochs, LOOKS)})
    found, errors, live = [], [], torch.arange(len(configs))
    for epoch in range(1, first.epochs + 1):
        factor = 0.1 ** sum(epoch > share * first.epochs for share in DROPS)
        for own_x, own_y in batches.epoch(live):
            rule.step(ensemble, own_x, own_y, shared=False, factor=factor)
        if epoch in at:
            one, error = measure(ensemble, x, y)
            found.append(one)
            errors.append(error)
    return [measured(np.array(at), found, np.stack(errors)[:, i], i) for i in range(len(configs))]


@torch.no_grad()
def measure(ensemble: Ensemble, x: Tensor, y: Tensor) -> tuple[Collapse, np.ndarray]:
    """Collapse and training errors (M,) of all networks, in evaluation mode."""
    template = ensemble.template.eval()
    assert isinstance(template, nn.Sequential)
    body = template[:-1]

    def features(states: dict[str, Tensor], own: Tensor) -> Tensor:
        return torch.func.functional_call(body, states, (own,))

    states = ensemble.states()
    inner = {name: value for name, value in states.items() if not name.startswith("output.")}
    h = torch.vmap(features)(inner, x)
    weight = states["output.weight"]
    logits = h @ weight.mT + states["output.bias"][:, None]
    return collapse(h, y, weight, logits), (logits.argmax(2) != y).double().mean(1).cpu().numpy()


def measured(at: np.ndarray, found: Sequence[Collapse], error: np.ndarray, i: int) -> Measurements:
    """Each quantity along the epochs, at the end, and since the training error was first zero."""
    curves = {name: np.array([float(getattr(one, name)[i]) for one in found]) for name in NAMES}
    if not all(np.isfinite(values).all() for values in curves.values()):
        return Measurements.of(status="diverged")
    zero = np.flatnonzero(error == 0)
    falls = {}
    if len(zero):
        falls = {
            f"{name}_fall": float(values[-1] / values[zero[0]]) for name, values in curves.items() if name != "nearest"
        }
    return Measurements.of(
        "ok",
        zero_error=float(at[zero[0]]) if len(zero) else np.inf,
        final_error=float(error[-1]),
        **{name: float(values[-1]) for name, values in curves.items()},
        **falls,
        train_error=Curve(at, error),
        **{f"{name}_curve": Curve(at, values) for name, values in curves.items()},
    )
