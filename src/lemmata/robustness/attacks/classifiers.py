"""A classifier, or several of one architecture, as a function of rows; and whether its answer is one a row at all.

Parameters are never differentiated: the gradient is asked for by the input alone, so that nothing accumulates in the
model. Several models are stacked and mapped over (`torch.vmap`); rows then say which model they are for.

Refused: a model whose answer for an image depends on the images beside it (batch normalisation in training mode) or on
chance (dropout), by `batch_dependence`; logits of the wrong shape; NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lemmata.errors import InvalidInput
from lemmata.given import require_model
from lemmata.robustness.smoothing.batch_dependence import close, require_function


class Classifiers:
    """M models of one architecture, evaluated on rows: x (B, ...) and the model of each row (B,) to logits (B, C).

    >>> both = Classifiers([nn.Linear(2, 3), nn.Linear(2, 3)])
    >>> both(torch.zeros(3, 2), torch.tensor([0, 1, 1])).shape
    torch.Size([3, 3])
    """

    def __init__(self, models: nn.Module | Sequence[nn.Module]):
        self.several = not isinstance(models, nn.Module)
        self.models = [require_model(model) for model in (models if isinstance(models, Sequence) else [models])]
        if not self.models:
            raise InvalidInput("no model to attack; give one, or a sequence of at least one")
        if any(part.is_inference() for model in self.models for part in model.parameters()):
            raise InvalidInput(
                "the model was made under torch.inference_mode(), where nothing has a gradient; make or load it outside"
            )
        self._stacked = _stacked(self.models) if len(self.models) > 1 else {}

    def __len__(self) -> int:
        return len(self.models)

    def __call__(self, x: Tensor, model: Tensor) -> Tensor:
        """Evaluate each row by its model."""
        if len(self.models) == 1:
            return self.models[0](x)
        counts = torch.bincount(model, minlength=len(self.models))
        order = model.argsort(stable=True)
        place = torch.arange(len(model), device=model.device) - (counts.cumsum(0) - counts)[model[order]]
        padded = x.new_zeros(len(self.models), int(counts.max()), *x.shape[1:])
        padded = padded.index_put((model[order], place), x[order])

        def member(state: dict[str, Tensor], rows: Tensor) -> Tensor:
            return functional_call(self.models[0], state, (rows,))

        logits = torch.vmap(member)(self._stacked, padded)
        return logits[model[order], place][order.argsort()]

    def check(self, x: Tensor) -> None:
        """Refuse models that are no function of one image, and such as are alike in their parameters only."""
        some = x[:2]
        alone = torch.stack([require_function(model, some) for model in self.models])
        if len(self.models) > 1:
            model = torch.arange(len(self), device=x.device).repeat_interleave(len(some))
            with torch.no_grad():
                together = self(some.repeat(len(self), *[1] * (some.ndim - 1)), model)
            if not close(together, alone.flatten(0, 1)):
                raise InvalidInput("the models differ in more than their parameters; attack them one after the other")

    def bytes_of_a_row(self, x: Tensor) -> int:
        """The bytes that a forward pass of one row of x keeps for its backward pass, weights apart."""
        weights = {tensor.untyped_storage().data_ptr() for tensor in self.models[0].state_dict().values()}
        kept: dict[int, int] = {}

        def pack(saved: Tensor) -> Tensor:
            storage = saved.untyped_storage()
            if storage.data_ptr() not in weights:
                kept[storage.data_ptr()] = storage.nbytes()
            return saved

        z = x[:1].detach().clone().requires_grad_()
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
            self.models[0](z)
        return max(sum(kept.values()), z.numel() * z.element_size())


def require_finite(logits: Tensor, first: int = 0) -> None:
    """Refuse logits (n, C) with NaN or infinity; `first` is the index of the first of these images."""
    wrong = ~logits.detach().isfinite().all(1)
    if bool(wrong.any()):
        image = first + int(wrong.nonzero()[0])
        raise InvalidInput(f"the model's logits of image {image} hold NaN or infinity; mend the model or its inputs")


def _stacked(models: Sequence[nn.Module]) -> dict[str, Tensor]:
    states = [dict([*model.named_parameters(), *model.named_buffers()]) for model in models]
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    for i, model in enumerate(models):
        if type(model) is not type(models[0]) or shapes[i] != shapes[0]:
            raise InvalidInput(f"models 0 and {i} differ in architecture; attack them one after the other")
    return {name: torch.stack([state[name].detach() for state in states]) for name in states[0]}
