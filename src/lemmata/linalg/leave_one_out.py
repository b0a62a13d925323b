"""The basis that a sketch has without one of its test vectors, for all of them at once.

Let Y = Q R be the thin QR factorisation of A Omega (n, k), and s_i the i-th column of R^-T, normalised: it is
orthogonal to all columns of R but the i-th. Then

    Q (I - s_i s_i^T) Q^T

projects on a space of dimension k - 1 that holds every column of Y but the i-th, and is that of those columns where Y
has full rank (Epperly, Tropp and Webber, 2024, section 3). Cost: O(n k^2 + k^3) flops, no product with A.
"""

import torch
from torch import Tensor


def leave_one_out(Y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q (n, k), R (k, k) and S (k, k), whose columns are the s_i, of the sketch Y (n, k); S and R in float64.

    Where Y is rank-deficient, R is replaced by one of full rank within rounding of it.

    >>> Q, R, S = leave_one_out(torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
    >>> float((S[:, 0] @ R[:, 1]).abs()) < 1e-6
    True
    """
    Q, R = torch.linalg.qr(Y)
    R = R.double()
    floor = torch.finfo(Y.dtype).eps * max(float(R.abs().max()), torch.finfo(Y.dtype).tiny)
    diagonal = R.diagonal()
    diagonal.copy_(torch.where(diagonal.abs() < floor, floor, diagonal))
    eye = torch.eye(len(R), dtype=R.dtype, device=R.device)
    S = torch.linalg.solve_triangular(R.T, eye, upper=False)
    return Q, R, S / S.norm(dim=0)
