"""Refuses classifiers whose answer for an image depends on the images beside it, or on chance.

A certificate speaks of a function f of one image. Batch normalisation in training mode, for one, makes f depend on the
batch, and then the votes are those of no function at all: a certificate from such votes says nothing, though nothing
looks wrong. So a few noisy images are classified together, together once more, and alone; where the answers differ by
more than rounding, the first module that gave different answers to the same input is named.

Rounding is judged class by class, against how much the logit of that class varies from row to row: a mask of -1e9 on
other classes, or an offset common to all, hides nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from lemmata.errors import InvalidInput


def require_function(model: nn.Module, rows: Tensor, *, classes: int | None = None) -> Tensor:
    """Give the logits (k, C) of a few `rows` (k, ...), if each is a function of its own row alone.

    Cost: three passes over the rows. Raises `InvalidInput` for a model in training mode that has layers which differ
    there, for answers that are not logits (k, classes), and for those that depend on the batch or on chance. Logits of
    -inf, as masks give them, are taken; rows that have NaN, or no finite logit, are left to who counts votes.
    """
    for name, module in model.named_modules():
        if module.training and (
            (isinstance(module, _DropoutNd) and module.p > 0)
            or isinstance(module, nn.RReLU)
            or (isinstance(module, _NormBase) and not isinstance(module, nn.modules.instancenorm._InstanceNorm))
        ):
            raise InvalidInput(
                f"the layer {_named(name, module)} is in training mode, where it makes the class of an image depend on "
                "the batch or on chance; call model.eval() first"
            )
    together = logits(model, rows, classes=classes)
    if not same_logits(together, logits(model, rows)):
        raise InvalidInput(_accusation("by chance", _culprit(model, rows, rows), "the same images, given twice"))
    for i, one in enumerate(rows.split(1)):
        if not same_logits(together, logits(model, one), row=i):
            culprit = _culprit(model, rows, one, i)
            raise InvalidInput(_accusation("on its batch", culprit, "an image alone, and among others"))
    return together


def logits(model: nn.Module, rows: Tensor, *, classes: int | None = None) -> Tensor:
    """Give what the model answers if it has the form of logits: floating-point (rows, classes), two classes or more."""
    try:
        with torch.no_grad():
            found: Any = model(rows)
    except InvalidInput:
        raise
    except Exception as error:  # whatever a stranger's forward may raise
        raise failure(error, rows) from error
    if not isinstance(found, Tensor):
        raise InvalidInput(
            f"the model gives a {type(found).__name__}; a classifier gives logits, one tensor (rows, classes): wrap it "
            "in a module that gives that part"
        )
    if found.ndim != 2 or len(found) != len(rows) or found.shape[1] < 2 or not found.is_floating_point():
        raise InvalidInput(
            f"the model gives {found.dtype} {tuple(found.shape)} for {len(rows)} images; a classifier gives "
            "floating-point logits (rows, classes), with a column for each of two classes or more"
        )
    if found.layout != torch.strided or found.is_meta:
        raise InvalidInput(
            f"the model gives a tensor of layout {found.layout} on {found.device}; a classifier gives dense logits "
            "that hold numbers: call .to_dense() on them"
        )
    if classes is not None and found.shape[1] != classes:
        raise InvalidInput(
            f"the model gives {found.shape[1]} logits an image, but classes = {classes}; give the one or none"
        )
    return found


def failure(error: Exception, rows: Tensor) -> InvalidInput:
    """What to say of a model that raises on `rows`: the model's own error, by name."""
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    shape = tuple(rows.shape[1:])
    return InvalidInput(f"the model fails on images of shape {shape} in {rows.dtype}, {len(rows)} at once: {said}")


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors differ by no more than rounding does: a root of the precision, of the largest entry."""
    scale = max(float(a.abs().max()), float(b.abs().max())) if a.numel() else 0.0
    return bool(((a - b).abs() <= torch.finfo(a.dtype).eps ** 0.5 * scale).all())


def same_logits(a: Tensor, b: Tensor, *, row: int | None = None, share: float | None = None) -> bool:
    """Whether logits b are a (k, C), or the row `row` of a, to rounding; rows with NaN or none finite are left out.

    A logit may differ by a `share`, sqrt(eps) of the precision eps by default, of how much its class varies over the
    rows of a, and by 64 eps (the share, if that is less) of the class's largest logit or of the largest winning one.
    An infinite logit must be the same.

    >>> a = torch.tensor([[1.0, 2.0, -1e9], [3.0, 1.0, -1e9]])
    >>> same_logits(a, a * (1 + 1e-7)), same_logits(a, a + torch.tensor([0.0, 0.01, 0.0]))
    (True, False)
    """
    eps, known = torch.finfo(a.dtype).eps, a.double()
    part = eps**0.5 if share is None else share
    finite = known.isfinite()
    zeroed = torch.where(finite, known, 0.0)
    winning = torch.where(finite, known, -torch.inf).amax(1)
    winning = winning[winning.isfinite()].abs().amax() if winning.isfinite().any() else known.new_zeros(())
    # the largest less the least of the finite logits of each class; one row alone varies by nothing
    least, most = (torch.where(finite, known, end).aminmax(dim=0)[k] for k, end in enumerate((torch.inf, -torch.inf)))
    varies = torch.where(finite.any(0), most - least, 0.0)
    size = torch.maximum(zeroed.abs().amax(0), winning)
    allowed = part * varies + min(64 * eps, part) * size
    one, other = (known if row is None else known[row : row + 1]), b.double()
    left_out = one.isnan().any(1) | other.isnan().any(1) | ~one.isfinite().any(1) | ~other.isfinite().any(1)
    alike = (one == other) | ((one - other).abs() <= allowed)
    return bool((alike.all(1) | left_out).all())


def _accusation(how: str, culprit: str, what: str) -> str:
    return (
        f"the model's answer depends {how}: {what}, get different logits. The first layer to differ is {culprit}; "
        "batch normalisation and dropout do so in training mode. A certificate needs a function of one image"
    )


def _culprit(model: nn.Module, rows: Tensor, others: Tensor, place: int | None = None) -> str:
    """The first leaf that answered the same input differently for row `place` of `rows` (all, if None) and `others`."""
    part = slice(None) if place is None else slice(place, place + 1)
    for (name, *one), (_, *two) in zip(_traced(model, rows), _traced(model, others), strict=False):
        given, found = ((a[part] if len(a) == len(rows) else a, b) for a, b in zip(one, two, strict=True))
        alike = given[0].shape == given[1].shape and found[0].shape == found[1].shape
        if alike and close(*given) and not close(*found):
            return name
    return "none of its submodules but its own forward"


def _traced(model: nn.Module, rows: Tensor) -> list[tuple[str, Tensor, Tensor]]:
    """Name, input and answer of each leaf, in the order of execution."""
    seen: list[tuple[str, Tensor, Tensor]] = []

    def note(name: str, module: nn.Module) -> Any:
        def hook(_module: nn.Module, given: tuple[Any, ...], found: Any) -> None:
            if given and isinstance(given[0], Tensor) and isinstance(found, Tensor) and found.is_floating_point():
                seen.append((_named(name, module), given[0].detach().clone(), found.detach().clone()))

        return module.register_forward_hook(hook)

    leaves = [(name, module) for name, module in model.named_modules() if not list(module.children())]
    hooks = [note(name, module) for name, module in leaves]
    try:
        logits(model, rows)
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _named(name: str, module: nn.Module) -> str:
    return f"{name!r} ({type(module).__name__})" if name else type(module).__name__
