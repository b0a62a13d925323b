"""Judging points: spectrum, index, flatness and certificate of each, dense where it can be had.

Up to the dense limit the whole Hessian is made (2 P gradients a point) and decomposed. Eigenvalues of a symmetric
matrix in floating point are those of one within a few eps |H|_F of it, and autograd's is symmetric to rounding, which
is measured; the error is P eps |H|_F and what asymmetry there is. Where a point is critical to the tolerance, the
eigenvalues are meant as those of the true critical point, and l times the distance to it is added. What lies within
the error of zero counts as the kernel. The distance depends on what is in the kernel: taken is the smallest kernel for
which all eigenvalues outside are above the error that it leads to.

Beyond the limit there are the k smallest and largest eigenvalues by Lanczos, each with its residual, and an index
estimated by Lanczos quadrature; nothing certifies a distance there, since the smallest |lambda| lies inside.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lemmata.estimate import NotConverged
from lemmata.landscape.critical.certificate import Certificate, kantorovich, lipschitz_estimate
from lemmata.landscape.critical.field import Field
from lemmata.landscape.critical.flatness import flatness, flatness_by_products
from lemmata.landscape.critical.kinds import Flat, kinds
from lemmata.landscape.critical.points import CriticalPoints
from lemmata.landscape.critical.walk import Walk
from lemmata.linalg.lanczos import Eigenpairs, eigenpairs
from lemmata.linalg.operator import LinearOperator
from lemmata.linalg.quadrature import lanczos_quadrature

EXTREMES = 4
ROUNDING = 1e-8  # length of Newton's step, relative to 1 + |theta|, below which third derivatives do not change on it


@dataclass(frozen=True)
class Standards:
    """How points are judged: see `search`."""

    tolerance: float
    resolution: float
    flat: Flat
    dense: int
    lipschitz: float | None
    certify: bool
    generator: torch.Generator


@dataclass(frozen=True)
class Spectra:
    """Of M points: eigenvalues (M, k), index (M,), flatness (M,), rounding (M,), and the coefficients of g or None."""

    values: Tensor
    index: Tensor | None
    flatness: Tensor
    rounding: Tensor
    coefficients: Tensor | None


def judge(field: Field, found: Walk, standards: Standards) -> CriticalPoints:
    """Say of each point that a walk ended at what it is."""
    dense = field.size <= standards.dense
    spectra = _dense(field, found, standards) if dense else _extremes(field, found, standards)
    norm = torch.where(found.loss.isfinite(), found.g.norm(dim=1), torch.inf)  # derivatives may be finite regardless
    certificate, error, symmetry = _certificate(field, found.Y, spectra, standards)
    error = torch.where(norm <= standards.tolerance, error, spectra.rounding)  # elsewhere they are of the point itself
    below = (spectra.values < -error[:, None]).double().sum(1) / field.size
    return CriticalPoints(
        theta=found.Y,
        loss=found.loss,
        gradient_norm=norm,
        index=below if spectra.index is None else spectra.index,
        eigenvalues=spectra.values,
        eigenvalue_error=error,
        flatness=spectra.flatness,
        kind=kinds(norm, spectra.values, error, spectra.flatness, tolerance=standards.tolerance, symmetry=symmetry),
        distance=torch.where(norm.isfinite(), certificate.distance, torch.inf),
        slack=certificate.slack,
        lipschitz=certificate.lipschitz,
        steps=found.steps,
        stalled=found.stalled,
        history=found.history,
        gradients=field.gradients,
        tolerance=standards.tolerance,
        objective=field.objective,
    )


def _dense(field: Field, found: Walk, standards: Standards) -> Spectra:
    """From the Hessians themselves, as many at a time as fit."""
    parts = []
    room = max(1, field.memory // (32 * field.size**2))
    for Y, g in zip(found.Y.split(room), found.g.split(room), strict=True):
        H = field.hessians(Y)
        asymmetry = (H - H.mT).flatten(1).norm(dim=1)
        finite = H.isfinite().flatten(1).all(1)
        values, vectors = torch.linalg.eigh(torch.where(finite[:, None, None], (H + H.mT) / 2, 0.0))
        coefficients = (vectors.mT @ g[:, :, None])[..., 0]
        rounding = field.size * torch.finfo(H.dtype).eps * values.norm(dim=1) + asymmetry
        rounding = torch.where(finite, rounding, torch.inf)
        r = flatness(values, coefficients, resolution=standards.resolution)
        parts.append((values, torch.where(finite, r, torch.nan), rounding, coefficients))
    values, r, rounding, coefficients = (torch.cat(part) for part in zip(*parts, strict=True))
    return Spectra(values, None, r, rounding, coefficients)


def _extremes(field: Field, found: Walk, standards: Standards) -> Spectra:
    """From products: the extreme eigenvalues of one point after the other, and quadrature for the rest."""
    values, residuals, index, frobenius = [], [], [], []
    for y in found.Y:
        H = _operator(field, y)
        low, high = (_pairs(H, which, standards.generator) for which in ("smallest", "largest"))
        values.append(torch.cat([low.values, high.values.flip(0)]))
        residuals.append(torch.cat([low.residuals, high.residuals]).max())
        rule = lanczos_quadrature(H, steps=60, probes=4, seed=standards.generator)
        weight = rule.weights.mean(0) if rule.nodes.ndim == 1 else rule.weights / len(rule.weights)
        index.append((weight * (rule.nodes < -float(residuals[-1]))).sum())
        frobenius.append((weight * rule.nodes.square()).sum().mul(field.size).sqrt())
    multiply = field.products(found.Y)
    r = flatness_by_products(
        multiply, found.g, torch.stack(frobenius).to(found.g), resolution=standards.resolution, most=2 * field.size
    )
    return Spectra(torch.stack(values), torch.stack(index).to(r), r, torch.stack(residuals).to(r), None)


def _operator(field: Field, y: Tensor) -> LinearOperator:
    products, zero = field.products(y[None]), torch.zeros(1, dtype=torch.long)

    def apply(V: Tensor) -> Tensor:
        return torch.cat([products(v[None], zero) for v in V.T]).T

    return LinearOperator(apply, (field.size, field.size), symmetric=True, dtype=y.dtype, device=y.device, cost=2.0)


def _pairs(H: LinearOperator, which: str, generator: torch.Generator) -> Eigenpairs:
    """The extreme pairs, or the best there are: their residuals tell."""
    try:
        return eigenpairs(H, EXTREMES, which=which, tolerance=1e-6, seed=generator)
    except NotConverged as refused:
        return refused.best


def _certificate(field: Field, Y: Tensor, spectra: Spectra, standards: Standards) -> tuple[Certificate, Tensor, Tensor]:
    """The certificates, the error of the eigenvalues as those of the critical point, and where a symmetry holds."""
    nothing = torch.full_like(spectra.rounding, torch.inf)
    symmetry = torch.full_like(nothing, standards.flat == "symmetry", dtype=torch.bool)
    if spectra.coefficients is None or not standards.certify:
        return Certificate(nothing, torch.zeros_like(nothing), nothing, nothing), spectra.rounding, symmetry
    noise = (
        10 * torch.finfo(Y.dtype).eps * spectra.values.norm(dim=1) * (1 + Y.norm(dim=1))
    )  # of g: its value at parameters rounded anew
    l = _constant(field, Y, spectra, noise, standards)  # noqa: E741 - the Lipschitz constant
    outside = _kernel(spectra, l, noise)
    found = kantorovich(outside.newton, outside.beta, l)
    t = found.distance
    symmetry &= outside.left <= noise + outside.error * t + 0.5 * l * t.square()
    certain = (outside.beta > 0) & (outside.whole | symmetry) & l.isfinite()
    distance = torch.where(certain, t, torch.inf)
    slack = torch.where(certain, found.slack, 0.0)
    return Certificate(distance, slack, outside.newton, l), outside.error, symmetry


def _constant(field: Field, Y: Tensor, spectra: Spectra, noise: Tensor, standards: Standards) -> Tensor:
    """The Lipschitz constant of the Hessian, (M,): as given, or estimated at the points and around."""
    if standards.lipschitz is not None:
        return torch.full_like(noise, standards.lipschitz)
    l = lipschitz_estimate(field, Y, generator=standards.generator)  # noqa: E741
    away = 2 * _kernel(spectra, l, noise).newton
    far = away.isfinite() & (away > ROUNDING * (1 + Y.norm(dim=1)))
    if bool(far.any()):
        there = lipschitz_estimate(field, Y[far], away=away[far], iterations=3, generator=standards.generator)
        l[far] = torch.maximum(l[far], there)
    return l


@dataclass(frozen=True)
class Outside:
    """What is outside the kernel, for M points: eta, beta, the error of the eigenvalues, and whether that is all.

    `left` (M,) is the length of the gradient's part in the kernel.
    """

    newton: Tensor
    beta: Tensor
    error: Tensor
    whole: Tensor
    left: Tensor


def _kernel(spectra: Spectra, l: Tensor, noise: Tensor) -> Outside:  # noqa: E741
    """Take the smallest consistent kernel away."""
    size, order = spectra.values.abs().sort(1, descending=True)
    part = spectra.coefficients.gather(1, order) if spectra.coefficients is not None else torch.zeros_like(size)
    inverse = 1 / size.clamp(min=1e-300)
    newton = (part * inverse).square().cumsum(1).sqrt() + inverse * noise[:, None]  # with the first 1, 2, ..., P kept
    error = spectra.rounding[:, None] + 2 * l[:, None] * newton
    places = torch.arange(1, size.shape[1] + 1, device=size.device)
    count = torch.where(size > error, places, 0).amax(1)
    some, last = count > 0, (count - 1).clamp(min=0)[:, None]
    following = torch.cat([size, torch.zeros_like(size[:, :1])], 1).gather(1, count[:, None])[:, 0]
    chosen = torch.where(some, error.gather(1, last)[:, 0], spectra.rounding)
    return Outside(
        newton=torch.where(some, newton.gather(1, last)[:, 0], torch.inf),
        beta=torch.where(some, inverse.gather(1, last)[:, 0], 0.0),
        error=torch.maximum(chosen, following),  # what is in the kernel cannot be told from zero
        whole=count == size.shape[1],
        left=torch.where(places > count[:, None], part, 0.0).norm(dim=1),
    )
