"""Files: npz there and back, VTK as meshio reads it, and files that are not what they claim to be."""

import numpy as np
import pytest
import torch
from torch import nn

from lemmata import landscape
from lemmata.errors import CorruptFile


@pytest.fixture(scope="module")
def found() -> landscape.Surface:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(20, 4, generator=draw), torch.randint(0, 3, (20,), generator=draw)
    return landscape.surface((nn.Linear(4, 3), "cross_entropy", (x, y)), points=(11, 9), budget=40, tolerance=1e-9)


def equal(one, other) -> None:
    for name in ("x", "loss", "error", "misclassified", "misclassified_error", "evaluated"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.evaluations, one.cost, one.marks) == (other.evaluations, other.cost, other.marks)
    for a, b in zip(one.directions, other.directions, strict=True):
        assert list(a) == list(b)
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_npz_there_and_back(found, tmp_path):
    path = found.save_npz(tmp_path / "surface")
    assert path.name == "surface.npz"
    back = landscape.load_npz(path)
    assert isinstance(back, landscape.Surface)
    equal(found, back)
    np.testing.assert_array_equal(found.y, back.y)
    assert back.plot().panels[0].fields[0].z.shape == (9, 11)


def test_lines_and_marks_too(tmp_path):
    model, x = nn.Linear(1, 1, bias=False), torch.ones(1, 1)
    states = [{"weight": torch.tensor([[w]])} for w in (0.0, 2.0)]
    line = landscape.between((model, "mse", (x, x)), states, points=5)
    back = landscape.load_npz(line.save_npz(tmp_path / "a.b.npz"))
    assert (tmp_path / "a.b.npz").exists()
    assert isinstance(back, landscape.Line)
    equal(line, back)
    assert back.marks == (("a", (0.0,)), ("b", (1.0,)))
    meshio = pytest.importorskip("meshio")
    mesh = meshio.read(line.save_vtk(tmp_path / "line"))
    np.testing.assert_array_equal(mesh.point_data["loss"].ravel(), line.loss)


def test_a_saved_result_goes_on(found, tmp_path):
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(20, 4, generator=draw), torch.randint(0, 3, (20,), generator=draw)
    torch.manual_seed(1)
    model = nn.Linear(4, 3)
    subject = (model, "cross_entropy", (x, y))
    first = landscape.surface(subject, points=9, budget=30, tolerance=1e-9)
    back = landscape.load_npz(first.save_npz(tmp_path / "first.npz"))
    assert isinstance(back, landscape.Surface)
    whole = landscape.surface(subject, points=9, adaptive=False, known=back)
    assert whole.evaluations == 81 - 30 + 1


def test_vtk_as_meshio_reads_it(found, tmp_path):
    meshio = pytest.importorskip("meshio")
    path = found.save_vtk(tmp_path / "surface.vtk")
    mesh = meshio.read(path)
    a, b = np.meshgrid(found.x, found.y)
    order = np.lexsort((mesh.points[:, 0], mesh.points[:, 1]))
    np.testing.assert_array_equal(mesh.points[order, 0], a.ravel())
    np.testing.assert_array_equal(mesh.points[order, 1], b.ravel())
    for name in ("loss", "error", "misclassified", "evaluated"):
        values = mesh.point_data[name].ravel()[order]
        np.testing.assert_array_equal(values, getattr(found, name).astype(float).ravel())


def test_vtk_keeps_holes(tmp_path):
    meshio = pytest.importorskip("meshio")
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.1)
    line = landscape.line((model, lambda out, _: -torch.log(out.mean()), (torch.ones(1, 1), torch.zeros(1))), span=5.0)
    values = meshio.read(line.save_vtk(tmp_path / "line.vtk")).point_data["loss"].ravel()
    np.testing.assert_array_equal(values, line.loss)
    assert np.isnan(values).any()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda a: a.pop("loss"), "lacks"),
        (lambda a: a.update(format=np.array("other 9")), "format"),
        (lambda a: a.update(x=a["x"][::-1]), "increasing"),
        (lambda a: a.update(loss=a["loss"].T), "loss is float64 of shape"),
        (lambda a: a.update(evaluated=a["loss"]), "evaluated is"),
        (lambda a: a.update(marks=np.zeros((2, 2))), "names of marks"),
        (lambda a: a.update(cost=np.array("much")), "cost is not a number"),
        (lambda a: (a.pop("direction.1.weight"), a.pop("direction.1.bias")), "directions"),
        (lambda a: a.update({"direction.x.weight": np.zeros(1)}), "directions"),
        (lambda a: a.update({"direction.0": np.zeros(1)}), "directions"),
        (lambda a: a.update({"direction.0.weight": np.array(["w"])}), "not made of floating-point"),
        (lambda a: a.update(loss=np.array([object()])), "not a saved"),
    ],
)
def test_files_that_are_something_else(found, tmp_path, spoil, says):
    with np.load(found.save_npz(tmp_path / "good.npz")) as file:
        arrays = dict(file)
    spoil(arrays)
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(CorruptFile, match=says):
        landscape.load_npz(tmp_path / "bad.npz")


def test_no_npz_at_all(tmp_path):
    (tmp_path / "text.npz").write_text("loss")
    with pytest.raises(CorruptFile, match="not a saved"):
        landscape.load_npz(tmp_path / "text.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(CorruptFile, match="not a saved"):
        landscape.load_npz(tmp_path / "one.npy")
    whole = landscape.line((nn.Linear(2, 1), "mse", (torch.ones(1, 2), torch.ones(1, 1))), points=9)
    data = bytearray(whole.save_npz(tmp_path / "cut.npz").read_bytes())
    data[60:90] = bytes(30)
    (tmp_path / "cut.npz").write_bytes(data)
    with pytest.raises(CorruptFile, match="not a saved"):
        landscape.load_npz(tmp_path / "cut.npz")
    with pytest.raises(FileNotFoundError):
        landscape.load_npz(tmp_path / "nothing.npz")
