"""Tiles: in memory and in files, resumed, by threads and by devices; what does not fit is refused beforehand."""

import numpy as np
import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.kernels.analytic import FullyConnected, analytic_ntk, fully_connected
from lemmata.kernels.analytic.profile import profile
from lemmata.kernels.analytic.progress import Progress
from lemmata.kernels.analytic.samples import Samples
from lemmata.kernels.analytic.tiles import tiles
from lemmata.kernels.analytic.workers import by_layers, by_profile

LAWS = {
    "relu": FullyConnected(3),
    "relu with bias": FullyConnected(3, bias_variance=0.1),
    "erf": FullyConnected(3, "erf"),
}


def points(n, d=9, seed=0):
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def whole(x, z, law):
    """All at once, by the recursion in torch."""
    return by_layers(Samples.of(x), Samples.of(z), law, "ntk")((slice(0, len(x)), slice(0, len(z))))


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("options", [{}, {"threads": 3}, {"devices": ["cpu", "cpu"]}])
def test_many_tiles_are_one_matrix(name, options):
    """700 samples are 3 x 3 tiles with ragged ends; to 1e-13 of the largest entry."""
    x, z, law = points(700), points(300, seed=1), LAWS[name]
    for other, right in ((None, whole(x, x, law)), (z, whole(x, z, law))):
        found = analytic_ntk(x, other, network=law, **options).values
        assert float((found - right).abs().max() / right.abs().max()) < 1e-13


def test_threads_change_no_bit_and_leave_torch_alone():
    x, before = points(600).float(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        one, three = (analytic_ntk(x, network=LAWS["relu"], threads=threads) for threads in (1, 3))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert torch.equal(one.values, three.values)
    assert "1 thread," in one.way
    assert "3 threads," in three.way


def test_a_symmetric_matrix_is_half_computed():
    todo = tiles(1000, 1000, 256, symmetric=True)
    assert len(todo) == 10
    assert len(tiles(1000, 600, 256, symmetric=False)) == 12


def test_on_a_file(tmp_path):
    """A numpy file, whose record of tiles is gone at the end; equal to the bit to what lies in memory."""
    x, path = points(600).float(), tmp_path / "kernel.npy"
    found = analytic_ntk(x, network=LAWS["relu"], out=path)
    right = analytic_ntk(x, network=LAWS["relu"]).values
    assert torch.equal(found.values, right)
    assert np.array_equal(np.load(path), right.numpy())
    assert not Progress.beside(path).exists()


def test_an_interrupted_file_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """Two tiles of six are done when the power fails; the rest follows, and only the rest."""
    x, path, done = points(600), tmp_path / "kernel.npy", []
    make = fully_connected.by_layers

    def failing(limit):
        def workers(*arguments):
            compute = make(*arguments)

            def one(tile):
                if len(done) == limit:
                    raise KeyboardInterrupt
                done.append(tile)
                return compute(tile)

            return one

        return workers

    monkeypatch.setattr(fully_connected, "by_layers", failing(2))
    with pytest.raises(KeyboardInterrupt):
        analytic_ntk(x, network=LAWS["erf"], out=path, threads=1)
    monkeypatch.setattr(fully_connected, "by_layers", failing(99))
    found = analytic_ntk(x, network=LAWS["erf"], out=path, threads=1).values
    assert len(done) == len(set(map(str, done))) == 6
    assert torch.equal(found, analytic_ntk(x, network=LAWS["erf"], threads=1).values)


@pytest.mark.parametrize("change", ["samples", "network", "size"])
def test_a_record_of_something_else_is_not_believed(tmp_path, change):
    """Other samples, another network or another size start anew."""
    x, path = points(300), tmp_path / "kernel.npy"
    other = {"samples": points(300, seed=2), "network": x, "size": points(280)}[change]
    law = FullyConnected(4, "erf") if change == "network" else LAWS["erf"]
    analytic_ntk(x, network=LAWS["erf"], out=path)
    record = Progress(path, "of another computation")
    for tile in tiles(300, 300, 256, symmetric=True):
        record.note(tile)
    found = analytic_ntk(other, network=law, out=path).values
    assert torch.equal(found, analytic_ntk(other, network=law).values)


def test_what_does_not_fit_is_refused_with_what_it_needs():
    """1,000 x 1,000 in float64 are 8 MB."""
    x = points(1000)
    with pytest.raises(InvalidInput, match=r"1,000 x 1,000 values in torch.float64 needs 8.0 MB .* 5.0 MB are granted"):
        analytic_ntk(x, network=LAWS["relu"], memory=5_000_000)
    with pytest.raises(InvalidInput, match=r"out='kernel\.npy'"):
        analytic_ntk(x, network=LAWS["relu"], memory=5_000_000)


def test_a_file_needs_no_memory_for_the_matrix(tmp_path):
    x = points(2000, d=4)
    with pytest.raises(InvalidInput, match="granted"):
        analytic_ntk(x, network=LAWS["relu"], memory=20_000_000, threads=1)
    found = analytic_ntk(x, network=LAWS["relu"], memory=20_000_000, threads=1, out=tmp_path / "k.npy")
    assert found.values.shape == (2000, 2000)


@pytest.mark.parametrize("options", [{"threads": 0}, {"devices": []}])
def test_nobody_to_do_the_work_is_refused(options):
    with pytest.raises(InvalidInput, match="at least"):
        analytic_ntk(points(3), network=LAWS["relu"], **options)


@pytest.mark.parametrize("depth", [2, 30])
@pytest.mark.parametrize("activation", ["relu", "abs"])
def test_the_series_by_torch_as_on_other_devices(depth, activation):
    """What a GPU runs, run here: 1e-13 of the geometric mean of the diagonals."""
    law, x = FullyConnected(depth, activation), Samples.of(points(40))
    table = profile(law, "ntk", torch.float64)
    norms = (x.variance * table.size).sqrt()
    everything = (slice(0, 40), slice(0, 40))
    found = by_profile(x, x, (norms, norms), table.series, torch.float64)(everything)
    off = (found - by_layers(x, x, law, "ntk")(everything)).abs() / (norms[:, None] * norms)
    assert float(off.max()) < 1e-13


@pytest.mark.gpu
@pytest.mark.parametrize("name", LAWS)
def test_on_a_gpu(name):
    x = points(700).cuda()
    right = whole(x.cpu(), x.cpu(), LAWS[name])
    found = analytic_ntk(x, network=LAWS[name])
    assert found.values.device.type == "cuda"
    assert torch.allclose(found.values.cpu(), right, rtol=1e-11, atol=1e-11 * float(right.max()))
