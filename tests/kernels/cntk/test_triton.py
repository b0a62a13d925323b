"""The Triton kernel: in the interpreter against float64, compiled for a GPU that is not here, and on one that is."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.kernels.cntk import Convolutional, cntk
from lemmata.kernels.cntk.reference import reference
from lemmata.kernels.cntk.triton_backend import Side, circular, lanes, refuse

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from interpreted_triton import CASES, images, near  # noqa: E402

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
OPTIONS = {"tangent": True, "plain": False, "memory": 1 << 28}
ROUNDING = 3e-7  # float32 knows a number to 6e-8, the two polynomials to 5e-8; a handful of them add up in a kernel


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory) -> dict[str, torch.Tensor]:
    file = tmp_path_factory.mktemp("triton") / "found.pt"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TRITON_INTERPRET": "1"}
    command = [sys.executable, str(HERE / "interpreted_triton.py"), str(file)]
    subprocess.run(command, check=True, env=environment, timeout=250)
    return torch.load(file, weights_only=True)


@needs_triton
@pytest.mark.parametrize("name", CASES)
def test_interpreted_it_agrees_with_the_reference_in_float64(interpreted, name):
    shape, network, more = CASES[name]
    x, z = images(shape)
    options = {**OPTIONS, "memory": 1 << 28, "tangent": more.get("tangent", True)}
    expected = reference(x.double(), None if z is None else z.double(), network, **options)
    # the plain recursion knows a cosine near 1 to 6e-8, and its angle to the root of it; unlike images are far from it
    tolerance = 1e-5 if more.get("plain") else ROUNDING
    # opposite patches nearly cancel, and are known relative to like ones only
    torch.testing.assert_close(interpreted[name], expected, rtol=tolerance, atol=tolerance * float(expected.max()))


@needs_triton
def test_what_is_near_stays_apart(interpreted):
    x, z = near()
    both = torch.cat([x, z])
    expected = reference(both.double(), None, Convolutional(6, "average"), **OPTIONS)
    apart = torch.tensor([[1.0, -1.0]], dtype=torch.float64)

    def distance(kernel):  # |phi(x) - phi(z)|^2, seven digits below the kernel itself
        return float(apart @ kernel @ apart.mT)

    assert distance(expected) < 1e-3 * float(expected[0, 0])
    assert float((interpreted["near, False"] / expected - 1).abs().max()) < ROUNDING
    assert float((interpreted["near, True"] / expected - 1).abs().max()) > 10 * ROUNDING


def test_rows_of_the_second_side_come_twice_and_the_border_is_zero():
    x = torch.arange(1.0, 7.0).reshape(1, 1, 2, 3)
    first, second = (Side.of(x, Convolutional(3), doubled=doubled) for doubled in (False, True))
    assert first.norms.shape == (1, 3, 4, 6)  # columns 3 -> 4 lanes, and one on either side
    assert second.norms.shape == (1, 3, 6, 6)
    assert first.norms[0, 0].tolist() == [[0] * 6, [0, 1, 2, 3, 0, 0], [0, 4, 5, 6, 0, 0], [0] * 6]
    rows = second.norms[0, 0, :, 1:4].tolist()
    assert rows == [[4, 5, 6], [1, 2, 3], [4, 5, 6], [1, 2, 3], [4, 5, 6], [1, 2, 3]]
    centre = slice(1, 3), slice(1, 4)
    torch.testing.assert_close(first.inverse[0, :, *centre] * first.norms[0, :, *centre], torch.ones(3, 2, 3))


def test_circular_displacements_are_those_the_readout_needs():
    assert circular(Convolutional(3), (8, 5)) == ([0], [0])
    assert circular(Convolutional(3, "average"), (3, 2)) == ([0, 1, 2], [0, 1])
    assert circular(Convolutional(3, "local-average", window=3), (32, 4)) == ([0, 1, 2, 30, 31], [0, 1, 2, 3])
    assert [lanes(columns) for columns in (1, 2, 7, 17, 33)] == [(1, 32), (2, 32), (8, 32), (32, 32), (64, 64)]


def test_what_it_does_not_take_is_refused(monkeypatch):
    from lemmata.kernels.cntk import triton_backend

    x = torch.randn(2, 1, 4, 4)
    with pytest.raises(InvalidInput, match=r"CUDA|needs triton"):
        refuse(x, Convolutional(3))
    if importlib.util.find_spec("triton") is None:
        return
    monkeypatch.setattr(triton_backend, "INTERPRETED", True)
    for images_, network, said in (
        (x, Convolutional(3, filter=5), "3 x 3"),
        (x.double(), Convolutional(3), "float32"),
        (torch.zeros(1, 1, 65, 4), Convolutional(3), "at most 64"),
    ):
        with pytest.raises(InvalidInput, match=said):
            refuse(images_, network)


COMPILE = """
import re, subprocess, sys, triton
from pathlib import Path
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from lemmata.kernels.cntk.triton_kernel import cntk_displacements as kernel
fixed = dict(P=4, Q=4, CHANNELS=3, COLUMNS=4, LANES=32, PLAIN=False, TANGENT=True, TRAIN_FIRST=False, TRAIN_LAST=False,
             DIRECT=True)
kinds = {**dict.fromkeys(("first", "second", "rows", "columns"), "*i32"), "out": "*fp64",
         **dict.fromkeys(("layers", "tasks", "groups", "column_count"), "i32")}
names = [parameter.name for parameter in kernel.params]
signature = {name: "constexpr" if name in fixed else kinds.get(name, "*fp32") for name in names}
source = ASTSource(kernel, signature, constexprs={(names.index(name),): value for name, value in fixed.items()})
made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 1})
print(len(made.asm["cubin"]), made.metadata.shared)
print(made.asm["ptx"])
"""


@needs_triton
def test_it_compiles_for_a_gpu_that_is_not_here_and_uses_no_shared_memory(tmp_path):
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "TRITON_DEFAULT_FP_FUSION": "1"}
    environment.pop("TRITON_INTERPRET", None)
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], check=True, capture_output=True, text=True, env=environment, timeout=250
    )
    size, shared = map(int, done.stdout.splitlines()[0].split())
    assert size > 1000
    assert shared == 0
    # four rows, two sums, two neighbours, in the loop; only the two sums of E in the first layer, where T is zero
    assert len(re.findall(r"shfl\.sync\.idx", done.stdout)) == 4 * (4 + 2)


@pytest.mark.gpu
@pytest.mark.parametrize("readout", ["vanilla", "average", "local-average"])
@pytest.mark.parametrize("size", [8, 28, 32])
def test_on_a_gpu_it_agrees_with_the_processor(readout, size):
    draw = torch.Generator().manual_seed(size)
    x, z = (torch.randn(n, 3, size, size, generator=draw) for n in (3, 2))
    network = Convolutional(6, readout, window=5 if readout == "local-average" else None)
    for other in (None, z):
        found = cntk(x.cuda(), None if other is None else other.cuda(), network=network, backend="triton")
        expected = reference(x.double(), None if other is None else other.double(), network, **OPTIONS)
        torch.testing.assert_close(found.values.cpu().double(), expected, rtol=ROUNDING, atol=0)
