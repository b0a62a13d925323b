"""Targets from logits: what they keep, and what the offset of a sample is worth."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lemmata.errors import InvalidInput
from lemmata.training.mimic_targets import mimic_targets, offset_share

LOGITS = arrays(np.float64, (7, 4), elements=st.floats(-50, 50, width=32)).filter(
    lambda z: (z - z.mean(1, keepdims=True)).std() > 0.1
)


@given(z=LOGITS, centred=st.booleans(), shift=arrays(np.float64, (7, 1), elements=st.floats(-9, 9, width=32)))
@settings(max_examples=60, deadline=None)
def test_targets_rank_the_classes_of_a_sample_as_the_logits_do_and_have_size_one(z, centred, shift):
    """float64: differences within a sample are those of the logits to 1e-12 of their size."""
    t = mimic_targets(torch.tensor(z), centred=centred).numpy()
    assert np.sqrt((t**2).mean()) == pytest.approx(1, abs=1e-12)
    differences, own = t[:, :1] - t, z[:, :1] - z
    scale = np.abs(own).max() / np.abs(differences).max()
    np.testing.assert_allclose(differences * scale, own, rtol=0, atol=1e-9)
    if centred:
        np.testing.assert_allclose(t.mean(1), 0, atol=1e-12)
        np.testing.assert_allclose(mimic_targets(torch.tensor(z + shift)).numpy(), t, rtol=0, atol=1e-9)


@given(z=LOGITS)
@settings(max_examples=60, deadline=None)
def test_the_offset_has_the_share_of_variance_of_a_projection(z):
    """|z|^2 = |P z|^2 + k m(z)^2, about the means over samples: by the matrix 11'/k."""
    about = z - z.mean(0)
    ones = np.full((4, 4), 0.25)
    share = ((about @ ones) ** 2).sum() / (about**2).sum()
    assert float(offset_share(torch.tensor(z))) == pytest.approx(share, abs=1e-9)


def test_the_share_is_all_for_offsets_alone_and_none_for_centred_logits():
    z = torch.randn(50, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64).expand(-1, 5)
    assert float(offset_share(z)) == pytest.approx(1)
    other = torch.randn(50, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert float(offset_share(mimic_targets(other))) == pytest.approx(0, abs=1e-12)


def test_logits_that_teach_nothing_are_refused():
    with pytest.raises(InvalidInput, match="teach nothing"):
        mimic_targets(torch.ones(4, 3))
    for shape in ((4,), (4, 1), (0, 3)):
        with pytest.raises(InvalidInput, match="give \\(n, k\\)"):
            mimic_targets(torch.zeros(shape))
