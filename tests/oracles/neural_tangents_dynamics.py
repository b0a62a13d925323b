"""Training of a linearised network, df/dt = -K grad loss, and the ensemble over initialisations.

`kernel` (6, 6), `kernel_test` (3, 6) are the tangent kernel between the training points, and of test with training
points; `y` (6, 2) targets, `f` (6, 2) and `f_test` (3, 2) the outputs at time 0. `flow` solves with the loss
|f - y|^2 / (2 * 6 * 2), the mean over samples and outputs, in closed form; null stands for infinite time.

`momentum`: the same loss, discrete steps read as an ODE: with learning rate eta and momentum m, after t steps, the
state (f, q) at s = sqrt(eta) t, where df/ds = q, dq/ds = (m - 1)/sqrt(eta) q - K grad loss, q = 0 at first.
`cross_entropy`: the mean over samples of -sum_c y_c log softmax(f)_c, with y one-hot `labels`. Both by an ODE solver
to 1e-8 or so.

`ensemble`: mean and covariance at the test points, over initialisations, of infinitely wide nets trained for a time
(null: to convergence) on the squared loss above, by gradient flow from the prior; `nngp` and `ntk` are of the points
`x`, the first 6 of them for training, the last 3 for testing. "ntk" trains all layers, "nngp" the last one only.
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import nn
from neural_tangents import predict, stax

TIMES = [0.0, 0.3, 2.0, 20.0, 300.0]
ETA, MOMENTUM = 0.3, 0.9


def content() -> dict[str, Any]:
    draw = np.random.default_rng(3)
    x, y = draw.standard_normal((9, 4)), draw.standard_normal((6, 2))
    f, f_test = 0.5 * draw.standard_normal((6, 2)), 0.5 * draw.standard_normal((3, 2))
    dense = partial(stax.Dense, 1, W_std=2**0.5, b_std=0.3)
    kernel_fn = stax.serial(dense(), stax.Erf(), dense(), stax.Erf(), dense())[2]
    both = kernel_fn(jnp.asarray(x), None, ("nngp", "ntk"))
    kernel, kernel_test = both.ntk[:6, :6], both.ntk[6:, :6]
    labels = [0, 1, 1, 0, 1, 0]
    start = {"fx_test_0": jnp.asarray(f_test), "k_test_train": kernel_test}
    flow = predict.gradient_descent_mse(kernel, jnp.asarray(y))
    momentum = predict.gradient_descent(_half_mean_square, kernel, jnp.asarray(y), ETA, MOMENTUM)
    entropy = predict.gradient_descent(_cross_entropy, kernel, jnp.eye(2)[jnp.array(labels)])
    return {
        "x": x, "y": y, "f": f, "f_test": f_test, "labels": labels, "nngp": both.nngp, "ntk": both.ntk,
        "kernel": kernel, "kernel_test": kernel_test, "eta": ETA, "momentum_factor": MOMENTUM,
        "flow": [_state(t, flow(t, jnp.asarray(f), **start)) for t in [*TIMES, None]],
        "momentum": [_state(t, momentum(t, jnp.asarray(f), **start)) for t in TIMES[1:4]],
        "cross_entropy": [_state(t, entropy(t, jnp.asarray(f), **start)) for t in TIMES[1:4]],
        "ensemble": _ensemble(kernel_fn, x, y),
    }  # fmt: skip


def _ensemble(kernel_fn: Any, x: np.ndarray, y: np.ndarray) -> list[dict[str, Any]]:
    trained = predict.gradient_descent_mse_ensemble(kernel_fn, jnp.asarray(x[:6]), jnp.asarray(y))
    cases = []
    for t in [*TIMES, None]:
        found = trained(t=t, x_test=jnp.asarray(x[6:]), get=("nngp", "ntk"), compute_cov=True)
        for name, gaussian in (("nngp", found.nngp), ("ntk", found.ntk)):
            cases.append({"t": t, "trained": name, "mean": gaussian.mean, "covariance": gaussian.covariance})
    return cases


def _state(t: float | None, outputs: Any) -> dict[str, Any]:
    return {"t": t, "f": outputs[0], "f_test": outputs[1]}


def _half_mean_square(f: jnp.ndarray, y: jnp.ndarray) -> jnp.ndarray:
    return 0.5 * jnp.mean((f - y) ** 2)


def _cross_entropy(f: jnp.ndarray, y: jnp.ndarray) -> jnp.ndarray:
    return -jnp.mean(jnp.sum(nn.log_softmax(f) * y, -1))
