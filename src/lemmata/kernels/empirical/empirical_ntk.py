"""The empirical neural tangent kernel of any model, by the structure of its layers.

    Theta(x_i, z_j) = J(x_i) J(z_j)^T = sum_layers K_l,    J(x) = d f(x; theta) / d theta  (C, P)

No Jacobian is formed where a layer's structure gives its share for less: `lemmata.kernels.empirical.layers` has the
ways and the model of flops that chooses. Cost: a forward pass and C backward passes through the activations (one for
the sum of the outputs), then what `.ways` counts. With one set of samples half of it is computed. Memory: the kernel
itself, and what the layers keep of two blocks of samples, which are made to fit.
Fails: where the outputs of a sample depend on the others of its batch there is no kernel, and it is refused; a layer
that is not recognised has its Jacobian formed, which `.ways` says and which is slow for large layers.
Sources: Jacot, Gabriel, Hongler (2018); Novak, Sohl-Dickstein, Schoenholz (2022), whose trace is divided by C as here;
Mohamadi, Bae, Sutherland (2023) for the sum of logits.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.kernels.empirical.filling import fill
from lemmata.kernels.empirical.layers import JACOBIAN, UNUSED, Layer, Size, Way, layers_of
from lemmata.kernels.empirical.one_side import Ways, side
from lemmata.kernels.empirical.sample_wise import SampleWise, check_samples
from lemmata.kernels.empirical.tangent_kernel import EmpiricalNTK
from lemmata.objective import Mode

Outputs = Literal["full", "trace", "sum"]
OUTPUTS = ("full", "trace", "sum")
WORKING_SET = 2**26  # bytes of patches and cotangents of the samples that go through the passes together


def empirical_ntk(
    model: nn.Module,
    x: Tensor,
    z: Tensor | None = None,
    *,
    outputs: Outputs = "full",
    parameters: Sequence[str] | None = None,
    mode: Mode | None = None,
    memory: int = 2**31,
) -> EmpiricalNTK:
    """Compute the tangent kernel of a model between samples x (n, ...) and z (m, ...), by default x again.

    `outputs` is ``"full"`` (n, m, C, C) for the C outputs of a sample (any shape, flattened), ``"trace"`` (n, m), the
    mean over outputs of the kernel of each, (1/C) sum_c Theta_cc, or ``"sum"`` (n, m), the kernel of the one function
    sum_c f_c / sqrt(C), which takes one backward pass. `parameters` names those to differentiate by (or prefixes of
    modules), `mode` as for `lemmata.Objective`. `memory` bounds the bytes of the kernel and of what is kept to compute
    it: samples are taken in blocks that fit. Values are in the parameters' type and on their device; nothing is random.

    Raises `InvalidInput` where outputs depend on other samples of the batch (batch statistics), for NaN, shapes that do
    not go together, and a kernel beyond `memory` (saying what it needs).

    >>> model = nn.Linear(2, 2, bias=False)
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    >>> kernel = empirical_ntk(model, x)                    # of a linear model: x_i . x_j times the identity
    >>> kernel.values[0, 1], empirical_ntk(model, x, outputs="trace").values
    (tensor([[1., 0.], [0., 1.]]), tensor([[1., 1.], [1., 2.]]))
    >>> kernel.ways["weight"].name                       # C = 2: so small that it hardly matters
    'per-sample gradients'
    """
    if outputs not in OUTPUTS:
        raise UnknownName("kind of outputs", str(outputs), OUTPUTS)
    f = SampleWise(model, x, parameters=parameters, mode=mode)
    if z is not None:
        check_samples(z, "z", x)
    return kernel_of(f, x, z, outputs=outputs, memory=memory)


@torch.no_grad()
def kernel_of(f: SampleWise, x: Tensor, z: Tensor | None, *, outputs: Outputs, memory: int) -> EmpiricalNTK:
    """The kernel of a model that is known to take samples one by one."""
    n, m, C = len(x), len(x if z is None else z), f.channels
    R, inner = (C, 1) if outputs == "full" else (1, C if outputs == "trace" else 1)
    size = Size(n * (n + 1) / 2 if z is None else float(n * m), n if z is None else n + m, R, inner)
    ways, layers = _plan(f, size)
    dtype = f.objective.dtype
    block, chunk = _blocks(_held(f, layers, ways, size), n * m * R * R * dtype.itemsize, memory, max(n, m))
    take = partial(side, f, ways=ways, size=size, chunk=chunk)
    K = torch.empty(n * R, m * R, dtype=dtype, device=f.objective.device)
    fill(K, x.detach(), None if z is None else z.detach(), take=take, R=R, block=block)
    if outputs == "trace":
        K /= C
    values = K.view(n, R, m, R).transpose(1, 2) if outputs == "full" else K
    flops = _passes(layers, size) + sum(way.flops for way in ways.values())
    return EmpiricalNTK(values, outputs, z is None, _by_layer(ways), flops)


def _plan(f: SampleWise, size: Size) -> tuple[Ways, list[Layer]]:
    """The layers, read off the graph of a few samples, and the way of each parameter."""
    uses, rest = f.read(f.two)
    layers = layers_of(uses)
    ways = {layer.names: layer.way(size) for layer in layers}
    for name in rest:
        numel = f.theta[name].numel()
        ways[name,] = Way((name,), JACOBIAN, 2.0 * (size.pairs * size.R**2 + 2 * size.samples) * size.inner * numel)
    for name, each in uses.items():
        if not each:
            ways[name,] = Way((name,), UNUSED, 0.0)
    return ways, layers


def _blocks(held: tuple[int, int], whole: int, memory: int, n: int) -> tuple[int, int]:
    """How many samples a block has, and how many of them go through the passes at once."""
    transient, kept = held
    needed = whole + 2 * kept + transient
    if needed > memory:
        raise InvalidInput(
            f"the kernel takes {whole:.3g} bytes and what is kept of two samples {needed - whole:.3g}, and memory is "
            f"{memory:.3g}; give memory={needed} or more, take outputs='trace', or multiply by the kernel without "
            f"forming it (ntk_operator)"
        )
    chunk = max(1, min(n, (memory - whole) // 4 // transient, WORKING_SET // transient))
    return max(1, min(n, (memory - whole - chunk * transient) // 2 // kept)), chunk


def _held(f: SampleWise, layers: list[Layer], ways: Ways, size: Size) -> tuple[int, int]:
    """Bytes of one sample: held during the passes, and kept for the contraction."""
    parts = [layer.numbers(size, ways[layer.names].name) for layer in layers]
    rows = sum(f.theta[name].numel() for names in ways for name in names if ways[names].name == JACOBIAN)
    parts.append((3 * size.passes * rows, size.passes * rows))
    transient, kept = (sum(part[i] for part in parts) * f.objective.dtype.itemsize for i in (0, 1))
    return max(transient, 1), max(kept, 1)


def _by_layer(ways: Ways) -> dict[str, Way]:
    """Ways by layer, or by parameter where the parameters of a module took several."""
    modules = [name.rpartition(".")[0] for names in ways for name in names[:1]]
    named = {}
    for names, way in ways.items():
        module = names[0].rpartition(".")[0]
        named[module if module and modules.count(module) == 1 else names[0]] = way
    return named


def _passes(layers: list[Layer], size: Size) -> float:
    """Flops of a forward pass and of the backward passes through the layers that are recognised."""
    forward = sum(use.flops(False, 0)[0] for layer in layers for use in layer.weights)
    return size.samples * (1.0 + size.passes) * forward
