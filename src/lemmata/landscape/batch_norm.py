"""The statistics of batch normalisation that belong to given weights: those of the data, at these weights.

Running statistics are averages over the training that led to a network. Weights that were not trained (a point between
two networks, a matched or averaged one) have none: with those of another network their loss is that of neither, and
even weights that were trained do not get their own loss back with statistics of a different average. `recomputed` reads
the data at the weights and gives the state with statistics of its own:

    "batches"      in one pass: each layer sees what it saw in training, inputs normalised by their own batch; its
                   statistics are the mean over batches of the batch's mean and (unbiased) variance, weighted by size
    "population"   layer after layer, a pass each: mean and (unbiased) variance of all the data, the layers before being
                   evaluated with their new statistics; it does not depend on how the data are cut into batches

The first is what `torch.optim.swa_utils.update_bn` does where batches are of one size, and what mode connectivity uses
(Garipov et al., 2018, section 4); the second is what a network in evaluation mode needs to be normalised exactly. Cost:
one forward pass over the data, 1/3 gradient, or one a layer.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lemmata.batches import Data, read_batches
from lemmata.errors import UnknownName
from lemmata.landscape.states import Place, State, state_of, template_of

Statistics = Literal["batches", "population"]


def recomputed(
    model: nn.Module,
    state: Place | None,
    data: Data,
    *,
    statistics: Statistics = "batches",
    chunk: int = 1024,
) -> State:
    """Give the state with the running statistics of the data at its weights; the model and the state stay as they are.

    `state` is a model or parameters and buffers by name (what it leaves out, or None, is the model's own). `data` is
    (x, y) or an iterable of such batches; the targets are not used. Batches are of at most `chunk` samples; with
    ``statistics="batches"`` they matter, and each must have two values or more for every channel. Only layers of batch
    normalisation with running statistics are touched, all others are evaluated in evaluation mode. What comes back is
    a copy of the whole state; without such layers it is the state, and nothing is evaluated.

    Nothing is random. Raises `InvalidInput` for a state that does not fit or is not finite.

    >>> model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1)).eval()
    >>> x = torch.tensor([[0.0], [2.0]])
    >>> moved = recomputed(model, {"0.weight": torch.tensor([[3.0]])}, (x, x))
    >>> moved["1.running_mean"].item(), moved["1.running_var"].item(), model[1].running_mean.item()
    (3.0, 18.0, 0.0)
    """
    if statistics not in ("batches", "population"):
        raise UnknownName("statistics", statistics, ("batches", "population"))
    private = template_of(model)
    private.load_state_dict(state_of(model, state or {}))
    norms = normalisations(private)
    if norms:
        batches = [x for x, _ in read_batches(data, chunk)]
        with torch.no_grad():
            if statistics == "batches":
                average_over_batches(private, norms, batches)
            else:
                for norm in _in_order(private, norms, batches[0][:2]):
                    _pool(private, norm, batches)
    return {name: tensor.detach().clone() for name, tensor in private.state_dict().items()}


def normalisations(model: nn.Module) -> list[_BatchNorm]:
    """The layers of batch normalisation that keep running statistics."""
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]


def average_over_batches(private: nn.Module, norms: list[_BatchNorm], batches: list[Tensor]) -> None:
    """Average the batches' statistics, in place, weighted by size: a running mean of momentum n_b / (n_1 + ... + n_b).

    The momentum of the first batch is 1: nothing is left of what was there, unless that is not finite.
    """
    seen = dict.fromkeys(norms, 0)

    def weigh(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:  # before each call: a layer may have several
        seen[norm] += len(inputs[0])  # type: ignore[index]
        norm.momentum = len(inputs[0]) / seen[norm]  # type: ignore[index]

    momenta = [norm.momentum for norm in norms]
    hooks = [norm.register_forward_pre_hook(weigh) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    try:
        for x in batches:
            private(x)
    finally:
        for hook, norm, momentum in zip(hooks, norms, momenta, strict=True):
            hook.remove()
            norm.momentum = momentum
            norm.eval()


def _in_order(private: nn.Module, norms: list[_BatchNorm], x: Tensor) -> list[_BatchNorm]:
    """The layers in the order in which they are first called; those that are not called are left out."""
    order: list[_BatchNorm] = []

    def note(norm: nn.Module, *_: object) -> None:
        if norm not in order:
            order.append(norm)  # type: ignore[arg-type]

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    private(x)
    for hook in hooks:
        hook.remove()
    return order


def _pool(private: nn.Module, norm: _BatchNorm, batches: list[Tensor]) -> None:
    """Set one layer's statistics to mean and variance of all its inputs, in float64 (Chan's update of the moments)."""
    count, mean, squares = 0, None, None

    def read(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal count, mean, squares
        z = inputs[0].detach().transpose(0, 1).flatten(1).double()  # (channels, values)
        n, own = z.shape[1], z.mean(1)
        spread = (z - own[:, None]).square().sum(1)
        if mean is None or squares is None:
            count, mean, squares = n, own, spread
            return
        total, gap = count + n, own - mean
        squares = squares + spread + gap.square() * (count * n / total)
        mean, count = mean + gap * (n / total), total

    hook = norm.register_forward_pre_hook(read)
    try:
        for x in batches:
            private(x)
    finally:
        hook.remove()
    if mean is None or squares is None or norm.running_mean is None or norm.running_var is None:
        return
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(squares / max(count - 1, 1))
