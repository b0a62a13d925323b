"""Norms of convolutions against dense matrices, over shapes, strides, paddings, dilations, groups and modes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.linalg import convolution_norm, matrix_norm
from lemmata.linalg.convolution_matrix import Geometry, sparse_matrix
from lemmata.linalg.verified_norm import proven_by_factorisation, proven_by_squaring


def layer(dimensions, outs, ins, kernel, **options):
    make = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
    return make(ins, outs, kernel, bias=False, **options).double().requires_grad_(False)


def dense(conv, size):
    ins = conv.in_channels
    eye = torch.eye(ins * math.prod(size)).double().reshape(-1, ins, *size)
    return conv(eye).flatten(1).T.numpy()


@settings(max_examples=40, deadline=None)
@given(
    dimensions=st.integers(1, 3), kernel=st.integers(1, 4), stride=st.integers(1, 3), padding=st.integers(0, 3),
    dilation=st.integers(1, 2), groups=st.integers(1, 2), outs=st.integers(1, 3), ins=st.integers(1, 3),
    side=st.integers(4, 9), mode=st.sampled_from(["zeros", "zeros", "circular", "reflect", "replicate"]),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_bounds_enclose_the_norm_of_the_dense_matrix(
    *, dimensions, kernel, stride, padding, dilation, groups, outs, ins, side, mode, seed
):
    size = (side, side - 1, 4)[:dimensions] if dimensions < 3 else (4, 3, 4)
    if dilation * (kernel - 1) >= min(size) + 2 * padding or (mode != "zeros" and padding >= min(size)):
        return
    torch.manual_seed(seed)
    conv = layer(
        dimensions, groups * outs, groups * ins, kernel, stride=stride, padding=padding, dilation=dilation,
        groups=groups, padding_mode=mode,
    )  # fmt: skip
    exact = float(np.linalg.norm(dense(conv, size), 2))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "padding_mode": mode}
    found = convolution_norm(conv.weight, size, **options, seed=seed)
    assert found.low <= exact * (1 + 1e-12)  # the dense matrix' own rounding
    assert found.high >= exact * (1 - 1e-12)
    assert found.way == "factorisation"
    assert found.gap <= 3e-6  # tolerance 1e-6, eightfold where Lanczos stopped a little below
    symbol = convolution_norm(conv.weight, size, **options, way="symbol", seed=seed)
    assert symbol.high >= exact * (1 - 1e-12)
    reached = conv(found.vector[None]).norm() / found.vector.norm()
    assert float(reached) == pytest.approx(found.low, rel=1e-9)


def test_the_sparse_matrix_is_the_dense_one():
    conv = layer(2, 3, 2, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2))
    geometry = Geometry((5, 7), (3, 2), (2, 1), (1, 2), (1, 2))
    T = sparse_matrix(conv.weight.numpy(), geometry).toarray()
    # rows: position by position, the longest side (of the input: the second) first, channels last
    rows = dense(conv, (5, 7)).reshape(3, *geometry.output, 2, 5, 7)
    np.testing.assert_allclose(T, rows.transpose(2, 1, 0, 5, 4, 3).reshape(T.shape), rtol=0, atol=1e-15)


@pytest.mark.parametrize("side", [4, 7])
def test_circular_convolution_is_that_of_sedghi_gupta_and_long(side):
    # their algorithm: the largest singular value of the two-dimensional transform of the kernel, at all frequencies
    conv = layer(2, 4, 3, 3, padding=1, padding_mode="circular")
    transforms = np.fft.fft2(conv.weight.numpy(), (side, side), axes=(2, 3))
    theirs = np.linalg.svd(transforms.transpose(2, 3, 0, 1), compute_uv=False).max()
    for way in ("symbol", "factorisation"):
        found = convolution_norm(conv.weight, (side, side), padding=1, padding_mode="circular", way=way)
        assert theirs * (1 - 1e-10) <= found.high <= theirs * (1 + 2e-4)


def test_reshaped_kernels_are_no_bound():
    # a network of two 3x3 convolutions: the norms of the kernels reshaped to matrices are too small by up to 3
    torch.manual_seed(0)
    for ins, outs, side in ((1, 16, 28), (16, 16, 14)):
        conv = layer(2, outs, ins, 3, padding=1)
        conv.weight += 0.1  # as after training, filters have a mean
        found = convolution_norm(conv.weight, (side, side), padding=1)
        assert found.reshaped == pytest.approx(float(np.linalg.norm(conv.weight.flatten(1).numpy(), 2)))
        assert 1.8 < found.low / found.reshaped <= 3


def test_the_all_ones_kernel_has_a_closed_form():
    # ones of 3 on n points, zeros padded: tridiagonal, 1 + 2 cos(pi / (n + 1)); in two dimensions its square
    exact = (1 + 2 * math.cos(math.pi / 21)) ** 2
    found = convolution_norm(torch.ones(1, 1, 3, 3), (20, 20), padding=1)
    assert found.low <= exact <= found.high <= exact * (1 + 2e-6)
    symbol = convolution_norm(torch.ones(1, 1, 3, 3), (20, 20), padding=1, way="symbol")
    assert exact <= symbol.high <= 9 * (1 + 1e-3)


def test_matrices():
    torch.manual_seed(0)
    for shape in ((1, 1), (5, 9), (9, 5), (200, 60)):
        A = torch.randn(shape)
        exact = float(torch.linalg.matrix_norm(A.double(), 2))
        found = matrix_norm(A)
        assert exact * (1 - 1e-9) <= found.high <= exact * (1 + 1e-5)
        assert found.low <= exact * (1 + 1e-12)
    zero = matrix_norm(torch.zeros(3, 4))
    assert (zero.low, zero.high, zero.gap) == (0.0, 0.0, 0.0)
    repeated = matrix_norm(torch.eye(30))  # an eigenvalue of any multiplicity
    assert repeated.low <= 1 <= repeated.high < 1 + 1e-5


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 40), m=st.integers(1, 40), seed=st.integers(0, 999), scale=st.sampled_from([1e-150, 1.0, 1e150])
)
def test_squaring_proves_a_bound_that_is_tight(n, m, seed, scale):
    A = torch.randn(3, n, m, generator=torch.Generator().manual_seed(seed)).double() * scale
    exact = float(torch.linalg.matrix_norm(A, 2).max())
    bound = proven_by_squaring(A)
    assert exact * (1 - 1e-13) <= bound <= exact * (1 + 2e-4)


def test_factorisation_refuses_what_is_not_above_the_norm():
    rng = np.random.default_rng(0)
    for n in (1, 5, 40):
        A = rng.standard_normal((n, n))
        G = A @ A.T
        top = np.linalg.eigvalsh(G)[-1]
        assert proven_by_factorisation(G, top * (1 - 1e-6), n, 0.0) == math.inf
        assert top <= proven_by_factorisation(G, top * (1 + 1e-9), n, 0.0) <= top * (1 + 1e-8)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_scale_does_no_harm(scale):
    weight = torch.randn(3, 2, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    one, other = (convolution_norm(weight * factor, (6, 6), padding=1) for factor in (1.0, scale))
    assert other.high == pytest.approx(one.high * scale, rel=1e-9)
    assert other.low == pytest.approx(one.low * scale, rel=1e-9)


def test_groups_are_bounded_by_the_largest():
    weight = torch.zeros(4, 1, 3)
    weight[:, 0, 1] = torch.tensor([1.0, -3.0, 2.0, 0.0])
    found = convolution_norm(weight, (6,), padding=1, groups=4)
    assert found.low <= 3 <= found.high < 3 + 1e-4
    assert found.vector.shape == (4, 6)
    assert float(found.vector[[0, 2, 3]].abs().max()) == 0


def test_bad_input_is_refused():
    weight = torch.randn(4, 2, 3, 3)
    for call, match in (
        (lambda: convolution_norm(weight, (8,)), "sides"),
        (lambda: convolution_norm(weight, (2, 2)), "does not fit"),
        (lambda: convolution_norm(weight, (8, 8), stride=0), "stride"),
        (lambda: convolution_norm(weight, (8, 8), padding=-1), "padding"),
        (lambda: convolution_norm(weight, (8, 8), groups=3), "groups"),
        (lambda: convolution_norm(weight * float("nan"), (8, 8)), "NaN"),
        (lambda: convolution_norm(weight[0, 0], (8, 8)), "out, in"),
        (lambda: convolution_norm(weight, (3, 3), padding=4, padding_mode="circular"), "larger than"),
        (lambda: matrix_norm(weight), "matrix of shape"),
        (lambda: convolution_norm(weight + 0j, (8, 8)), "complex64 .*real floating-point"),
        (lambda: convolution_norm(weight.long(), (8, 8)), "int64 .*real floating-point"),
        (lambda: convolution_norm(weight[:0], (8, 8)), "real floating-point"),
        (lambda: matrix_norm(torch.eye(2, dtype=torch.complex128)), "complex128"),
        (lambda: matrix_norm(torch.eye(2), tolerance=2), "tolerance = 2"),
        *((lambda t=t: convolution_norm(weight, (8, 8), tolerance=t), "tolerance") for t in (0, -1, math.nan, 2, "a")),
        *((lambda f=f: convolution_norm(weight, (8, 8), flops=f), "flops") for f in (-1, math.nan, "a")),
        *((lambda n=n: convolution_norm(weight, n), "size") for n in (["a", 8], [8.0, 8.0], "88", [True, 8], None)),
        (lambda: convolution_norm(weight, (8, 8), stride=1.5), "stride = 1.5; give a whole number"),
        (lambda: convolution_norm(weight, (8, 8), padding="same"), "padding = 'same'"),
        (lambda: convolution_norm(weight, (8, 8), groups=True), "groups"),
    ):
        with pytest.raises(InvalidInput, match=match):
            call()
    with pytest.raises(UnknownName, match="symbol"):
        convolution_norm(weight, (8, 8), way="symbl")
    with pytest.raises(UnknownName, match="circular"):
        convolution_norm(weight, (8, 8), padding_mode="circle")
