"""Results as files: npz, from which they come back whole, and VTK, which ParaView reads.

The npz holds arrays and short strings only and is read without unpickling anything; what is read is checked. A result
read back draws itself, and goes on from where it was as ``known=``. The VTK file is a rectilinear grid in the legacy
binary format (The VTK User's Guide, "VTK File Formats", 3.0): in ParaView, "Warp By Scalar" makes a surface of it.
"""

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from lemmata.errors import CorruptFile

if TYPE_CHECKING:
    from lemmata.landscape.line import Line
    from lemmata.landscape.surface import Surface

GRIDS = ("loss", "error", "misclassified", "misclassified_error", "evaluated")
FORMAT = "lemmata.landscape 1"


def save_npz(found: "Line | Surface", path: Path | str) -> Path:
    """Write a line or surface with its raw values and directions; `path` gets the ending .npz."""
    path = _with_ending(path, ".npz")
    arrays = {name: getattr(found, name) for name in ("x", *GRIDS)}
    if hasattr(found, "y"):
        arrays["y"] = found.y  # type: ignore[union-attr]
    arrays["format"] = np.array(FORMAT)
    arrays["evaluations"], arrays["cost"] = np.array(found.evaluations), np.array(found.cost)
    arrays["mark_names"] = np.array([name for name, _ in found.marks], dtype=np.str_)
    arrays["marks"] = np.array([at for _, at in found.marks], dtype=float)
    for place, direction in enumerate(found.directions):
        for name, tensor in direction.items():
            arrays[f"direction.{place}.{name}"] = tensor.detach().cpu().numpy()
    np.savez_compressed(path, **arrays)
    return path


def load_npz(path: Path | str) -> "Line | Surface":
    """Read what `save_npz` wrote: a `Surface`, or a `Line` where there is one axis. Directions come on the CPU.

    Raises `CorruptFile` for anything that is not such a file: missing or wrongly shaped arrays, axes that do not
    increase, pickled objects.
    """
    from lemmata.landscape.line import Line
    from lemmata.landscape.surface import Surface

    path = Path(path)
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, zipfile.BadZipFile, EOFError, zlib.error) as problem:
        raise CorruptFile(f"{path} is not a saved line or surface: {problem}") from problem
    _check(arrays, path)
    axes = [arrays["x"], arrays["y"]] if "y" in arrays else [arrays["x"]]
    count = len(axes)
    directions: list[dict[str, torch.Tensor]] = [{} for _ in range(count)]
    for key, array in arrays.items():
        if key.startswith("direction."):
            _, place, name = key.split(".", 2)
            directions[int(place)][name] = torch.from_numpy(array)
    pairs = zip(arrays["mark_names"].tolist(), arrays["marks"].tolist(), strict=True)
    rest = {
        "directions": tuple(directions),
        "evaluations": int(arrays["evaluations"]),
        "cost": float(arrays["cost"]),
        "marks": tuple((name, tuple(at)) for name, at in pairs),
    }
    grids = {name: arrays[name] for name in GRIDS}
    return Surface(axes[0], axes[1], **grids, **rest) if count == 2 else Line(axes[0], **grids, **rest)


def save_vtk(found: "Line | Surface", path: Path | str) -> Path:
    """Write the grid with all its values for ParaView; `path` gets the ending .vtk. NaN and infinity are kept."""
    path = _with_ending(path, ".vtk")
    y = getattr(found, "y", np.zeros(1))
    size = f"DIMENSIONS {len(found.x)} {len(y)} 1\n"
    parts = [b"# vtk DataFile Version 3.0\nloss surface\nBINARY\nDATASET RECTILINEAR_GRID\n", size.encode()]
    for name, axis in (("X", found.x), ("Y", y), ("Z", np.zeros(1))):
        parts += [f"{name}_COORDINATES {len(axis)} double\n".encode(), axis.astype(">f8").tobytes(), b"\n"]
    parts.append(f"POINT_DATA {len(found.x) * len(y)}\n".encode())
    for name in GRIDS:
        parts.append(f"SCALARS {name} double 1\nLOOKUP_TABLE default\n".encode())
        parts += [getattr(found, name).astype(">f8").tobytes(), b"\n"]  # x varies fastest, as in memory
    path.write_bytes(b"".join(parts))
    return path


def _with_ending(path: Path | str, ending: str) -> Path:
    path = Path(path)
    return path if path.suffix == ending else path.with_name(path.name + ending)


def _check(arrays: dict[str, np.ndarray], path: Path) -> None:
    wanted = {"format", "x", *GRIDS, "evaluations", "cost", "mark_names", "marks"}
    if missing := sorted(wanted - set(arrays)):
        raise CorruptFile(f"{path} is not a saved line or surface: it lacks {missing}")
    if str(arrays["format"]) != FORMAT:
        raise CorruptFile(f"{path} has the format {str(arrays['format'])[:40]!r}; this version reads {FORMAT!r}")
    axes = [arrays[name] for name in ("y", "x") if name in arrays]
    for axis in axes:
        if axis.ndim != 1 or axis.dtype != np.float64 or not (np.diff(axis) > 0).all():
            raise CorruptFile(f"{path}: an axis of shape {axis.shape} that is no list of increasing numbers")
    shape = tuple(len(axis) for axis in axes)
    for name in GRIDS:
        kind = bool if name == "evaluated" else np.float64
        if arrays[name].shape != shape or arrays[name].dtype != kind:
            raise CorruptFile(f"{path}: {name} is {arrays[name].dtype} of shape {arrays[name].shape}, not {shape}")
    marks = len(arrays["mark_names"].ravel())
    if arrays["mark_names"].dtype.kind != "U" or arrays["marks"].shape not in ((marks, len(axes)), (0,)):
        raise CorruptFile(f"{path}: {marks} names of marks, but coordinates of shape {arrays['marks'].shape}")
    for name in ("evaluations", "cost"):
        if arrays[name].shape != () or arrays[name].dtype.kind not in "if":
            raise CorruptFile(f"{path}: {name} is not a number")
    keys = [key.split(".", 2) for key in arrays if key.startswith("direction.")]
    if {tuple(key[1:-1]) for key in keys} != {(str(place),) for place in range(len(axes))}:
        raise CorruptFile(f"{path}: the directions are not one for each of {len(axes)} axes")
    if any(arrays[".".join(key)].dtype.kind != "f" for key in keys):
        raise CorruptFile(f"{path}: a direction that is not made of floating-point numbers")
