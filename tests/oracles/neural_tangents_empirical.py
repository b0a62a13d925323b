"""Empirical tangent kernels J(x) J(z)^T of two networks with 3 outputs, over all weights and biases.

`mlp`: Linear(6, 8), tanh, Linear(8, 7), ReLU, Linear(7, 3), on x (4, 6) and z (3, 6).
`cnn`: Conv(2, 4, 3 x 3, zeros padded), ReLU, average over 2 x 2, Conv(4, 5, 3 x 3, zeros padded, stride 2), tanh, mean
over the pixels, Linear(5, 3), on x (3, 2, 6, 6) and z (2, 2, 6, 6).
`weights` are in torch's layout and order; `ntk_xx` and `ntk_xz` are (n, m, 3, 3), by structured derivatives; the
implementation by Jacobian contraction agrees to 1e-12, which is asserted.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import neural_tangents as nt
import numpy as np
from jax import lax

SHAPES = {
    "mlp": [(8, 6), (8,), (7, 8), (7,), (3, 7), (3,)],
    "cnn": [(4, 2, 3, 3), (4,), (5, 4, 3, 3), (5,), (3, 5), (3,)],
}


def mlp(weights: list[jnp.ndarray], x: jnp.ndarray) -> jnp.ndarray:
    W1, b1, W2, b2, W3, b3 = weights
    return jax.nn.relu(jnp.tanh(x @ W1.T + b1) @ W2.T + b2) @ W3.T + b3


def cnn(weights: list[jnp.ndarray], x: jnp.ndarray) -> jnp.ndarray:
    W1, b1, W2, b2, W3, b3 = weights
    h = jax.nn.relu(_convolution(x, W1, 1) + b1[:, None, None])
    h = h.reshape(len(h), 4, 3, 2, 3, 2).mean((3, 5))
    h = jnp.tanh(_convolution(h, W2, 2) + b2[:, None, None])
    return h.mean((2, 3)) @ W3.T + b3


def content() -> dict[str, Any]:
    draw = np.random.default_rng(2)
    sizes = {"mlp": ((4, 6), (3, 6)), "cnn": ((3, 2, 6, 6), (2, 2, 6, 6))}
    return {name: _case(draw, {"mlp": mlp, "cnn": cnn}[name], SHAPES[name], *sizes[name]) for name in SHAPES}


def _case(draw: np.random.Generator, f: Callable, shapes: list, x_shape: tuple, z_shape: tuple) -> dict[str, Any]:
    weights = [jnp.asarray(draw.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))) for shape in shapes]
    x, z = jnp.asarray(draw.standard_normal(x_shape)), jnp.asarray(draw.standard_normal(z_shape))
    structured, plain = (
        nt.empirical_ntk_fn(f, trace_axes=(), vmap_axes=0, implementation=way)
        for way in (nt.NtkImplementation.STRUCTURED_DERIVATIVES, nt.NtkImplementation.JACOBIAN_CONTRACTION)
    )
    found = {"ntk_xx": structured(x, None, weights), "ntk_xz": structured(x, z, weights)}
    assert np.allclose(found["ntk_xz"], plain(x, z, weights), rtol=1e-12, atol=1e-12)
    return {"weights": weights, "x": x, "z": z, "f_x": f(weights, x), **found}


def _convolution(x: jnp.ndarray, W: jnp.ndarray, stride: int) -> jnp.ndarray:
    return lax.conv_general_dilated(x, W, (stride, stride), ((1, 1), (1, 1)))
