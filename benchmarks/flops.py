"""How much work a product or a trace is by its matrix products alone: the limit below which nobody comes by arithmetic.

Let F be the operations of a forward pass and F_1 those of the first layer, whose inputs need no derivative. Forward
has one product a layer, W x; the gradient adds d x^T and W^T d; the Hessian product, where all of these are kept, adds
to each of the three the derivative of either factor.

    gradient            3 (F - F_1) + 2 F_1
    Hessian product     6 (F - F_1) + 2 F_1
    exact trace         F + (C - 1) (F - F_1)             C classes; dense layers (norms from activations and slopes)
                        F + (C - 1) (2 (F - F_1) + F_1)   convolutions, whose slopes by weights are formed

All limits are given in gradients. Networks so small that calling costs more than computing can come below them, since
a gradient is slow there; batches of vectors then share the calls.
"""

from torch import Tensor, nn

from networks import Network


def forward(network: Network) -> float:
    """The operations of a forward pass of the network's batch."""
    return _forward(network)[0]


def product(network: Network) -> float:
    """A product with the Hessian whose graph is kept, in gradients."""
    total, first = _forward(network)
    return (6 * (total - first) + 2 * first) / _gradient(network)


def trace(network: Network, classes: int = 10) -> float:
    """The exact trace of a piecewise-linear network, in gradients."""
    total, first = _forward(network)
    convolves = any(isinstance(module, nn.Conv2d) for module in network.model.modules())
    backward = 2 * (total - first) + first if convolves else total - first
    return (total + (classes - 1) * backward) / _gradient(network)


def _gradient(network: Network) -> float:
    total, first = _forward(network)
    return 3 * (total - first) + 2 * first


def _forward(network: Network) -> tuple[float, float]:
    """Operations of the forward pass of one batch: of all layers, and of the first."""
    counts: list[float] = []

    def count(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        counts.append(2.0 * output.numel() * module.weight[0].numel())

    layers = [m for m in network.model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    network.forward()
    for hook in hooks:
        hook.remove()
    return sum(counts), counts[0]
