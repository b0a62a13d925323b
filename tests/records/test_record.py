"""Records to bytes and back: every value returns, and no changed byte is believed."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from lemmata.errors import CorruptFile
from lemmata.plan.key import trial_key
from lemmata.records.record import MemberRecord, Record, _opened, _seal, _sealed, decode, encode
from lemmata.study import Curve, Measurements

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
floats = st.floats(width=64)
dtypes = st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.int8, np.uint8, np.bool_])
arrays = dtypes.flatmap(
    lambda kind: npst.arrays(kind, npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
)
curves = st.lists(st.floats(-1e9, 1e9), max_size=5, unique=True).map(
    lambda x: Curve(np.sort(x), np.where(np.arange(len(x)) % 2, np.nan, x))
)


@st.composite
def records(draw):
    members = []
    for index in range(draw(st.integers(1, 3))):
        measurements = Measurements(
            draw(st.dictionaries(names, floats, max_size=3)),
            draw(st.dictionaries(names, floats, max_size=2)),
            draw(st.dictionaries(names, curves, max_size=2)),
            draw(st.dictionaries(names, arrays, max_size=2)),
            draw(st.sampled_from(["ok", "diverged"])),
        )
        config = {"seed": index, "name": draw(names), "rate": draw(st.floats(allow_nan=False, allow_infinity=False))}
        members.append(MemberRecord(f"{index:064x}", config, measurements, "s"))
    key = trial_key(member.key for member in members)
    return Record(key, "s", "main", tuple(members), {"versions": {"numpy": "2"}}, 0.25, "s/main")


def identical(a: Measurements, b: Measurements) -> bool:
    """Equal to the bit, NaN equal to NaN, in the same order of names."""

    def bits(value):
        return np.asarray(value).dtype, np.asarray(value).shape, np.asarray(value).tobytes()

    def numbers(values):
        return {name: "nan" if math.isnan(value) else value.hex() for name, value in values.items()}

    return (
        numbers(a.scalars) == numbers(b.scalars)
        and numbers(a.errors) == numbers(b.errors)
        and {n: (bits(c.x), bits(c.y)) for n, c in a.curves.items()}
        == {n: (bits(c.x), bits(c.y)) for n, c in b.curves.items()}
        and {n: bits(v) for n, v in a.arrays.items()} == {n: bits(v) for n, v in b.arrays.items()}
        and a.status == b.status
    )


@settings(max_examples=50, deadline=None)
@given(records())
def test_every_record_returns_to_the_bit(record):
    text, packed = encode(record)
    back = decode(text, packed)
    assert (back.key, back.study, back.experiment, back.namespace, back.seconds, back.provenance) == (
        record.key, record.study, record.experiment, record.namespace, record.seconds, record.provenance,
    )  # fmt: skip
    for ours, theirs in zip(record.members, back.members, strict=True):
        assert (ours.key, ours.config, ours.setting) == (theirs.key, theirs.config, theirs.setting)
        assert identical(ours.measurements, theirs.measurements)
    assert encode(back) == (text, packed)


def example() -> Record:
    measured = Measurements.of(risk=0.5, worst=math.inf, lost=math.nan, path=Curve([1, 2], [3, 4]), w=np.eye(2))
    return Record(trial_key(["a"]), "s", "main", (MemberRecord("a", {"seed": 0}, measured),), {}, 1.0, "s/main")


def test_json_is_strict_and_an_array_out_of_order_is_kept():
    def refuse(name):
        raise AssertionError(name)

    content = json.loads(encode(example())[0], parse_constant=refuse)
    assert content["members"][0]["scalars"] == {"risk": 0.5, "worst": "inf", "lost": "nan"}
    transposed = Measurements.of(w=np.arange(6).reshape(2, 3).T)
    record = Record(trial_key(["a"]), "s", "main", (MemberRecord("a", {}, transposed),), {}, 1.0)
    assert decode(*encode(record)).members[0].measurements.arrays["w"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_no_flipped_bit_is_believed():
    """Every bit of both files, one at a time."""
    text, packed = encode(example())
    for place in range(8 * (len(text) + len(packed))):
        changed = bytearray(text + packed)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(CorruptFile):
            decode(bytes(changed[: len(text)]), bytes(changed[len(text) :]))


def test_no_truncation_is_believed():
    text, packed = encode(example())
    for length in range(len(text)):
        with pytest.raises(CorruptFile, match="is cut short, changed, or no record"):
            decode(text[:length], packed)
    for length in range(len(packed)):
        with pytest.raises(CorruptFile, match=r"is not what record\.json says"):
            decode(text, packed[:length])


def _forged(**changes) -> bytes:
    """A record that somebody changed and sealed again."""
    content = _opened(encode(example())[0])
    del content["sha256"]
    return _sealed({**content, **changes})


def _member(**changes) -> list:
    return [{**_opened(encode(example())[0])["members"][0], **changes}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_forged(format=2), "record.json has format 2; this lemmata reads 1"),
        (_forged(key="0" * 64), "the key does not belong to the members"),
        (_forged(members=_member(curves={"path": 3})), "curve 'path' has 2 points, not 3"),
        (_forged(members=_member(curves={"other": 2})), "the content does not hang together"),
        (_forged(members=_member(arrays={"w": [[4], "float64"]})), r"array 'w' is float64 \(2, 2\), not float64 \[4\]"),
        (_forged(members=[{}]), "the content does not hang together"),
        (b"[]", "cut short, changed, or no record"),
        (b"", "cut short, changed, or no record"),
        (_forged(seconds=1).replace(b"1,", b"2,"), "cut short, changed, or no record"),
        (_sealed({"key": 1}), "record.json is no record"),
        (b"[" + _seal(b"[\n}"), "record.json is no record"),
    ],
)
def test_what_does_not_hang_together_is_refused(text, message):
    with pytest.raises(CorruptFile, match=message):
        decode(text, encode(example())[1])


def test_a_pickle_is_not_a_record():
    import pickle

    with pytest.raises(CorruptFile):
        decode(pickle.dumps({"sha256": 1}), encode(example())[1])
