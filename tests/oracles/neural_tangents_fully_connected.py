"""NNGP and NTK of fully-connected nets, in the NTK parameterisation (sigma_w / sqrt(fan-in) on W, sigma_b on b).

`x` are 5 points of dimension 5, the third near the first, the fifth far from the origin. `depth` counts weight layers;
a nonlinearity stands between two. All layers have `weight_variance` sigma_w^2 and `bias_variance` sigma_b^2, and the
biases are trained. The first covariance is sigma_w^2 x.z / 5 + sigma_b^2. `leaky_relu` has slope 0.1, `sine` is
sin(x), `gelu` is x Phi(x), `sigmoid_like` is (erf(x / 2.4020563531719796) + 1) / 2, `gaussian` is exp(-x^2).
A diagonal of an NTK with kinks (relu, leaky_relu, abs) carries errors of 1e-8: the arc cosine of 1, as rounded.

`residual`: h = W x; `blocks` times h = h + W phi(h); then f = W phi(h). `layer_norm`: as the plain net, every
preactivation normalised over its units before the nonlinearity.
"""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from neural_tangents import stax

VARIANCES = ((2.0, 0.0), (1.5, 0.1))
ACTIVATIONS = {
    "relu": stax.Relu,
    "leaky_relu": lambda: stax.LeakyRelu(0.1),
    "identity": stax.Identity,
    "abs": stax.Abs,
    "erf": stax.Erf,
    "gelu": stax.Gelu,
    "sine": stax.Sin,
    "cosine": stax.Cos,
    "sigmoid_like": stax.Sigmoid_like,
    "gaussian": stax.Gaussian,
}


def content() -> dict[str, Any]:
    draw = np.random.default_rng(0)
    x = draw.standard_normal((5, 5))
    x[2] = x[0] + 1e-3 * draw.standard_normal(5)
    x[4] *= 3
    return {"x": x, "plain": list(plain(x)), "residual": list(residual(x)), "layer_norm": list(layer_norm(x))}


def plain(x: np.ndarray) -> Iterator[dict[str, Any]]:
    for weight, bias in VARIANCES:
        dense = _dense(weight, bias)
        yield _case(x, [dense()], activation="relu", depth=1, weight_variance=weight, bias_variance=bias)
        for name, activation in ACTIVATIONS.items():
            for depth in (2, 3, 6):
                layers = [dense(), *(layer() for _ in range(depth - 1) for layer in (activation, dense))]
                yield _case(x, layers, activation=name, depth=depth, weight_variance=weight, bias_variance=bias)


def residual(x: np.ndarray) -> Iterator[dict[str, Any]]:
    for weight, bias in VARIANCES:
        dense = _dense(weight, bias)
        for name in ("relu", "erf"):
            activation = ACTIVATIONS[name]
            for blocks in (1, 3):
                layers = [dense()]
                for _ in range(blocks):
                    branch = stax.serial(activation(), dense())
                    layers += [stax.FanOut(2), stax.parallel(branch, stax.Identity()), stax.FanInSum()]
                layers += [activation(), dense()]
                yield _case(x, layers, activation=name, blocks=blocks, weight_variance=weight, bias_variance=bias)


def layer_norm(x: np.ndarray) -> Iterator[dict[str, Any]]:
    for weight, bias in VARIANCES:
        dense = _dense(weight, bias)
        for name in ("relu", "erf"):
            for depth in (2, 4):
                layers = [dense()]
                for _ in range(depth - 1):
                    layers += [stax.LayerNorm(), ACTIVATIONS[name](), dense()]
                yield _case(x, layers, activation=name, depth=depth, weight_variance=weight, bias_variance=bias)


def _dense(weight: float, bias: float) -> Any:
    return lambda: stax.Dense(1, W_std=weight**0.5, b_std=bias**0.5)


def _case(x: np.ndarray, layers: list[Any], **law: Any) -> dict[str, Any]:
    found = stax.serial(*layers)[2](jnp.asarray(x), None, ("nngp", "ntk"))
    return {**law, "nngp": found.nngp, "ntk": found.ntk}
