"""A network's linearisation at its own parameters, as a module that trains like any other.

    f_lin(x; w) = f(x; w_0) + J(x) (w - w_0)

by one forward-mode derivative (jvp). Its parameters have the network's own values and names (below ``network``), so
that any loop, optimiser and probe works on it; w_0 is kept in buffers. The network is held in evaluation mode.

Cost: a forward pass about 2 to 3 of the network's, a gradient 3 to 4. For the squared error, full batches and few
samples the closed form (`LinearisedTraining`) is cheaper by orders of magnitude.
"""

from __future__ import annotations

import copy
from typing import Self

from torch import Tensor, nn
from torch.func import functional_call, jvp

from lemmata.errors import InvalidInput
from lemmata.given import require_model, require_tensor
from lemmata.objective import load_forward_mode


class FromStart(nn.Module):
    """A copy of a network that knows where its parameters started: `network`, with w_0 in the buffers ``start_i``.

    Parameters that require no gradient are constants of both.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        load_forward_mode()
        self.network = copy.deepcopy(require_model(model)).eval()
        self.names = [name for name, p in self.network.named_parameters() if p.requires_grad]
        if not self.names:
            raise InvalidInput("the model has no parameter that requires a gradient, so there is nothing to linearise")
        for place, name in enumerate(self.names):
            self.register_buffer(f"start_{place}", self.network.get_parameter(name).detach().clone())

    @property
    def start(self) -> dict[str, Tensor]:
        """The parameters w_0 at the start, by the network's own names."""
        return {name: self.get_buffer(f"start_{place}") for place, name in enumerate(self.names)}

    def now(self) -> dict[str, Tensor]:
        """The parameters w as they are, by the network's own names."""
        own = dict(self.network.named_parameters())
        return {name: own[name] for name in self.names}

    def at(self, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        """The network's outputs at other parameters."""
        return require_tensor(functional_call(self.network, parameters, (x,)), "the model's outputs")

    def train(self, mode: bool = True) -> Self:
        """Keep the network in evaluation mode: its linearisation is at one function, without batch statistics."""
        super().train(mode)
        self.network.eval()
        return self


class LinearisedModel(FromStart):
    """The linearisation of a network at the parameters it had when this was made."""

    def forward(self, x: Tensor) -> Tensor:
        """f(x; w_0) + J(x) (w - w_0), of the network's output shape."""
        start, now = self.start, self.now()
        moved = {name: now[name] - start[name] for name in self.names}
        value, change = jvp(lambda theta: self.at(theta, x), (start,), (moved,))[:2]
        return value + change


def linearise(model: nn.Module) -> LinearisedModel:
    """Linearise a model at its own parameters; the model stays as it is. Raises `InvalidInput` for none to train.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Tanh())
    >>> linear, x = linearise(model), torch.tensor([[2.0]])
    >>> torch.equal(linear(x), model(x))
    True
    >>> with torch.no_grad():
    ...     w = linear.network[0].weight
    ...     before = w.item()
    ...     shift = w.add_(1.0).item() - before
    >>> slope = 2.0 * (1 - model(x).item() ** 2)                   # d tanh(2 w) / dw
    >>> abs(linear(x).item() - model(x).item() - slope * shift) < 1e-6
    True
    """
    return LinearisedModel(model)
