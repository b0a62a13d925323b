"""Signals and Jacobians by layer, and mean-field fixed points, beside what one writes with hooks, `torch.func`, scipy.

    python benchmarks/propagation.py

writes ``benchmarks/results/propagation.json``. One process, one thread, processor time, medians of turns. The networks
are those of Glorot and Bengio (2010): five hidden layers of tanh units, standard initialisation. The limits count
products: a backward pass is two forward ones, and the singular values of an (m, n) matrix take about
4 m n min(m, n) operations, at the machine's peak in the network's precision. Each side's facts say how far its numbers
are from ours.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from scipy.integrate import dblquad, quad
from scipy.optimize import brentq
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap

import machine
from lemmata import nets
from lemmata.objective import Objective
from lemmata.propagation import input_output_jacobian, layer_jacobians, mean_field, signals
from turns import RESULTS, Row, Side, merge, show

DEPTH, UNITS, INPUTS, CLASSES, SAMPLES = 5, 1000, 1024, 10, 300
JACOBIAN_UNITS, JACOBIAN_SAMPLES = 200, 32


def drawn(units: int, samples: int) -> tuple[nn.Sequential, Tensor, Tensor]:
    """A network and samples for it."""
    random = torch.Generator().manual_seed(0)
    net = nets.mlp(INPUTS, [units] * DEPTH, CLASSES, activation="tanh", seed=0)
    return net, torch.randn(samples, INPUTS, generator=random), torch.randint(CLASSES, (samples,), generator=random)


# ---- signals ---------------------------------------------------------------------------------------------------------


def hooked(net: nn.Sequential, x: Tensor, y: Tensor) -> Tensor:
    """Variances (2, layers) of pre-activations and of their gradients, by hooks and one backward pass."""
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    handles = [module.register_forward_hook(keep) for module in net if isinstance(module, nn.Linear)]
    nn.functional.cross_entropy(net(x), y, reduction="sum").backward()
    for handle in handles:
        handle.remove()
    net.zero_grad()
    return torch.stack([torch.stack([u.var(correction=0), u.grad.var(correction=0)]) for u in kept], 1)  # type: ignore[union-attr]


def hooked_and_by_sample(net: nn.Sequential, x: Tensor, y: Tensor) -> Tensor:
    """The same and, in a third row, variances of the samples' own weight gradients, by `vmap` of `grad`, in chunks."""
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(net, parameters, (x[None],)), y[None])

    names = [name for name in parameters if name.endswith("weight")]
    sums = dict.fromkeys(names, 0.0)
    squares = dict.fromkeys(names, 0.0)
    for xs, ys in zip(x.split(10), y.split(10), strict=True):
        each = vmap(grad(loss), (None, 0, 0))(parameters, xs, ys)
        for name in names:
            sums[name] += float(each[name].double().sum())
            squares[name] += float(each[name].double().square().sum())
    counts = {name: len(x) * parameters[name].numel() for name in names}
    variances = [squares[name] / counts[name] - (sums[name] / counts[name]) ** 2 for name in names]
    return torch.cat([hooked(net, x, y), torch.tensor(variances)[None]])


def signals_row() -> Row:
    net, x, y = drawn(UNITS, SAMPLES)
    found = signals(net, (x, y))
    ours = torch.stack([getattr(found, of).variance for of in ("preactivation", "gradient", "weight_gradient")])

    def deviation(theirs: Tensor) -> dict[str, Any]:
        return {"largest deviation": float((theirs.double() / ours[: len(theirs)] - 1).abs().max())}

    objective = Objective(net, loss="cross_entropy", data=(x, y))
    return Row(
        f"signals of {SAMPLES} samples, {DEPTH} layers of {UNITS}", partial(objective.gradient), "gradients",
        [
            Side("lemmata: with weight gradients by sample and saturation", partial(signals, net, (x, y))),
            Side("hooks: activations and gradients", partial(hooked, net, x, y), deviation),
            Side("hooks, and vmap of grad for weights", partial(hooked_and_by_sample, net, x, y), deviation, turns=1),
        ],
        turns=5, limit=1.0, limit_reason="one gradient",
    )  # fmt: skip


# ---- Jacobians -------------------------------------------------------------------------------------------------------


def layers_by_jacrev(net: nn.Sequential, x: Tensor) -> list[Tensor]:
    """Singular values of every layer's Jacobian at every sample, by reverse mode."""
    found, children = [], list(net)
    for place, module in enumerate(children):
        if isinstance(module, nn.Linear):
            layer = nn.Sequential(*children[place : place + 2])
            found.append(torch.linalg.svdvals(vmap(jacrev(layer))(x)))
            x = layer(x).detach()
    return found


def whole_by_jacobian(net: nn.Sequential, x: Tensor) -> Tensor:
    """Singular values of the network's Jacobian at every sample, by `torch.autograd.functional.jacobian`."""
    jacobian = torch.autograd.functional.jacobian
    return torch.stack([torch.linalg.svdvals(jacobian(net, sample[None]).flatten(0, 1).flatten(1)) for sample in x])


