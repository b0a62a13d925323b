"""Published weights: found, verified, refused when damaged; the real ones where they are."""

import os

import numpy as np
import pytest
import torch

from lemmata import data, nets
from lemmata.data import folder, sources
from lemmata.data.weights import standardised
from lemmata.errors import CorruptFile, DataMissing, UnknownName

NAME = "resnet56-cifar10"
real = pytest.mark.skipif(
    not (os.environ.get("LEMMATA_DATA") and next(e for e in data.available() if e.name == NAME).found),
    reason="6 MB of weights are not here: name their folder by LEMMATA_DATA",
)


@pytest.fixture
def forged(tmp_path):
    """Files of the right names with other weights in them."""
    place = tmp_path / "loss-landscape"
    place.mkdir()
    for file in sources.find_weights(NAME).files:
        np.savez(place / file.name, **{"linear.bias": np.arange(3.0, dtype=np.float32)})
    return tmp_path


def test_absent_weights_are_named_with_the_remedy(tmp_path):
    with pytest.raises(DataMissing, match=r"resnet56_epoch300.npz and 1 more files are not in .*--data-dir"):
        data.load_weights(NAME, "shortcuts", data_dir=tmp_path)
    entry = next(e for e in data.available(tmp_path) if e.name == NAME)
    assert not entry.found


def test_other_files_are_refused_unless_asked_for(forged):
    with pytest.raises(CorruptFile, match="is not the published file of resnet56-cifar10"):
        data.load_weights(NAME, "shortcuts", data_dir=forged)
    loaded = data.load_weights(NAME, "no shortcuts", data_dir=forged, verify=False)
    assert loaded["linear.bias"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", b"not numpy at all"])
def test_damaged_files_are_refused(forged, damage):
    (forged / "loss-landscape" / "resnet56_epoch300.npz").write_bytes(damage)
    with pytest.raises(CorruptFile, match="cannot be read as arrays"):
        data.load_weights(NAME, "shortcuts", data_dir=forged, verify=False)


def test_pickled_objects_are_never_read(forged):
    path = forged / "loss-landscape" / "resnet56_epoch300.npz"
    np.savez(path, **{"linear.bias": np.array([{"a": 1}], dtype=object)})
    with pytest.raises(CorruptFile, match="cannot be read as arrays"):
        data.load_weights(NAME, "shortcuts", data_dir=forged, verify=False)


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName, match="weights"):
        data.load_weights("resnet56-cifar100", "shortcuts")
    with pytest.raises(UnknownName):
        data.load(NAME)  # they are no data set
    assert NAME not in data.names()
    assert folder.digest(NAME) == sources.find_weights(NAME).digest


def test_images_are_standardised_by_channel():
    x = torch.rand(2, 3, 4, 4)
    expected = (255 * x - torch.tensor([125.3, 123.0, 113.9])[:, None, None]) / torch.tensor([63.0, 62.1, 66.7])[
        :, None, None
    ]
    torch.testing.assert_close(standardised(x, NAME), expected)


@real
@pytest.mark.parametrize("which", ["shortcuts", "no shortcuts"])
def test_the_published_weights_fit_the_network(which):
    net = nets.resnet(56, shortcuts=which == "shortcuts", seed=0)
    missing, unexpected = net.load_state_dict(data.load_weights(NAME, which), strict=False)
    assert unexpected == []
    assert all(key.endswith("num_batches_tracked") for key in missing)
    assert 850_000 < sum(p.numel() for p in net.parameters()) < 860_000
