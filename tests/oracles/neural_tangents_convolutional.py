"""CNN-GP and CNTK: 3 x 3 convolutions with zero padding (SAME) and ReLU, no biases, four readouts, on small images.

`images` names two sets of three: `small` (3, 3, 5, 6) and `square` (3, 2, 8, 8); the third image is near the first.
`convolutions` counts those layers, each followed by a ReLU; then comes the readout and one dense layer.
`readout`: "flatten"; "average" over all pixels; "local-average", over windows of 2 x 2 of stride 2, then flatten;
"local-average-same", over 3 x 3 windows of stride 1, zeros padded and counted, then flatten (small images only).

`parameterisation`: "standard" is neural-tangents' own, sigma_w^2 = 2 everywhere, each convolution divided by its
fan-in 9 c. In "fixed" the first convolution has sigma_w^2 = 9 c, so that its covariance is the plain sum over the patch
and the channels, later ones 2, the dense layer 1 (the mean over its inputs); of its tangent kernel the first and the
last layer are not trained: the kernel starts from 0 after the first convolution, and the last layer's own term (the
CNN-GP) is taken off. This is Arora et al. (2019) with fixed first and last layers, up to one constant factor each.
"""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from neural_tangents import stax

READOUTS = {
    "flatten": lambda: [stax.Flatten()],
    "average": lambda: [stax.GlobalAvgPool()],
    "local-average": lambda: [stax.AvgPool((2, 2), (2, 2)), stax.Flatten()],
    "local-average-same": lambda: [
        stax.AvgPool((3, 3), (1, 1), "SAME", normalize_edges=False), stax.Flatten()
    ],
}  # fmt: skip


def content() -> dict[str, Any]:
    draw, images = np.random.default_rng(1), {}
    for name, shape in {"small": (3, 3, 5, 6), "square": (3, 2, 8, 8)}.items():
        images[name] = draw.standard_normal(shape)
        images[name][2] = images[name][0] + 1e-2 * draw.standard_normal(shape[1:])
    return {"images": images, "cases": list(cases(images))}


def cases(images: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    for name, x in images.items():
        for readout, layers in READOUTS.items():
            if readout == {"small": "local-average", "square": "local-average-same"}[name]:
                continue
            for convolutions in (1, 2, 4):
                law = {"images": name, "readout": readout, "convolutions": convolutions}
                x_last = jnp.asarray(x.transpose(0, 2, 3, 1))
                standard, fixed = _standard(x_last, convolutions, layers()), _fixed(x_last, convolutions, layers())
                for parameterisation, found in (("standard", standard), ("fixed", fixed)):
                    yield {"parameterisation": parameterisation, **law, "nngp": found[0], "ntk": found[1]}


def _standard(x: jnp.ndarray, convolutions: int, readout: list[Any]) -> tuple[jnp.ndarray, jnp.ndarray]:
    body = [layer for _ in range(convolutions) for layer in (_convolution(2.0), stax.Relu())]
    found = stax.serial(*body, *readout, stax.Dense(1, W_std=2**0.5, b_std=0))[2](x, None, ("nngp", "ntk"))
    return found.nngp, found.ntk


def _fixed(x: jnp.ndarray, convolutions: int, readout: list[Any]) -> tuple[jnp.ndarray, jnp.ndarray]:
    rest = [layer for _ in range(convolutions - 1) for layer in (_convolution(2.0), stax.Relu())]
    after = stax.serial(stax.Relu(), *rest, *readout, stax.Dense(1, W_std=1.0, b_std=0))[2]
    first = stax.serial(_convolution(9.0 * x.shape[-1]))[2](
        x, None, pattern=None, diagonal_batch=True, diagonal_spatial=False
    )
    found = after(first.replace(ntk=jnp.zeros_like(first.nngp)))
    return found.nngp, found.ntk - found.nngp


def _convolution(weight_variance: float) -> Any:
    return stax.Conv(1, (3, 3), padding="SAME", W_std=weight_variance**0.5, b_std=0)
