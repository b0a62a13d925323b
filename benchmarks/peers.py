"""The peers, called as their documentation says, on the benchmarks' networks: one function a peer and quantity.

    PyHessian              Yao, Gholami, Keutzer and Mahoney (2020)
    curvlinops             Dangel, Eschenhagen, Ormaniec, Fernandez, Tatzel and Kristiadi (2025)
    hessian-eigenthings    Golmant, Yao, Gholami, Mahoney and Gonzalez (2018), version 1
    loss-landscapes        De Bernardi (2019)

Each is given a model of its own, since some of them change it. Nothing here is imported before it is asked for, so
that a benchmark runs with the peers that are there.
"""

import copy
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

from networks import Network

CRITERION = nn.CrossEntropyLoss()


def label(package: str) -> str:
    """The peer's name with its installed version."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} (not installed)"


PYHESSIAN, CURVLINOPS = label("PyHessian"), label("curvlinops-for-pytorch")
EIGENTHINGS, LANDSCAPES = label("hessian-eigenthings"), label("loss-landscapes")


def load() -> None:
    """Import those that are there, so that no turn pays for it, and do not show their warnings."""
    warnings.simplefilter("ignore")
    for module in ("pyhessian", "curvlinops", "hessian_eigenthings", "loss_landscapes"):
        with suppress(ImportError):
            import_module(module)


# ---- one product with the Hessian, set up once -----------------------------------------------------------------------


def pyhessian_hvp(network: Network) -> Callable[[], Any]:
    from pyhessian.utils import hessian_vector_product

    own = pyhessian(network)
    v = [torch.randn_like(p) for p in own.params]
    return lambda: hessian_vector_product(own.gradsH, own.params, v)


def curvlinops_hvp(network: Network) -> Callable[[], Any]:
    H, v = curvlinops(network), _vector(network)
    return lambda: H @ v


def eigenthings_hvp(network: Network) -> Callable[[], Any]:
    H, v = eigenthings(network), _vector(network)
    return lambda: H.matvec(v)


def _vector(network: Network) -> Tensor:
    return torch.randn(network.size, generator=torch.Generator().manual_seed(0)).to(network.x.device)


# ---- the largest eigenvalues, descending -----------------------------------------------------------------------------


def pyhessian_largest(network: Network, k: int, tolerance: float) -> np.ndarray:
    return np.sort(pyhessian(network).eigenvalues(top_n=k, tol=tolerance)[0])[::-1]


def curvlinops_largest(network: Network, k: int, tolerance: float) -> np.ndarray:
    from scipy.sparse.linalg import eigsh

    H = curvlinops(network).to_scipy()
    return np.sort(eigsh(H, k, which="LA", tol=tolerance, return_eigenvectors=False))[::-1]


def eigenthings_largest(network: Network, k: int, steps: int | None) -> np.ndarray:
    from hessian_eigenthings import lanczos

    found = lanczos(eigenthings(network), k=k, max_iter=steps, which="LA", seed=0)
    return found.eigenvalues.cpu().numpy()


# ---- draws of Hutchinson's estimator of the trace --------------------------------------------------------------------


def pyhessian_trace(network: Network, draws: int) -> tuple[float, float]:
    found = pyhessian(network).trace(maxIter=draws, tol=0.0)
    return float(np.mean(found)), float(np.std(found, ddof=1) / len(found) ** 0.5)


def curvlinops_trace(network: Network, draws: int) -> tuple[float, None]:
    from curvlinops import hutchinson_trace

    return float(hutchinson_trace(curvlinops(network), num_matvecs=draws)), None


def eigenthings_trace(network: Network, draws: int) -> tuple[float, float]:
    from hessian_eigenthings import hutchinson

    found = hutchinson(eigenthings(network), num_samples=draws, seed=0)
    return float(found.estimate), float(found.stderr)


# ---- stochastic Lanczos quadrature: nodes and weights, (runs, steps) each --------------------------------------------


def pyhessian_density(network: Network, steps: int, probes: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = pyhessian(network).density(iter=steps, n_v=probes)
    return np.asarray(nodes), np.asarray(weights)


def pyhessian_density_mended(network: Network, steps: int, probes: int) -> tuple[np.ndarray, np.ndarray]:
    """The same with `torch.eig`, which torch has dropped, put back for the time of the call."""

    def eig(T: Tensor, eigenvectors: bool = True) -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eig(T)
        return torch.view_as_real(values), vectors.real

    with patch.object(torch, "eig", eig, create=True):
        return pyhessian_density(network, steps, probes)


def curvlinops_density(network: Network, steps: int, probes: int) -> tuple[Tensor, Tensor]:
    """The density on a grid, as its users call it; it does not give the nodes."""
    from curvlinops import lanczos_approximate_spectrum

    return lanczos_approximate_spectrum(curvlinops(network), steps, num_repeats=probes)


def curvlinops_nodes(network: Network, steps: int, probes: int) -> tuple[np.ndarray, np.ndarray]:
    """What lies behind it."""
    from curvlinops.papyan2020traces.spectrum import fast_lanczos

    H = curvlinops(network)
    runs = [fast_lanczos(H, steps) for _ in range(probes)]
    nodes, vectors = (torch.stack(parts) for parts in zip(*runs, strict=True))
    return nodes.numpy(), vectors[:, 0, :].square().numpy()


def eigenthings_density(network: Network, steps: int, probes: int) -> tuple[np.ndarray, np.ndarray]:
    from hessian_eigenthings import spectral_density

    found = spectral_density(eigenthings(network), lanczos_steps=steps, num_runs=probes, seed=0)
    return found.raw_eigenvalues.numpy(), found.raw_weights.numpy()


# ---- a surface -------------------------------------------------------------------------------------------------------


def landscapes_surface(network: Network, points: int) -> np.ndarray:
    """Losses (points, points) on a plane of filter-normalised random directions."""
    from loss_landscapes import random_plane
    from loss_landscapes.metrics import Loss

    metric = Loss(CRITERION, network.x, network.y)
    with torch.no_grad():
        return random_plane(copy.deepcopy(network.model), metric, distance=1, steps=points, normalization="filter")


# ---- their operators -------------------------------------------------------------------------------------------------


def pyhessian(network: Network):
    from pyhessian import hessian

    on_gpu = network.x.device.type == "cuda"
    return hessian(copy.deepcopy(network.model), CRITERION, data=(network.x, network.y), cuda=on_gpu)


def curvlinops(network: Network):
    from curvlinops import HessianLinearOperator

    model = copy.deepcopy(network.model)
    return HessianLinearOperator(model, CRITERION, list(model.parameters()), [(network.x, network.y)])


def eigenthings(network: Network):
    from hessian_eigenthings import HessianOperator, supervised_loss

    return HessianOperator(copy.deepcopy(network.model), [(network.x, network.y)], supervised_loss(CRITERION))
