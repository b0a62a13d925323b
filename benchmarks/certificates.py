"""Exact certificates: how long they take to check and to make, beside what one would otherwise use.

    python benchmarks/certificates.py [--only verify]

writes ``benchmarks/results/certificates.json``, row by row. One process, one thread, processor time. The rows:

    verify     the six published certificates, from their numbers to the verdict. Limit: the products and solves alone
    definite   one matrix of a certificate: our ways, sympy's, and elimination in Python's fractions
    make       the program of t = 15 and 31 steps, from the steps to a verified certificate, against the same program
               written in cvxpy and solved by the same solver, which ends with floating-point multipliers

There is no peer for the whole: the authors' notebooks want Mathematica.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import machine
from lemmata.descent.certificate import Certificate, generate, published, verify
from lemmata.descent.certificate.conditions import quadratic_form
from lemmata.linalg.definite import is_positive_definite, rational_matrix
from turns import RESULTS, Row, Side, merge, show

LENGTHS = (3, 7, 15, 31, 63, 127)
DELTA = {15: Fraction(1, 20_000), 31: Fraction(1, 10**6)}
OURS = "times our own seconds"


def check() -> Iterator[Row]:
    fresh = [_fresh(published(t)) for t in LENGTHS]
    side = Side("lemmata", lambda: [_timed(make()) for make in fresh], _checked)
    yield Row(
        "verify the six published certificates", lambda: [_algebra(t) for t in LENGTHS], "times the algebra alone",
        [side], turns=5, limit=1.0, limit_reason="one exact product Z and one exact solve a certificate",
        facts={"our processor seconds at most": 5.0},
    )  # fmt: skip


def _fresh(certificate: Certificate) -> Callable[[], Certificate]:
    """A maker of equal certificates that have not yet been converted to flint matrices."""
    parts = certificate.steps, certificate.Delta, certificate.lam, certificate.gam
    return lambda: Certificate(*parts, rate=certificate.rate)


def _timed(certificate: Certificate) -> tuple[int, bool, float, float]:
    start = machine.clock()
    found = verify(certificate)
    return certificate.t, found.holds, math.nan if found.eps is None else float(found.eps), machine.clock() - start


def _checked(found: list[tuple[int, bool, float, float]]) -> dict[str, Any]:
    return {
        "all hold": all(holds for _, holds, _, _ in found),
        "processor seconds": sum(seconds for *_, seconds in found),
        **{f"seconds, t = {t}": seconds for t, _, _, seconds in found},
        **{f"eps, t = {t}": eps for t, _, eps, _ in found},
    }


def _algebra(t: int) -> Any:
    M = _block(t)
    ones = rational_matrix([[1]] * M.nrows())
    return M.solve(ones)


def _block(t: int) -> Any:
    """M of lam: positive semidefinite for t = 3, definite beyond; there a little is added."""
    Z = quadratic_form(published(t).steps, published(t).lam_matrix).tolist()
    M = [row[1:] for row in Z[1:]]
    if t == 3:
        M = [[x + (i == j) for j, x in enumerate(row)] for i, row in enumerate(M)]
    return rational_matrix(M)


def definite() -> Iterator[Row]:
    for t in (15, 127):
        M = _block(t)
        ways = {"auto": " (congruence)", "interval": "", "characteristic polynomial": ""}
        sides = [Side(f"lemmata, {way}{more}", partial(is_positive_definite, M, way=way)) for way, more in ways.items()]
        if t == 15:
            sides.append(Side("lemmata, ldl: Python's fractions", partial(is_positive_definite, M, way="ldl")))
            sides.append(Side(f"sympy {version('sympy')}", partial(_sympy, M)))
        unit = partial(is_positive_definite, M)
        yield Row(f"is the matrix of t = {t} positive definite", unit, OURS, sides, facts={"order": M.nrows()})


def _sympy(M: Any) -> bool:
    from sympy import Matrix, Rational

    return bool(Matrix([[Rational(int(x.p), int(x.q)) for x in row] for row in M.tolist()]).is_positive_definite)


def make() -> Iterator[Row]:
    for t, Delta in DELTA.items():
        ours = partial(generate, published(t).steps, Delta)
        sides = [
            Side("lemmata, verified", ours, _made),
            Side(f"cvxpy {version('cvxpy')} and Clarabel", partial(_cvxpy, t, float(Delta)), _left),
        ]
        yield Row(f"make a certificate of {t} steps", ours, OURS, sides, turns=3, facts={"Delta": float(Delta)})


def _made(found: Certificate) -> dict[str, Any]:
    result = verify(found)
    return {"holds": result.holds, "eps": math.nan if result.eps is None else float(result.eps)}


def _left(found: tuple[float, float]) -> dict[str, Any]:
    return {"eps": found[0], "an equality is off by, so that nothing is proven": found[1]}


def _cvxpy(t: int, Delta: float) -> tuple[float, float]:
    """The conditions as they stand in the paper; eps, and what the flows of lam are off by."""
    import cvxpy

    h = np.array(published(t).steps, dtype=float)
    n = t + 2
    X = np.zeros((n, n))
    X[0, 1:] = 1
    for k in range(t):
        X[k + 1, k + 2 :] = -h[k]
    lam, gam, eps = cvxpy.Variable((n, n)), cvxpy.Variable((n, n)), cvxpy.Variable()
    wanted = np.zeros(n - 1)
    wanted[0], wanted[-1] = -1, 1
    flow = [cvxpy.sum(part, axis=0)[1:] - cvxpy.sum(part, axis=1)[1:] for part in (lam, gam)]
    conditions = [lam >= 0, lam + Delta * gam >= 0, lam[0] == 0, lam[:, 0] == 0, gam[:, 0] == 0, cvxpy.diag(lam) == 0]
    conditions += [cvxpy.diag(gam) == 0, flow[0] == wanted, flow[1] == 2 * h.sum() * np.eye(n - 1)[0]]
    m = cvxpy.reshape(-gam[0, 1:] / 2, (n - 1, 1), order="C")
    for part in (lam, lam + Delta * gam):
        inner = X @ part - X @ cvxpy.diag(cvxpy.sum(part, axis=0))
        both = cvxpy.diag(cvxpy.sum(part, axis=0) + cvxpy.sum(part, axis=1)) - part - part.T
        M = ((inner + inner.T + both) / 2)[1:, 1:]
        corner = cvxpy.reshape(h.sum() + t * eps, (1, 1), order="C")
        block = cvxpy.bmat([[corner, m.T], [m, M]])
        conditions.append((block + block.T) / 2 >> 0)
    problem = cvxpy.Problem(cvxpy.Minimize(eps), conditions)
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-9, tol_gap_rel=1e-9, tol_feas=1e-9, max_threads=1)
    off = np.abs(np.asarray(flow[0].value) - wanted).max()
    return float(eps.value), float(off)


ROWS: dict[str, Callable[[], Iterator[Row]]] = {"verify": check, "definite": definite, "make": make}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=ROWS, nargs="+", default=list(ROWS))
    parser.add_argument("--output", type=Path, default=RESULTS / "certificates.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts, done = machine.facts(), []
    for name in options.only:
        for row in ROWS[name]():
            done.append(row.measure(note=print))
            merge(options.output, done[-1], facts)
    show(done)


if __name__ == "__main__":
    main()
