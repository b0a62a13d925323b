"""Two layers without biases, linear or ReLU, with the Hessian written out."""

import torch

from lemmata import nets
from lemmata.errors import InvalidInput
from lemmata.phantoms.phantom import F64, Phantom, filled, normals


def two_layer(
    n: int = 20,
    widths: tuple[int, int, int] = (3, 4, 2),
    *,
    activation: str = "relu",
    teacher: bool = False,
    seed: int | torch.Generator = 0,
) -> Phantom:
    """W_2 phi(W_1 x) without biases, phi ``"relu"`` or ``"identity"`` (a deep linear net), mean squared error.

    With masks m_n = [W_1 x_n > 0] (ones for the linear net), h_n = m_n W_1 x_n, residuals e_n and c = 2 / (nk):

        d2L / dW1_ai dW1_bj = c sum_n m_na m_nb (W_2' W_2)_ab x_ni x_nj
        d2L / dW2_oa dW2_pb = c [o = p] sum_n h_na h_nb
        d2L / dW1_ai dW2_ob = c sum_n ([a = b] e_no m_na x_ni + W2_oa m_na x_ni h_nb)

    With `teacher` the targets are the net's own outputs: a global minimum, where only the Gauss-Newton part is left.

    >>> bool(two_layer().eigenvalues.min() < 0), two_layer(teacher=True).value
    (True, 0.0)
    """
    if activation not in ("relu", "identity"):
        raise InvalidInput(f"activation = {activation!r}; the closed form is for 'relu' and 'identity'")
    d, width, k = widths
    X, W1, W2, Y = normals(seed, (n, d), (width, d), (k, width), (n, k))
    net = nets.mlp(d, [width], k, activation=activation, bias=False, seed=0, dtype=F64)
    model = filled(net, {"hidden1.weight": W1, "output.weight": W2})
    M = (X @ W1.T > 0).to(F64) if activation == "relu" else torch.ones(n, width, dtype=F64)
    h = M * (X @ W1.T)
    Y = h @ W2.T if teacher else Y
    e, c = h @ W2.T - Y, 2 / (n * k)
    cross = torch.einsum("no,na,ni,ab->aiob", e, M, X, torch.eye(width, dtype=F64))
    cross += torch.einsum("oa,na,ni,nb->aiob", W2, M, X, h)
    first = torch.einsum("na,nb,ab,ni,nj->aibj", M, M, W2.T @ W2, X, X).reshape(width * d, width * d)
    second = torch.kron(torch.eye(k, dtype=F64), h.T @ h)
    cross = cross.reshape(width * d, k * width)
    H = c * torch.cat([torch.cat([first, cross], 1), torch.cat([cross.T, second], 1)])
    g = c * torch.cat([(M * (e @ W2)).T.matmul(X).flatten(), (e.T @ h).flatten()])
    return Phantom(f"two layers, {activation}", model, "mse", (X, Y), float(e.square().mean()), g, H)
