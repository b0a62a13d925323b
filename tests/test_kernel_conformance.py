"""The promises of kernels: each is broken once, by a kernel made for it."""

import pytest
import torch

from lemmata.conformance import KernelConformance
from lemmata.errors import InvalidInput
from lemmata.kernels import KernelMatrix


def checked(x, z):
    """What a kernel has to refuse."""
    z = x if z is None else z
    if not len(x) or not len(z) or x.shape[1:] != z.shape[1:] or not bool(x.isfinite().all() and z.isfinite().all()):
        raise InvalidInput("bad samples")
    return x.flatten(1), z.flatten(1)


def gaussian(x, z=None):
    a, b = checked(x, z)
    return torch.exp(-0.5 * (a[:, None] - b).square().sum(-1))


class Good(KernelConformance):
    """All promises kept."""

    def kernel(self, x, z=None):
        return gaussian(x, z)

    def truth(self, x, z):
        return torch.stack([torch.stack([torch.exp(-0.5 * (a - b).norm() ** 2) for b in z]) for a in x])


class OnImages(Good):
    """Samples of three axes, and a KernelMatrix for an answer."""

    def kernel(self, x, z=None):
        return KernelMatrix(gaussian(x / 4, z if z is None else z / 4), name="Gaussian", symmetric=z is None)

    def truth(self, x, z):
        return None

    def samples(self, dtype=torch.float64):
        return torch.randn(7, 2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("conformance", [Good, OnImages])
def test_a_good_kernel_passes_with_and_without_pytest(conformance):
    conformance().check()


def lopsided(x, z=None):
    k = gaussian(x, z)
    k[0, -1] += 1e-6
    return k


def knows_itself(x, z=None):
    """Noise on the diagonal, where x is said to be x: k(x) is not k(x, x)."""
    return gaussian(x, z) + (0.1 * torch.eye(len(x), dtype=x.dtype) if z is None else 0)


def centred(x, z=None):
    """Samples centred among those at hand: blocks are no blocks of the whole."""
    a, b = checked(x, z)
    return (a - a.mean(0)) @ (b - b.mean(0)).mT


def ordered(x, z=None):
    """A kernel that sees the place of a sample."""
    a, b = checked(x, z)
    places = torch.arange(max(len(a), len(b)), dtype=x.dtype)
    return gaussian(x, z) * torch.exp(-(places[: len(a), None] - places[: len(b)]).abs())


def squeezed(x, z=None):
    return gaussian(x, z).squeeze()


def indefinite(x, z=None):
    a, b = checked(x, z)
    return torch.tanh(a @ b.mT - 1)


def lost_to_rounding(x, z=None):
    """Sound in float64; in float32 a dual of arc-cosine order 0 by 1 - theta/pi, which loses half the digits."""
    a, b = checked(x, z)
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    cosine = (a @ b.mT).clamp(-1, 1)
    theta = torch.atan2((1 - cosine.square()).clamp(min=0).sqrt(), cosine)
    return (torch.sin(theta) + (torch.pi - theta) * cosine) / torch.pi - (0.999 if x.dtype == torch.float32 else 0)


def overwrites(x, z=None):
    k = gaussian(x, z)
    x.mul_(2)
    return k


def draws(x, z=None):
    torch.rand(1)
    return gaussian(x, z)


def trembles(x, z=None):
    trembles.calls += 1
    return gaussian(x, z) * (1 + 1e-12 * trembles.calls)


trembles.calls = 0


def forgets_the_dtype(x, z=None):
    return gaussian(x.double(), None if z is None else z.double())


def coarse(x, z=None):
    return gaussian(x, z) if x.dtype == torch.float64 else gaussian(x.half(), None if z is None else z.half()).float()


def needs_gradients(x, z=None):
    return gaussian(x, z) * (1.0 if torch.is_grad_enabled() else 2.0)


def reads_memory(x, z=None):
    gaussian(x, z)
    a = torch.as_strided(x, (x.shape[0], x[0].numel()), (x[0].numel(), 1))
    b = a if z is None else z.flatten(1)
    return gaussian(a.nan_to_num(), b.nan_to_num())


def wrong(x, z=None):
    return gaussian(x, z) ** 1.001


def takes_nan(x, z=None):
    return gaussian(x.nan_to_num(), None if z is None else z.nan_to_num())


def takes_nan_in_z(x, z=None):
    return gaussian(x, None if z is None else z.nan_to_num())


def takes_nothing(x, z=None):
    return gaussian(x, z) if len(x) and (z is None or len(z)) else x.new_zeros(len(x), len(x if z is None else z))


def takes_any_shape(x, z=None):
    a, b = x.flatten(1), (x if z is None else z).flatten(1)
    shared = min(a.shape[1], b.shape[1])
    return gaussian(a[:, :shared], None if z is None else b[:, :shared])


def fails_in_torch(x, z=None):
    """Leaves it to torch to refuse shapes, with a message that is not for people."""
    for side in (x, x if z is None else z):
        checked(side, None)
    return torch.exp(-0.5 * torch.cdist(x, x if z is None else z).square())


BROKEN = [
    (lopsided, "symmetric", "is not symmetric"),
    (lambda x, z=None: gaussian(x, z).log().sqrt(), "symmetric", "not finite"),
    (knows_itself, "with_itself_or_alone", "differs from k"),
    (centred, "blocks_agree_with_the_whole", "differs from its block"),
    (lambda x, z=None: gaussian(x, z) * (2.0 if z is not None and len(x) > len(z) else 1.0),
     "blocks_agree_with_the_whole", "not the transpose"),
    (ordered, "order_does_not_matter", "permuted"),
    (squeezed, "one_sample", "shape"),
    (centred, "one_sample", "alone differs"),
    (indefinite, "positive_semidefinite", "eigenvalue in torch.float64"),
    (lost_to_rounding, "positive_semidefinite", "eigenvalue in torch.float32"),
    (overwrites, "changes_nothing", "changed the samples"),
    (draws, "changes_nothing", "global random generator"),
    (trembles, "repeatable", "two runs differ"),
    (forgets_the_dtype, "float32_is_close_to_float64", "the kernel in torch.float64"),
    (coarse, "float32_is_close_to_float64", "differs from float64"),
    (needs_gradients, "works_without_recording_gradients", "under torch.no_grad"),
    (lambda x, z=None: gaussian(x, z) * (1.1 if x.requires_grad else 1),
     "works_without_recording_gradients", "require a gradient"),
    (reads_memory, "layout_in_memory_does_not_matter", "another layout"),
    (wrong, "gives_the_truth", "the kernel is wrong"),
    (takes_nan, "refuses_numbers_that_are_none", "nan among the samples x"),
    (takes_nan_in_z, "refuses_numbers_that_are_none", "among the samples z"),
    (takes_nothing, "refuses_shapes_that_do_not_fit", "no samples"),
    (takes_any_shape, "refuses_shapes_that_do_not_fit", r"samples \(12, 5\) with samples \(12, 4\)"),
]  # fmt: skip


@pytest.mark.parametrize(("kernel", "promise", "message"), BROKEN, ids=[case[1] for case in BROKEN])
def test_a_broken_promise_is_caught(kernel, promise, message):
    made = type("Made", (Good,), {"kernel": lambda _, x, z=None: kernel(x, z)})
    with pytest.raises(AssertionError, match=message):
        getattr(made(), f"test_{promise}")()


def test_every_promise_is_broken_once():
    promises = {name.removeprefix("test_") for name in dir(KernelConformance) if name.startswith("test_")}
    assert promises - {case[1] for case in BROKEN} == {"follows_the_device"}


def test_refusing_takes_an_error_for_people():
    made = type("Made", (Good,), {"kernel": lambda _, x, z=None: fails_in_torch(x, z)})
    with pytest.raises(AssertionError, match=r"refuses_shapes.*RuntimeError"):
        made().check()


def test_check_names_every_broken_promise():
    made = type("Made", (Good,), {"kernel": lambda _, x, z=None: takes_nan(ordered(x, z))})
    with pytest.raises(AssertionError, match=r"(?s)test_blocks_agree.*test_order_does_not_matter"):
        made().check()


def test_what_to_override_is_said():
    with pytest.raises(NotImplementedError, match="override `kernel"):
        KernelConformance().kernel(torch.ones(1, 1))
