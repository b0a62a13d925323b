"""The largest curvature at which full-batch descent with a step size is locally stable.

On a quadratic with curvature a, descent with step size eta and momentum beta in the form of torch.optim,
v <- beta v + g, theta <- theta - eta v, converges for every start if and only if a is positive and below

    2 / eta                                gradient descent
    (2 + 2 beta) / eta                     with Polyak's momentum
    (2 + 2 beta) / (eta (1 + 2 beta))      with Nesterov's

since then both roots of the recursion's characteristic polynomial lie inside the unit circle (Cohen, Kaur, Li, Kolter
and Talwalkar, 2021, section 2 and appendix B). Beyond it the component along that eigenvector grows without bound.
"""

from lemmata.errors import InvalidInput


def stability_threshold(lr: float, momentum: float = 0.0, *, nesterov: bool = False) -> float:
    """The curvature at which gradient descent with step size `lr` and `momentum` loses its stability.

    Raises `InvalidInput` for a step size that is not positive and a momentum outside [0, 1).

    >>> stability_threshold(0.1), round(stability_threshold(0.1, 0.9), 6)
    (20.0, 38.0)
    """
    if not lr > 0:
        raise InvalidInput(f"lr = {lr}: a step size is positive")
    if not 0 <= momentum < 1:
        raise InvalidInput(f"momentum = {momentum}: it must be at least 0 and below 1")
    return (2 + 2 * momentum) / (lr * (1 + 2 * momentum if nesterov else 1))
