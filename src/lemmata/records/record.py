"""One trial's outcome, and how it is written: `record.json` for what is small, `arrays.safetensors` for the rest.

`record.json` is strict JSON in one canonical form (numbers that are not finite are the strings "nan", "inf", "-inf").
It names the sha256 of the arrays and, in its last place, that of its own content, so that no byte of a record can
change unseen. Nothing is unpickled.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lemmata.errors import CorruptFile
from lemmata.plan.key import trial_key
from lemmata.study.measurements import Curve, Measurements

FORMAT = 1


@dataclass(frozen=True)
class MemberRecord:
    """What was measured on one member; `config` holds its values by dotted name, as plain JSON values."""

    key: str
    config: Mapping[str, Any]
    measurements: Measurements
    setting: str = ""


@dataclass(frozen=True)
class Record:
    """The outcome of one trial, immutable. `provenance` says when, by what and on what it was made."""

    key: str
    study: str
    experiment: str
    members: tuple[MemberRecord, ...]
    provenance: Mapping[str, Any]
    seconds: float
    namespace: str = ""


def encode(record: Record) -> tuple[bytes, bytes]:
    """Write a record as the bytes of its two files; the same record gives the same bytes.

    >>> record = Record(trial_key([]), "coin", "main", (), {}, 0.5)
    >>> decode(*encode(record)) == record
    True
    """
    from safetensors.numpy import save

    arrays: dict[str, np.ndarray] = {}
    members = [_encode_member(index, member, arrays) for index, member in enumerate(record.members)]
    packed = save(arrays)
    content = {
        "format": FORMAT, "key": record.key, "study": record.study, "experiment": record.experiment,
        "namespace": record.namespace, "seconds": record.seconds, "members": members,
        "provenance": dict(record.provenance), "arrays": hashlib.sha256(packed).hexdigest(),
    }  # fmt: skip
    return _sealed(content), packed


def decode(text: bytes, packed: bytes) -> Record:
    """Read a record from the bytes of its two files; raises `CorruptFile` saying what is wrong with them."""
    content = _opened(text)
    if hashlib.sha256(packed).hexdigest() != content["arrays"]:
        raise CorruptFile("arrays.safetensors is not what record.json says it is (sha256)")
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(packed)
        members = tuple(_decode_member(index, member, arrays) for index, member in enumerate(content["members"]))
        record = Record(
            content["key"], content["study"], content["experiment"], members, content["provenance"],
            content["seconds"], content["namespace"],
        )  # fmt: skip
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CorruptFile(f"the content does not hang together: {error}") from None
    if trial_key(member.key for member in record.members) != record.key:
        raise CorruptFile("the key does not belong to the members")
    return record


def _sealed(content: Mapping[str, Any]) -> bytes:
    body = json.dumps(content, indent=1, sort_keys=True, allow_nan=False).encode("ascii")
    return body.removesuffix(b"\n}") + _seal(body)


def _seal(body: bytes) -> bytes:
    """How a record ends: with the sha256 of all before it, and the brace that closes it."""
    return f',\n "sha256": "{hashlib.sha256(body).hexdigest()}"\n}}\n'.encode("ascii")


def _opened(text: bytes) -> dict[str, Any]:
    length = len(_seal(b""))
    if text[-length:] != _seal(text[:-length] + b"\n}"):
        raise CorruptFile("record.json is cut short, changed, or no record (sha256)")
    try:
        content = json.loads(text, parse_constant=_refuse)
        found = content["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CorruptFile("record.json is no record") from None
    if found != FORMAT:
        raise CorruptFile(f"record.json has format {found!r}; this lemmata reads {FORMAT}")
    return content


def _refuse(name: str) -> float:
    raise ValueError(name)


def _encode_member(index: int, member: MemberRecord, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    measured = member.measurements
    for name, curve in measured.curves.items():
        arrays[f"{index}/curve/{name}/x"] = np.ascontiguousarray(curve.x)
        arrays[f"{index}/curve/{name}/y"] = np.ascontiguousarray(curve.y)
    for name, array in measured.arrays.items():
        arrays[f"{index}/array/{name}"] = np.ascontiguousarray(array)
    return {
        "key": member.key,
        "setting": member.setting,
        "config": dict(member.config),
        "status": measured.status,
        "scalars": {name: _number(value) for name, value in measured.scalars.items()},
        "errors": {name: _number(value) for name, value in measured.errors.items()},
        "curves": {name: len(curve.x) for name, curve in measured.curves.items()},
        "arrays": {name: [list(array.shape), array.dtype.name] for name, array in measured.arrays.items()},
    }


def _decode_member(index: int, member: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> MemberRecord:
    curves = {}
    for name, length in member["curves"].items():
        curves[name] = Curve(arrays[f"{index}/curve/{name}/x"], arrays[f"{index}/curve/{name}/y"])
        if len(curves[name].x) != length:
            raise ValueError(f"curve {name!r} has {len(curves[name].x)} points, not {length}")
    kept = {}
    for name, (shape, dtype) in member["arrays"].items():
        kept[name] = arrays[f"{index}/array/{name}"]
        if list(kept[name].shape) != shape or kept[name].dtype.name != dtype:
            raise ValueError(f"array {name!r} is {kept[name].dtype} {kept[name].shape}, not {dtype} {shape}")
    scalars = {name: float(value) for name, value in member["scalars"].items()}
    errors = {name: float(value) for name, value in member["errors"].items()}
    measurements = Measurements(scalars, errors, curves, kept, member["status"])
    return MemberRecord(member["key"], member["config"], measurements, member["setting"])


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else repr(float(value))
