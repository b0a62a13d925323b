"""The randomisation tests' corruptions: labels redrawn with probability p; pixels shuffled, permuted, or replaced.

    uniform:  y'_i = u_i with probability p, else y_i;  u_i uniform over all classes, and so may equal y_i
    other:    the same with u_i uniform over the classes that are not y_i

so that the expected share of wrong labels is p (1 - 1/classes) or p. Zhang et al. use the first; Heckel & Yilmaz and
Nakkiran et al. state the second. For one generator state the corrupted sets are nested in p: a label changed at p
is changed to the same class at every larger p.

References: Zhang, Bengio, Hardt, Recht, Vinyals (2017), arXiv:1611.03530, section 2.2; Nakkiran et al. (2020),
arXiv:1912.02292. Cost: one pass over the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import torch
from torch import Generator, Tensor

from lemmata.data.preprocessing import require_finite
from lemmata.errors import InvalidInput

ROWS_AT_ONCE = 4096  # sort keys and indices take 16 bytes a pixel


def corrupt_labels(
    y: Tensor,
    p: float | Sequence[float],
    classes: int,
    *,
    generator: Generator | Sequence[Generator],
    how: Literal["uniform", "other"] = "uniform",
) -> Tensor:
    """Redraw each label independently with probability p; shape (n,) int64 in and out, on y's device.

    With a sequence of generators (members) the result is (members, n), and row i is what generator i alone would give;
    p may then be one for all or one for each. Random: which labels, and what they become; 2n draws a generator.

    Raises `InvalidInput` for p outside [0, 1], labels outside 0..classes-1, or fewer than two classes.

    >>> y = torch.tensor([0, 1, 2, 3])
    >>> corrupt_labels(y, 0.0, 10, generator=torch.Generator().manual_seed(0)).equal(y)
    True
    >>> bool((corrupt_labels(y, 1.0, 10, generator=torch.Generator().manual_seed(0), how="other") == y).any())
    False
    """
    _check_labels(y, classes)
    if how not in ("uniform", "other"):
        raise InvalidInput(f"how = {how!r} is not a way to corrupt labels; it is 'uniform' or 'other'")
    one = isinstance(generator, Generator)
    generators = [generator] if one else list(generator)
    rates = [p] * len(generators) if isinstance(p, int | float) else list(p)
    if len(rates) != len(generators):
        raise InvalidInput(f"{len(rates)} values of p and {len(generators)} generators; give one p, or one for each")
    for rate in rates:
        if not 0 <= rate <= 1:  # NaN is refused too
            raise InvalidInput(f"p = {rate} is not a probability; it must lie in [0, 1]")

    n, first = len(y), generators[0].device
    draws = torch.stack([torch.rand(2, n, generator=g, device=first, dtype=torch.float64) for g in generators])
    chance, choice = draws.to(y.device).unbind(1)
    choices = classes if how == "uniform" else classes - 1
    redrawn = (choice * choices).long()
    if how == "other":
        redrawn = (y + 1 + redrawn) % classes
    chosen = chance < torch.tensor(rates, dtype=torch.float64, device=y.device)[:, None]
    result = torch.where(chosen, redrawn, y)
    return result[0] if one else result


def random_labels(n: int, classes: int, *, generator: Generator) -> Tensor:
    """Labels (n,) int64, independent and uniform: `corrupt_labels` at p = 1 in distribution.

    >>> random_labels(5, 3, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([5])
    """
    if n < 1 or classes < 1:
        raise InvalidInput(f"cannot draw {n} labels of {classes} classes; both must be 1 or more")
    return torch.randint(classes, (n,), generator=generator, device=generator.device)


@overload
def shuffle_pixels(x: Tensor, /, *, generator: Generator) -> Tensor: ...
@overload
def shuffle_pixels(x: Tensor, /, *more: Tensor, generator: Generator) -> tuple[Tensor, ...]: ...
def shuffle_pixels(x: Tensor, /, *more: Tensor, generator: Generator) -> Tensor | tuple[Tensor, ...]:
    """Permute the pixels, by one random permutation for all images of all arguments (train and test).

    Shapes (n, C, H, W), where a pixel's channels stay together, or (n, d). Random: the permutation.

    >>> x = torch.arange(6.0).view(2, 3)
    >>> train, test = shuffle_pixels(x, x, generator=torch.Generator().manual_seed(0))
    >>> train.equal(test), sorted(train[0].tolist())
    (True, [0.0, 1.0, 2.0])
    """
    order: Tensor | None = None
    shuffled = []
    for images in (x, *more):
        pixels = _pixels(images)
        if order is None:
            order = torch.randperm(pixels.shape[-1], generator=generator, device=generator.device)
        if pixels.shape[-1] != len(order):
            raise InvalidInput(f"images of {len(order)} and of {pixels.shape[-1]} pixels cannot share a permutation")
        shuffled.append(pixels[..., order.to(images.device)].view_as(images))
    return tuple(shuffled) if more else shuffled[0]


def random_pixels(x: Tensor, *, generator: Generator) -> Tensor:
    """Permute the pixels of each image by a random permutation of its own; shape as in `shuffle_pixels`.

    >>> x = torch.arange(6.0).view(2, 3)
    >>> random_pixels(x, generator=torch.Generator().manual_seed(0)).sort(1).values.equal(x)
    True
    """
    permuted = []
    for pixels in _pixels(x).split(ROWS_AT_ONCE):
        keys = torch.rand(pixels.shape[::2], generator=generator, device=generator.device, dtype=torch.float64)
        order = keys.argsort(1).to(x.device)[:, None].expand_as(pixels)
        permuted.append(pixels.gather(2, order))
    return torch.cat(permuted).view_as(x)


def gaussian_pixels(x: Tensor, *, generator: Generator) -> Tensor:
    """Replace every pixel by Gaussian noise with the mean and the standard deviation of the whole of x.

    Shape and dtype as x. Random: all of it. Nothing is clipped, so that values leave [0, 1].

    >>> gaussian_pixels(torch.full((4, 2), 0.5), generator=torch.Generator().manual_seed(0)).unique().tolist()
    [0.5]
    """
    require_finite(x)
    noise = torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype).to(x.device)
    return noise * x.std(correction=0) + x.mean()


def _pixels(x: Tensor) -> Tensor:
    """View (n, channels, pixels)."""
    if x.ndim not in (2, 4):
        raise InvalidInput(f"shape {tuple(x.shape)} is neither images (n, C, H, W) nor vectors (n, d)")
    require_finite(x)
    return x.flatten(2) if x.ndim == 4 else x[:, None]


def _check_labels(y: Tensor, classes: int) -> None:
    if classes < 2:
        raise InvalidInput(f"classes = {classes}: labels can only be corrupted among 2 classes or more")
    if y.ndim != 1 or y.dtype != torch.int64:
        raise InvalidInput(f"labels of shape {tuple(y.shape)} and {y.dtype}; expected (n,) and torch.int64")
    wrong = ((y < 0) | (y >= classes)).nonzero().flatten()
    if len(wrong):
        i = int(wrong[0])
        raise InvalidInput(
            f"label {int(y[i])} of example {i} is out of range; with {classes} classes they are 0..{classes - 1}"
        )
