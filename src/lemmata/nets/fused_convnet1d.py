"""The network of `convnet1d` with both passes written out, for M members at once.

Under `torch.vmap` a convolution becomes a grouped one, which processors compute slowly, and every pass over the units
is one of its own. Here units are kept as (M, channels, positions, samples), so that a stage is

    columns  X (M, c k, p n)   the k samples-long rows that a position sees, copied
    forward  Z = W X + b;  of a normalised stage  Z <- Z - mean,  Y = relu(gamma Z / s + beta),  s^2 = var + eps
    backward D <- D 1[Y > 0];  of a normalised stage  D <- gamma (D - mean(D) - Z mean(D Z) / s^2) / s
             dW = D X^T;  db = D 1;  the rows of W^T D are added up where they came from

batched products of matrices and a few passes in place, in the operations of autograd up to the order of sums. A bias
before a normalisation has the gradient 0, which autograd finds up to rounding.

Cost, forward and backward, of ten members of 25 channels on batches of 100: 190 megaflops and 4 to 6 ms on one core.
Memory: the units of a batch and their columns; without gradients samples are taken in parts that stay in the cache.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from lemmata.errors import InvalidInput

AT_ONCE = 2**19  # numbers in the columns of a stage of all members, where no gradient is taken
pull_relu = torch.ops.aten.threshold_backward.grad_input


class FusedConvNet1d(nn.Sequential):
    """A stack of convolutions, each with ReLU, all or none with batch normalisation before it, and a linear read-out.

    Parameters, buffers, their names and the outputs are those of the `nn.Sequential`. It can be differentiated once,
    by reverse mode, alone or under one `torch.vmap` over members: for training, not for Hessians.

    >>> from lemmata import nets
    >>> x = torch.ones(2, 1, 40)
    >>> fused, plain = (nets.convnet1d(3, fused=fused, seed=0) for fused in (True, False))
    >>> bool(torch.allclose(fused(x), plain(x), atol=1e-6))
    True
    """

    def forward(self, x: Tensor) -> Tensor:
        """Compute the outputs (n, classes) of signals x (n, channels, length)."""
        convolutions = [module for module in self if isinstance(module, nn.Conv1d)]
        norms = [module for module in self if isinstance(module, nn.BatchNorm1d)]
        pass_ = _Pass(
            [(c.kernel_size[0], c.stride[0], int(c.padding[0])) for c in convolutions],
            eps=norms[0].eps if norms else None,
            training=self.training,
            keep=torch.is_grad_enabled(),
            length=x.shape[-1],
        )
        of_norms = [[norm.weight, norm.bias] for norm in norms]
        if not self.training:
            of_norms = [[*own, norm.running_mean, norm.running_var] for own, norm in zip(of_norms, norms, strict=True)]
        stages = [
            [c.weight, c.bias, *n] for c, n in zip(convolutions, of_norms or [[]] * len(convolutions), strict=True)
        ]
        output: Any = self.output
        outputs, *moments = _Passes.apply(x, pass_, *chain(*stages), output.weight, output.bias)  # type: ignore[misc]
        for norm, mean, variance in zip(norms, moments[::2], moments[1::2], strict=False):
            _track(norm, mean, variance)
        return outputs


def _track(norm: Any, mean: Tensor, variance: Tensor) -> None:
    """Move the running moments of a normalisation towards those of a batch, as `nn.BatchNorm1d` does."""
    norm.num_batches_tracked.add_(1)
    norm.running_mean.mul_(1 - norm.momentum).add_(mean, alpha=norm.momentum)
    norm.running_var.mul_(1 - norm.momentum).add_(variance, alpha=norm.momentum)


@dataclass
class _Stage:
    """What a stage leaves for the backward pass: columns, centred outputs, inverse deviations, and units."""

    columns: Tensor
    centred: Tensor | None
    inverse: Tensor | None
    units: Tensor


@dataclass
class _Pass:
    """One call of a network: kernel, stride and padding of its stages, and what the forward pass leaves."""

    geometry: list[tuple[int, int, int]]
    eps: float | None  # None: not normalised
    training: bool
    keep: bool
    length: int  # of the signals
    stages: list[_Stage] = field(default_factory=list)

    @property
    def by_batch(self) -> bool:
        """Whether moments are those of the batch."""
        return self.eps is not None and self.training

    def tensors_of(self, tensors: Sequence[Tensor]) -> list[Sequence[Tensor]]:
        """Tell the tensors of the stages from each other, and from those of the read-out, which come last."""
        each = 2 if self.eps is None else 4 if self.training else 6
        return [tensors[start : start + each] for start in range(0, len(tensors), each)]


class _Passes(torch.autograd.Function):
    """Both passes: of members x (M, n, c, length) with tensors (M, ...), or of one network without the M."""

    @staticmethod
    def forward(x: Tensor, pass_: _Pass, *tensors: Tensor) -> tuple[Tensor, ...]:
        if x.ndim == 3:
            outputs, *moments = _Passes.forward(x[None], pass_, *[t[None] for t in tensors])
            return outputs[0], *[moment[0] for moment in moments]
        *stages, (weight, bias) = pass_.tensors_of(tensors)
        moments: list[Tensor] = []
        outputs = []
        for part in x.split(_samples_at_once(x, pass_, stages), 1):
            units = part.permute(0, 2, 3, 1)
            for geometry, own in zip(pass_.geometry, stages, strict=True):
                stage = _forward(units, geometry, own, pass_, moments)
                units = stage.units
                if pass_.keep:
                    pass_.stages.append(stage)
            outputs.append(torch.bmm(weight, units.flatten(1, 2)).add_(bias[:, :, None]))
        whole = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
        return whole.mT, *moments

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, ctx.pass_, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.single = x.ndim == 3
        ctx.mark_non_differentiable(*output[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        if len(ctx.pass_.stages) != len(ctx.pass_.geometry):
            raise InvalidInput(
                "a fused network was differentiated twice, or inside of torch.vmap; build it by convnet1d(fused=False)"
            )
        tensors: Sequence[Tensor] = ctx.saved_tensors
        if ctx.single:
            slope, tensors = slope[None], [t[None] for t in tensors]
        *stages, (weight, _bias) = ctx.pass_.tensors_of(tensors)
        slope = slope.mT
        last = ctx.pass_.stages[-1].units
        gradients: list[Tensor | None] = [torch.bmm(slope, last.flatten(1, 2).mT), slope.sum(2)]
        slope = torch.bmm(weight.mT, slope).view(last.shape)
        for place in range(len(stages) - 1, -1, -1):
            own, slope = _backward(slope, ctx.pass_, place, stages[place], ctx.needs_input_grad[0])
            gradients = [*own, *gradients]
        ctx.pass_.stages.clear()
        gradients = [slope.permute(0, 3, 1, 2) if ctx.needs_input_grad[0] else None, *gradients]
        if ctx.single:
            gradients = [None if g is None else g[0] for g in gradients]
        return gradients[0], None, *gradients[1:]

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], x: Tensor, pass_: _Pass, *tensors: Tensor) -> Any:
        stacked = [
            t.expand(info.batch_size, *t.shape) if dim is None else t.movedim(dim, 0)
            for t, dim in zip((x, *tensors), (in_dims[0], *in_dims[2:]), strict=True)
        ]
        if stacked[0].ndim != 4:
            raise InvalidInput("a fused network takes one torch.vmap, over members; build it with fused=False for more")
        fresh = _Pass(pass_.geometry, pass_.eps, pass_.training, pass_.keep, pass_.length)
        found = _Passes.apply(stacked[0], fresh, *stacked[1:])
        return found, (0,) * len(found)  # type: ignore[arg-type]


def _samples_at_once(x: Tensor, pass_: _Pass, stages: Sequence[Sequence[Tensor]]) -> int:
    """How many samples are taken at a time: all, where the backward pass or the batch's moments need them."""
    if pass_.keep or pass_.by_batch:
        return max(1, x.shape[1])
    length, widest = x.shape[3], 1
    for (kernel, stride, padding), own in zip(pass_.geometry, stages, strict=True):
        length = (length + 2 * padding - kernel) // stride + 1
        widest = max(widest, own[0][0, 0].numel() * length)
    return max(1, AT_ONCE // (len(x) * widest))


def _forward(
    below: Tensor, geometry: tuple[int, int, int], own: Sequence[Tensor], pass_: _Pass, moments: list[Tensor]
) -> _Stage:
    """One stage on units (M, c, length, n); moments of the batch are appended."""
    weight, bias, *norm = own
    columns = _columns(below, *geometry)
    z = torch.bmm(weight.flatten(2), columns.flatten(1, 2).flatten(2))
    shape = (*z.shape[:2], *columns.shape[3:])
    if pass_.eps is None:
        return _Stage(columns, None, None, z.add_(bias[..., None]).relu_().view(shape))
    gamma, beta, *running = norm
    if pass_.by_batch:
        count = z.shape[2]
        mean = z.mean(2)
        z.sub_(mean[..., None])
        variance = _dot(z, z).div_(count)
        moments += [mean + bias, variance * (count / max(1, count - 1))]
    else:
        z.add_((bias - running[0])[..., None])
        variance = running[1]
    inverse = (variance + pass_.eps).rsqrt()
    units = torch.addcmul(beta[..., None], z, (gamma * inverse)[..., None]).relu_()
    return _Stage(columns, z, inverse, units.view(shape))


def _backward(
    slope: Tensor, pass_: _Pass, place: int, own: Sequence[Tensor], to_inputs: bool
) -> tuple[list[Tensor | None], Tensor]:
    """The gradients by a stage's tensors, and by the units below it; the slope by its own units is used up."""
    stage, (weight, bias, *norm) = pass_.stages[place], own
    pull_relu(slope, stage.units, 0, grad_input=slope)
    d = slope.flatten(2)
    gradients: list[Tensor | None] = []
    if stage.centred is not None and stage.inverse is not None:
        gamma, count = norm[0], d.shape[2]
        along, total = _dot(d, stage.centred), d.sum(2)
        gradients = [along * stage.inverse, total, *[None] * len(norm[2:])]
        scale = gamma * stage.inverse
        d.mul_(scale[..., None])
        if pass_.by_batch:
            d.addcmul_(stage.centred, (along * stage.inverse.square() * scale)[..., None], value=-1 / count)
            d.sub_((total * scale / count)[..., None])
    of_bias = torch.zeros_like(bias) if pass_.by_batch else d.sum(2)
    rows = stage.columns.flatten(1, 2).flatten(2)
    gradients = [torch.bmm(d, rows.mT).view(weight.shape), of_bias, *gradients]
    if place == 0 and not to_inputs:
        return gradients, slope
    torch.bmm(weight.flatten(2).mT, d, out=rows)  # the columns have had their use: nothing is allocated
    length = pass_.stages[place - 1].units.shape[2] if place else pass_.length
    return gradients, _added_up(stage.columns, length, *pass_.geometry[place][1:])


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Sums of products along the last axis of (M, c, N), without the products."""
    return torch.bmm(a.flatten(0, 1)[:, None], b.flatten(0, 1)[:, :, None]).view(a.shape[:2])


def _columns(units: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """What each position of a convolution sees: (M, c, length, n) to (M, c, kernel, positions, n)."""
    members, channels, length, n = units.shape
    positions = (length + 2 * padding - kernel) // stride + 1
    columns = units.new_empty(members, channels, kernel, positions, n)
    for tap, first, end, seen in _taps(length, kernel, stride, padding, positions):
        column = columns[:, :, tap]
        column[:, :, :first].zero_()
        column[:, :, end:].zero_()
        column[:, :, first:end].copy_(units[:, :, seen])
    return columns


def _added_up(columns: Tensor, length: int, stride: int, padding: int) -> Tensor:
    """The adjoint of `_columns`."""
    members, channels, kernel, positions, n = columns.shape
    units = columns.new_zeros(members, channels, length, n)
    for tap, first, end, seen in _taps(length, kernel, stride, padding, positions):
        units[:, :, seen].add_(columns[:, :, tap, first:end])
    return units


def _taps(length: int, kernel: int, stride: int, padding: int, positions: int) -> Iterator[tuple[int, int, int, slice]]:
    """For each tap the range of positions at which it sees a unit and no padding, and those units."""
    for tap in range(kernel):
        first = max(0, -(-(padding - tap) // stride))
        end = max(first, min(positions, (length - 1 + padding - tap) // stride + 1))
        start = first * stride + tap - padding
        yield tap, first, end, slice(start, start + (end - first) * stride, stride)
