"""Blocks of a kernel matrix: the whole from its parts, resumed, shared by processes that are killed, never mixed up."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lemmata.errors import InvalidInput
from lemmata.kernels.blocks import Filling, fill, gram
from lemmata.kernels.blocks_folder import layout
from lemmata.kernels.blocks_identity import law_of
from lemmata.kernels.blocks_workers import WorkersDied

sys.path.insert(0, str(Path(__file__).parent))  # worker processes inherit it
import blocks_slow_kernel as kernels


def samples(n: int = 7, seed: int = 0) -> torch.Tensor:
    """Whole numbers, so that every product is exact and results can be compared to the bit."""
    return torch.randint(-8, 8, (n, 1, 2, 3), generator=torch.Generator().manual_seed(seed)).float()


def exact(x, z=None):
    return x.flatten(1) @ (x if z is None else z).flatten(1).mT


def calls(folder: Path) -> list[str]:
    return [line for file in folder.iterdir() for line in file.read_text().splitlines()]


@given(n=st.integers(1, 40), m=st.none() | st.integers(1, 40), size=st.integers(1, 12))
def test_the_blocks_cover_every_pair_once(n, m, size):
    seen = torch.zeros(n, n if m is None else m)
    for block in layout(n, m, size):
        seen[block.rows, block.columns] += 1
        if m is None and not block.diagonal:
            seen[block.columns, block.rows] += 1
    assert seen.eq(1).all()
    assert len({block.name for block in layout(n, m, size)}) == len(layout(n, m, size))


@pytest.mark.parametrize("size", [1, 3, 7, 50])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_whole_is_what_the_kernel_gives_at_once(tmp_path, size, dtype):
    x, z = samples().to(dtype), samples(5, seed=1).to(dtype)
    symmetric = gram(kernels.linear, x, folder=tmp_path / "xx", block=size)
    crossed = gram(kernels.linear, x, z, folder=tmp_path / "xz", block=size)
    torch.testing.assert_close(symmetric.values, exact(x), rtol=0, atol=0)
    torch.testing.assert_close(crossed.values, exact(x, z), rtol=0, atol=0)
    assert (symmetric.symmetric, crossed.symmetric) == (True, False)
    assert (symmetric.name, symmetric.way) == ("linear", "torch")
    assert crossed.flops == 2 * 7 * 5


def test_a_kernel_may_give_a_tensor_and_take_a_law(tmp_path):
    x = samples()
    found = gram(lambda x, z: kernels.plain(z=z, x=x), x, folder=tmp_path, block=4, law="distance")
    torch.testing.assert_close(found.values, kernels.plain(x))


def test_the_same_call_goes_on_where_an_earlier_one_was_interrupted(tmp_path):
    x, told = samples(), []
    (tmp_path / "log").mkdir()
    kernel = partial(kernels.linear, log=str(tmp_path / "log"))

    def interrupt(filling: Filling):
        told.append(filling)
        if filling.done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gram(kernel, x, folder=tmp_path / "k", block=2, progress=interrupt)
    assert [filling.done for filling in told] == [1, 2, 3, 4]
    assert told[-1].total == 10
    assert told[-1].remaining == pytest.approx(told[-1].seconds / 4 * 6)
    found = gram(kernel, x, folder=tmp_path / "k", progress=told.append)  # the block size is the folder's
    torch.testing.assert_close(found.values, exact(x), rtol=0, atol=0)
    assert [(filling.done, filling.fresh) for filling in told[4:]] == [(n, n - 4) for n in range(5, 11)]
    assert len(calls(tmp_path / "log")) == 10  # nothing was computed twice
    gram(kernel, x, folder=tmp_path / "k")
    assert len(calls(tmp_path / "log")) == 10


def test_an_error_of_the_kernel_leaves_no_claim(tmp_path):
    with pytest.raises(ValueError, match="broken"):
        gram(kernels.failing, samples(), folder=tmp_path, block=2)
    assert not list((tmp_path / "claims").iterdir())
    assert not list((tmp_path / "blocks").iterdir())


def test_another_computation_is_refused(tmp_path):
    x = samples()
    gram(kernels.linear, x, folder=tmp_path / "k", block=3)
    changed = x.clone()
    changed[6, 0, 1, 2] += 1
    for other, arguments, said in (
        (kernels.linear, {"x": changed}, "samples x"),
        (kernels.linear, {"x": x.double()}, "samples x"),
        (kernels.linear, {"x": x, "z": x}, "samples z"),
        (kernels.linear, {"x": x, "block": 2}, "block is 3 there and 2 here"),
        (kernels.plain, {"x": x}, "kernel"),
        (partial(kernels.linear, seconds=0.1), {"x": x}, "kernel"),
    ):
        with pytest.raises(InvalidInput, match=said):
            gram(other, **arguments, folder=tmp_path / "k")
    gram(partial(kernels.linear, threads=2), x, folder=tmp_path / "threads", block=3)
    gram(partial(kernels.linear, threads=7), x, folder=tmp_path / "threads")  # cannot change a value
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(InvalidInput, match="holds something else"):
        gram(kernels.linear, x, folder=tmp_path / "full")


def test_what_cannot_be_named_is_refused(tmp_path):
    class Opaque:
        def __call__(self, x, z):
            return x

    for kernel in (lambda x, z: x, Opaque(), partial(kernels.linear, log=Opaque())):
        with pytest.raises(InvalidInput, match="law="):
            gram(kernel, samples(), folder=tmp_path)
    assert law_of(partial(kernels.linear, seconds=1.0, threads=3)) == "blocks_slow_kernel.linear(seconds=1.0)"


def test_bad_samples_and_shapes_are_refused(tmp_path):
    x = samples()
    for arguments, said in (
        ({"x": x[:0]}, "at least one"),
        ({"x": x, "z": samples()[:, :, :1]}, "alike"),
        ({"x": x, "z": x.double()}, "alike"),
        ({"x": x, "block": -1}, "block = -1"),
    ):
        with pytest.raises(InvalidInput, match=said):
            gram(kernels.linear, **arguments, folder=tmp_path)
    with pytest.raises(InvalidInput, match="shard"):
        fill(kernels.linear, x, folder=tmp_path, shard=(2, 2))
    with pytest.raises(InvalidInput, match="one value a pair"):
        gram(_column, x, folder=tmp_path / "column")


def _column(x, z=None):
    return x.flatten(1)[:, :1]


def test_shards_of_several_machines_are_copied_together(tmp_path):
    x = samples(9)
    for i in range(3):
        filling = fill(kernels.linear, x, folder=tmp_path / str(i), block=2, shard=(i, 3))
        assert filling.done == filling.total == 5
    for i in (1, 2):
        for file in (tmp_path / str(i) / "blocks").iterdir():
            file.rename(tmp_path / "0" / "blocks" / file.name)
    told = []
    found = gram(kernels.linear, x, folder=tmp_path / "0", progress=told.append)
    torch.testing.assert_close(found.values, exact(x), rtol=0, atol=0)
    assert not told  # nothing was left to compute


def test_a_damaged_block_is_found_and_computed_again(tmp_path):
    x = samples()
    gram(kernels.linear, x, folder=tmp_path, block=3)
    files = sorted((tmp_path / "blocks").iterdir())
    content = bytearray(files[1].read_bytes())
    content[-1] ^= 4
    files[1].write_bytes(content)
    files[3].write_bytes(files[3].read_bytes()[:20])
    files[4].write_bytes(files[1].read_bytes())
    told = []
    found = gram(kernels.linear, x, folder=tmp_path, progress=told.append)
    torch.testing.assert_close(found.values, exact(x), rtol=0, atol=0)
    assert len(told) >= 2


def test_a_matrix_beyond_the_memory_is_a_memory_map(tmp_path):
    x = samples(20)
    found = gram(kernels.linear, x, folder=tmp_path, block=6, memory=20 * 20 * 4 - 1)
    torch.testing.assert_close(found.values, exact(x), rtol=0, atol=0)
    before = (tmp_path / "kernel.npy").read_bytes()
    assert len(before) > 20 * 20 * 4
    found.values.zero_()  # the file does not change under who writes to the tensor
    assert (tmp_path / "kernel.npy").read_bytes() == before
    assert not list(tmp_path.glob(".kernel*"))
    gram(kernels.linear, x, folder=tmp_path / "within", block=6, memory=20 * 20 * 4)
    assert not (tmp_path / "within" / "kernel.npy").exists()


def test_processes_share_the_blocks_and_a_killed_one_loses_one(tmp_path):
    x = samples(12)
    (tmp_path / "log").mkdir()
    kernel = partial(kernels.linear, log=str(tmp_path / "log"), kill=str(tmp_path / "killed"), seconds=0.02)
    found = gram(kernel, x, folder=tmp_path / "k", block=2, processes=2)
    torch.testing.assert_close(found.values, exact(x), rtol=0, atol=0)
    assert (tmp_path / "killed").exists()
    assert len(calls(tmp_path / "log")) == 21 + 1  # 21 blocks, and the one that was lost
    assert not list((tmp_path / "k" / "claims").iterdir())


def test_workers_that_always_die_and_kernels_that_fail_end_the_call(tmp_path):
    with pytest.raises(WorkersDied, match="SIGKILL"):
        gram(partial(kernels.linear, kill="always"), samples(2), folder=tmp_path / "a", block=2, processes=1)
    with pytest.raises(WorkersDied, match="ValueError: this kernel is broken"):
        gram(kernels.failing, samples(), folder=tmp_path / "b", block=2, processes=1)


RUN = """
import sys
sys.path.insert(0, {tests!r})
import torch
from functools import partial
import blocks_slow_kernel as kernels
from lemmata.kernels.blocks import gram
x = torch.load({x!r}, weights_only=True)
gram(partial(kernels.linear, log={log!r}, seconds={seconds}), x, folder={folder!r}, block=2, progress=lambda f: print(f, flush=True))
"""  # noqa: E501


def start(tmp_path: Path, x: torch.Tensor, seconds: float) -> subprocess.Popen:
    (tmp_path / "log").mkdir(exist_ok=True)
    torch.save(x, tmp_path / "x.pt")
    text = RUN.format(
        tests=str(Path(__file__).parent), x=str(tmp_path / "x.pt"), log=str(tmp_path / "log"), seconds=seconds,
        folder=str(tmp_path / "k"),
    )  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, env=environment)


def test_runs_share_one_folder_and_survive_the_kill_of_one(tmp_path):
    x, seconds = samples(16), 0.05  # 36 blocks
    victim = start(tmp_path, x, seconds)
    assert victim.stdout is not None
    assert "of 36 blocks" in victim.stdout.readline()  # it is at work
    kernel = partial(kernels.linear, log=str(tmp_path / "log"), seconds=seconds)
    told = []

    def kill(filling: Filling):
        told.append(filling)
        if filling.fresh == 5:
            victim.send_signal(signal.SIGKILL)
            victim.communicate(timeout=60)

    found = gram(kernel, x, folder=tmp_path / "k", progress=kill)
    torch.testing.assert_close(found.values, exact(x), rtol=0, atol=0)
    assert victim.returncode == -signal.SIGKILL
    assert told[-1].fresh < 36  # the victim did its part
    assert len(calls(tmp_path / "log")) <= 36 + 1  # what it had claimed was computed again, and nothing else
    assert not list((tmp_path / "k" / "staging").iterdir())
    assert not list((tmp_path / "k" / "claims").iterdir())


def test_claims_of_other_machines_are_waited_for_and_then_broken(tmp_path):
    x = samples(4)
    fill(kernels.linear, x, folder=tmp_path, block=2, shard=(0, 3))
    claim = tmp_path / "claims" / "000001-000000"
    claim.write_text("elsewhere-12345\n")
    started = time.perf_counter()
    found = gram(kernels.linear, x, folder=tmp_path, patience=0.3)
    assert time.perf_counter() - started > 0.25
    torch.testing.assert_close(found.values, exact(x), rtol=0, atol=0)
