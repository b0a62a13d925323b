"""Laws that theory is written for: Gaussian mixtures, linear and two-layer teachers, parities, and test problems.

    gaussian_mixture   y ~ weights,  x | y ~ N(mean_y, scale_y^2 I)
    scaled_features    x ~ N(0, diag(s^2)),  z ~ N(0, noise^2),  t = <x, theta> + z
    linear_teacher     the same with s = 1
    two_layer_teacher  x ~ N(0, diag(s^2)),  t = v . phi(W x) + z
    parity             x uniform on {-1, 1}^d,  y = 1 if an odd number of the chosen coordinates is -1, else 0
    peaks              x uniform on [-3, 3]^2,  t = the peaks function + z
    peaks_classes      the same square cut at equally spaced heights, each class equally likely
    ellipses           a filled ellipse in a ring of the same shape

Every law takes `n`, or a shape (members, n) that draws independent sets in one call, and an explicit generator, on
whose device the result lives. Values are float64 unless another dtype is asked for, since closed forms are compared
with them. Cost: one pass over what is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite, pi

import torch
from torch import Generator, Tensor

from lemmata.errors import InvalidInput

Shape = int | tuple[int, ...]


def gaussian_mixture(
    n: Shape,
    means: Tensor,
    *,
    scale: float | Tensor = 1.0,
    weights: Tensor | None = None,
    generator: Generator,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:
    """Draw classes by `weights` (uniform if None), then x around their means: x (*n, d), y (*n) int64.

    `means` is (classes, d); `scale` is one standard deviation, or one for each class. With two classes at -m and +m of
    equal weight and scale s the best possible error is Phi(-|m| / s).

    >>> means = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    >>> x, y = gaussian_mixture((5, 100), means, scale=0.1, generator=torch.Generator().manual_seed(0))
    >>> x.shape, bool(((x[..., 0] > 0) == (y == 1)).all())
    (torch.Size([5, 100, 2]), True)
    """
    shape = shape_of(n)
    means = _finite("means", means, dtype, generator, rank=2)
    classes, d = means.shape
    scales = torch.as_tensor(scale, dtype=dtype, device=means.device).expand(classes)
    if not (torch.isfinite(scales) & (scales >= 0)).all():
        raise InvalidInput(f"scale = {scale} is not a standard deviation; it must be finite and 0 or more")
    if weights is None:
        y = torch.randint(classes, shape, generator=generator, device=generator.device)
    else:
        weights = _finite("weights", weights, torch.float64, generator, rank=1)
        if len(weights) != classes or (weights < 0).any() or weights.sum() <= 0:
            raise InvalidInput(f"weights {weights.tolist()} are not {classes} shares; give one of 0 or more a class")
        edges = (weights / weights.sum()).cumsum(0)[:-1]
        uniform = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
        y = torch.searchsorted(edges, uniform, right=True)
    x = _normal((*shape, d), generator, dtype) * scales[y][..., None] + means[y]
    return x, y


def scaled_features(
    n: Shape,
    theta: Tensor,
    scales: Tensor,
    *,
    noise: float = 0.0,
    generator: Generator,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:
    """Linear targets of features of different scales: x (*n, d) ~ N(0, diag(scales^2)), t (*n) = <x, theta> + z.

    Gradient descent learns coordinate i at the rate scales_i^2, which is how two scales make two minima of the risk in
    time: Heckel, Yilmaz (2021), arXiv:2007.10099, section 2. `theta` and `scales` are (d,); z ~ N(0, noise^2).

    >>> x, t = scaled_features(4, torch.ones(2), torch.tensor([1.0, 0.0]), generator=torch.Generator().manual_seed(0))
    >>> torch.equal(t, x[:, 0])
    True
    """
    theta = _finite("theta", theta, dtype, generator, rank=1)
    x = _inputs(shape_of(n), scales, len(theta), generator, dtype)
    return x, noisy(x @ theta, noise, generator)


def linear_teacher(
    n: Shape, theta: Tensor, *, noise: float = 0.0, generator: Generator, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Linear targets of isotropic features: x (*n, d) ~ N(0, I), t (*n) = <x, theta> + z, z ~ N(0, noise^2).

    >>> x, t = linear_teacher(4, torch.tensor([1.0, 2.0]), generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(t, x[:, 0] + 2 * x[:, 1])
    True
    """
    return scaled_features(n, theta, torch.ones_like(theta), noise=noise, generator=generator, dtype=dtype)