def jacobian_rows(peak: float) -> list[Row]:
    net, x, _ = drawn(JACOBIAN_UNITS, JACOBIAN_SAMPLES)
    layers, whole = layer_jacobians(net, x), input_output_jacobian(net, x)
    forward = partial(_forward, net, x)
    seconds = _seconds(forward)

    def of_layers(theirs: list[Tensor]) -> dict[str, Any]:
        pairs = zip(theirs, layers.values, strict=True)
        return {"largest deviation": max(float((a - b).abs().max() / b.max()) for a, b in pairs)}

    def of_whole(theirs: Tensor) -> dict[str, Any]:
        return {"largest deviation": float((theirs - whole.values).abs().max() / whole.values.max())}

    sizes = [INPUTS, *[JACOBIAN_UNITS] * DEPTH, CLASSES]
    # the last layer has no activation: its singular values are the same at all samples
    svd = [4 * a * b * min(a, b) for a, b in pairwise(sizes[:-1])]
    forwards = f"forward passes of {JACOBIAN_SAMPLES} samples"
    return [
        Row(
            f"singular values of every layer, {DEPTH} of {JACOBIAN_UNITS}", forward, forwards,
            [
                Side("lemmata", partial(layer_jacobians, net, x)),
                Side("vmap of jacrev, layer by layer", partial(layers_by_jacrev, net, x), of_layers),
            ],
            limit=JACOBIAN_SAMPLES * sum(svd) / peak / seconds, limit_reason="singular values at the peak",
        ),
        Row(
            f"singular values from inputs to outputs, {DEPTH} layers of {JACOBIAN_UNITS}", forward, forwards,
            [
                Side("lemmata", partial(input_output_jacobian, net, x)),
                Side("torch's jacobian, a loop over samples", partial(whole_by_jacobian, net, x), of_whole),
            ],
            turns=5, limit=2.0 * CLASSES, limit_reason="a backward pass to the inputs for each output",
        ),
    ]  # fmt: skip


def _forward(net: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        return net(x)


def _seconds(run: Callable[[], Any], count: int = 20) -> float:
    run()
    start = machine.clock()
    for _ in range(count):
        run()
    return (machine.clock() - start) / count


# ---- mean field ------------------------------------------------------------------------------------------------------


def gaussian(g: Callable[[float], float]) -> float:
    """The mean of g(z), z standard normal, by adaptive quadrature."""
    return quad(lambda z: g(z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -math.inf, math.inf, epsabs=1e-12)[0]


def of_pair(q: float, c: float) -> float:
    """The mean of tanh(u) tanh(v), both of variance q with correlation c, by adaptive quadrature."""
    s, r = math.sqrt(q), math.sqrt(1 - c * c)

    def integrand(b: float, a: float) -> float:
        return math.tanh(s * a) * math.tanh(s * (c * a + r * b)) * math.exp(-(a * a + b * b) / 2) / (2 * math.pi)

    return dblquad(integrand, -9, 9, -9, 9, epsabs=1e-9)[0]


def by_quadrature(sw: float, sb: float, *, correlation: bool) -> tuple[float, ...]:
    """The fixed variance q and chi_1 of tanh, and the fixed correlation if asked, by scipy."""

    def excess(q: float) -> float:
        return sw * gaussian(lambda z: math.tanh(math.sqrt(q) * z) ** 2) + sb - q

    q = float(brentq(excess, 1e-6, sw + sb, xtol=1e-12))  # type: ignore[arg-type]
    chi_1 = sw * gaussian(lambda z: (1 - math.tanh(math.sqrt(q) * z) ** 2) ** 2)
    if not correlation:
        return q, chi_1
    return q, chi_1, float(brentq(lambda c: (sw * of_pair(q, c) + sb) / q - c, 0.0, 0.99, xtol=1e-8))  # type: ignore[arg-type]


def mean_field_row() -> Row:
    sw, sb = 3.0, 0.05  # chaotic: the fixed correlation is below 1
    found = mean_field("tanh", sw, sb)

    def deviation(theirs: tuple[float, ...]) -> dict[str, Any]:
        pairs = zip(theirs, (found.q, found.chi_1, found.c), strict=False)
        return {"largest deviation": max(abs(a / b - 1) for a, b in pairs)}

    return Row(
        "fixed points of tanh", partial(gaussian, lambda z: math.tanh(z) ** 2), "integrals by scipy's quad",
        [
            Side("lemmata: variance, correlation, their slopes", partial(mean_field, "tanh", sw, sb)),
            Side("quad: variance and its slope", partial(by_quadrature, sw, sb, correlation=False), deviation),
            Side("dblquad: also correlation", partial(by_quadrature, sw, sb, correlation=True), deviation, turns=1),
        ],
        turns=5,
    )  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    facts = machine.facts()
    rows = [signals_row(), *jacobian_rows(1e9 * facts["matmul peak, GFLOP/s"]), mean_field_row()]
    measured = [row.measure(print) for row in rows]
    for row in measured:
        merge(RESULTS / "propagation.json", row, facts)
    show(measured)


if __name__ == "__main__":
    main()