def two_layer_teacher(
    n: Shape,
    W: Tensor,
    v: Tensor,
    *,
    scales: Tensor | None = None,
    activation: Callable[[Tensor], Tensor] = torch.relu,
    noise: float = 0.0,
    generator: Generator,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:
    """Targets of a two-layer network: x (*n, d) ~ N(0, diag(scales^2)), t (*n) = v . activation(W x) + z.

    `W` is (width, d), `v` (width,), `scales` (d,), ones if None; z ~ N(0, noise^2).

    >>> W, v = torch.tensor([[1.0], [-1.0]]), torch.ones(2)
    >>> x, t = two_layer_teacher(4, W, v, generator=torch.Generator().manual_seed(0))
    >>> torch.equal(t, x[:, 0].abs())
    True
    """
    W, v = _finite("W", W, dtype, generator, rank=2), _finite("v", v, dtype, generator, rank=1)
    if len(W) != len(v):
        raise InvalidInput(f"W has {len(W)} hidden units and v has {len(v)}; they must agree")
    d = W.shape[1]
    x = _inputs(shape_of(n), torch.ones(d) if scales is None else scales, d, generator, dtype)
    return x, noisy(activation(x @ W.T) @ v, noise, generator)


def parity(
    n: Shape,
    d: int,
    *,
    support: Sequence[int] | None = None,
    generator: Generator,
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, Tensor]:
    """The parity of the coordinates in `support` (all d if None; few of them make a sparse parity).

    x (*n, d) is uniform on {-1, 1}^d, and y (*n) int64 is the exclusive or of the bits (1 - x_i) / 2, i in support, so
    that prod x_i = (-1)^y. Every proper subset of the support is uncorrelated with y.

    >>> x, y = parity(8, 5, support=[0, 3], generator=torch.Generator().manual_seed(0))
    >>> torch.equal(y == 1, x[:, 0] != x[:, 3])
    True
    """
    if d < 1:
        raise InvalidInput(f"d = {d}: a parity needs at least one coordinate")
    chosen = list(range(d)) if support is None else list(support)
    if not chosen or len(set(chosen)) < len(chosen) or min(chosen) < 0 or max(chosen) >= d:
        raise InvalidInput(f"support {chosen} is not a set of coordinates; they are different, among 0..{d - 1}")
    bits = torch.randint(2, (*shape_of(n), d), generator=generator, device=generator.device)
    return 1 - 2 * bits.to(dtype), bits[..., chosen].sum(-1) % 2


def characters(x: Tensor, supports: Sequence[Sequence[int]]) -> Tensor:
    """Evaluate monomials chi_S(x) = prod of x_i, i in S, at x (..., d) for each of m sets: (..., m).

    On {-1, 1}^d they are the Fourier characters: orthonormal, chi_S chi_T = chi of the symmetric difference of S and T.
    Nested sets {0}, {0, 1}, {0, 1, 2}, ... are a staircase (Abbe et al., 2021, arXiv:2108.10573).
    Raises `InvalidInput` for an empty list and coordinates that are not there.

    >>> characters(torch.tensor([[1.0, -1.0, -1.0]]), [[0], [0, 1], [1, 2], []])
    tensor([[ 1., -1.,  1.,  1.]])
    """
    sets, d = [list(support) for support in supports], x.shape[-1]
    for chosen in sets or [[-1]]:
        if len(set(chosen)) < len(chosen) or any(not 0 <= i < d for i in chosen):
            raise InvalidInput(f"supports {sets}: give one or more sets of different coordinates among 0..{d - 1}")
    return torch.stack([x[..., chosen].prod(-1) for chosen in sets], -1)


def peaks_surface(x: Tensor) -> Tensor:
    """MATLAB's test surface at x (..., 2): three hills and three hollows on [-3, 3]^2, from -6.551 to 8.106.

    3 (1 - a)^2 exp(-a^2 - (b + 1)^2) - 10 (a/5 - a^3 - b^5) exp(-a^2 - b^2) - exp(-(a + 1)^2 - b^2) / 3, x = (a, b).

    >>> round(peaks_surface(torch.zeros(2, dtype=torch.float64)).item(), 12)  # (3 - 1/3) / e
    0.981011843124
    """
    if not x.is_floating_point() or not x.ndim or x.shape[-1] != 2:
        raise InvalidInput(f"points of shape {tuple(x.shape)} in {x.dtype}; the peaks want floating (..., 2)")
    a, b = x.unbind(-1)
    hill = 3 * (1 - a) ** 2 * torch.exp(-(a**2) - (b + 1) ** 2)
    middle = -10 * (a / 5 - a**3 - b**5) * torch.exp(-(a**2) - b**2)
    return hill + middle - torch.exp(-((a + 1) ** 2) - b**2) / 3


def peaks(
    n: Shape, *, noise: float = 0.0, generator: Generator, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Regression on the peaks: x (*n, 2) uniform on [-3, 3]^2, t (*n) = `peaks_surface` of x + z, z ~ N(0, noise^2).

    >>> x, t = peaks(4, generator=torch.Generator().manual_seed(0))
    >>> torch.equal(t, peaks_surface(x)), bool((x.abs() <= 3).all())
    (True, True)
    """
    uniform = torch.rand((*shape_of(n), 2), generator=generator, device=generator.device, dtype=dtype)
    x = 6 * uniform - 3
    return x, noisy(peaks_surface(x), noise, generator)


def peaks_classes(
    n: Shape, *, classes: int = 5, grid: int = 256, generator: Generator, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Classification on the peaks: y (*n) int64 uniform, x (*n, 2) uniform on the grid points of that class.

    The range of the surface on `grid` x `grid` points of [-3, 3]^2 is cut into `classes` intervals of equal length: the
    test problem of Ruthotto's course Numerical Methods for Deep Learning. Raises `InvalidInput` where the grid is so
    coarse that a class has no point.

    >>> x, y = peaks_classes(100, generator=torch.Generator().manual_seed(0))
    >>> x.shape, sorted(set(y.tolist()))
    (torch.Size([100, 2]), [0, 1, 2, 3, 4])
    """
    shape = shape_of(n)
    line = torch.linspace(-3, 3, grid, dtype=torch.float64, device=generator.device)
    points = torch.cartesian_prod(line, line)
    height = peaks_surface(points)
    low, high = height.aminmax()
    labels = ((height - low) / (high - low) * classes).ceil().clamp(1, classes).long() - 1
    counts = labels.bincount(minlength=classes)
    if classes < 2 or (counts == 0).any():
        raise InvalidInput(f"{classes} classes on {grid} x {grid} points: take two or more, and a grid that meets each")
    y = torch.randint(classes, shape, generator=generator, device=generator.device)
    first = counts.cumsum(0) - counts
    uniform = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    place = first[y] + (uniform * counts[y]).long()
    return points[labels.argsort(stable=True)[place]].to(dtype), y


def ellipses(n: Shape, *, generator: Generator, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """A filled ellipse (class 1) in a ring (class 0): x (*n, 2), y (*n) int64, both equally likely.

    x = r (cos phi, 0.4 sin phi), phi uniform, r uniform on [0, 1] inside and on [1, 2] in the ring: no line separates
    the classes, and x_1^2 + (x_2 / 0.4)^2 does. From Ruthotto's course.

    >>> x, y = ellipses(100, generator=torch.Generator().manual_seed(0))
    >>> torch.equal((x[:, 0] ** 2 + (x[:, 1] / 0.4) ** 2 < 1), y == 1)
    True
    """
    shape = shape_of(n)
    y = torch.randint(2, shape, generator=generator, device=generator.device)
    r, phi = torch.rand((2, *shape), generator=generator, device=generator.device, dtype=dtype)
    r, phi = r + (y == 0), 2 * pi * phi
    return torch.stack([r * phi.cos(), 0.4 * r * phi.sin()], -1), y


def _inputs(shape: tuple[int, ...], scales: Tensor, d: int, generator: Generator, dtype: torch.dtype) -> Tensor:
    scales = _finite("scales", scales, dtype, generator, rank=1)
    if len(scales) != d or (scales < 0).any():
        raise InvalidInput(f"scales {scales.tolist()} do not fit {d} features; give one of 0 or more for each")
    return _normal((*shape, d), generator, dtype) * scales


def noisy(t: Tensor, noise: float, generator: Generator) -> Tensor:
    """Add z ~ N(0, noise^2) to every entry; without noise nothing is drawn."""
    if not (isfinite(noise) and noise >= 0):
        raise InvalidInput(f"noise = {noise} is not a standard deviation; it must be finite and 0 or more")
    return t + noise * _normal(t.shape, generator, t.dtype) if noise else t


def _normal(shape: Sequence[int], generator: Generator, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device, dtype=dtype)


def shape_of(n: Shape) -> tuple[int, ...]:
    """Give (n,) or n itself, none of whose sizes may be 0."""
    shape = (n,) if isinstance(n, int) else tuple(n)
    if not shape or min(shape) < 1:
        raise InvalidInput(f"n = {n} draws no examples; it must be 1 or more")
    return shape


def _finite(name: str, values: Tensor, dtype: torch.dtype, generator: Generator, *, rank: int) -> Tensor:
    values = values.to(generator.device, dtype)
    if values.ndim != rank or not values.numel():
        raise InvalidInput(f"{name} of shape {tuple(values.shape)}; it must have {rank} dimension(s), none empty")
    if not torch.isfinite(values).all():
        raise InvalidInput(f"{name} holds NaN or infinity; every entry must be finite")
    return values
