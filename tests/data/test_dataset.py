"""`Dataset`: what is checked when one is made, and what `split`, `subset`, `flat` and `to` keep."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata.data import Dataset
from lemmata.errors import InvalidInput


def line(n=20, test=0, classes=2):
    """Example i is the number i, so that one can see where each went; test examples are negative."""
    x, y = torch.arange(float(n))[:, None], torch.arange(n) % classes
    if not test:
        return Dataset("line", x, y, classes, "d")
    return Dataset("line", x, y, classes, "d", -1 - torch.arange(float(test))[:, None], torch.arange(test) % classes)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(2, 60), data=st.data(), seed=st.integers(0, 2**31))
def test_a_split_is_disjoint_keeps_labels_and_is_determined_by_its_seed(n, data, seed):
    train = data.draw(st.integers(1, n - 1))
    test = data.draw(st.integers(1, n - train))
    part, again = (line(n).split(train, test, seed=seed) for _ in range(2))
    assert part.x_test is not None
    assert part.y_test is not None
    seen = torch.cat([part.x, part.x_test]).flatten()
    assert len(part) == train
    assert len(part.y_test) == test
    assert len(seen.unique()) == train + test
    assert torch.equal(part.y, part.x.flatten().long() % 2)
    assert torch.equal(part.y_test, part.x_test.flatten().long() % 2)
    assert torch.equal(part.x, again.x)
    assert part.digest == "d"


@settings(max_examples=50, deadline=None)
@given(n=st.integers(3, 60), data=st.data(), seed=st.integers(0, 1000))
def test_training_sets_are_nested_and_the_test_set_does_not_depend_on_their_size(n, data, seed):
    small = data.draw(st.integers(1, n - 2))
    large = data.draw(st.integers(small, n - 1))
    test = data.draw(st.integers(1, n - large))
    a, b = line(n).split(small, test, seed=seed), line(n).split(large, test, seed=seed)
    assert a.x_test is not None
    assert b.x_test is not None
    assert torch.equal(a.x, b.x[:small])
    assert torch.equal(a.x_test, b.x_test)


def test_a_published_test_set_is_not_mixed_with_the_training_set():
    part = line(20, test=10).split(20, 10, seed=3)
    assert part.x_test is not None
    assert sorted(part.x.flatten().tolist()) == list(range(20))
    assert sorted(part.x_test.flatten().tolist()) == list(range(-10, 0))


def test_a_split_permutes():
    part = line(100).split(50, 50)
    assert part.x.flatten().tolist() != sorted(part.x.flatten().tolist())
    assert not torch.equal(part.x, line(100).split(50, 50, seed=1).x)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (0, 5, "line: train = 0 makes an empty split; it must be 1 or more"),
        (5, -1, "line: test = -1 makes an empty split"),
        (15, 6, r"line: train \+ test = 15 \+ 6 asks for 21 examples and there are 20; ask for fewer"),
    ],
)
def test_impossible_splits(train, test, message):
    with pytest.raises(InvalidInput, match=message):
        line(20).split(train, test)


def test_impossible_splits_with_a_test_set():
    with pytest.raises(InvalidInput, match="line: train asks for 21 examples and there are 20"):
        line(20, test=10).split(21, 5)
    with pytest.raises(InvalidInput, match="line: test asks for 11 examples and there are 10"):
        line(20, test=10).split(20, 11)


def test_subset_by_number_indices_and_mask():
    data = line(6, test=2)
    assert data.subset(2).x.flatten().tolist() == [0, 1]
    assert data.subset(torch.tensor([5, 0])).x.flatten().tolist() == [5, 0]
    ones = data.subset(data.y == 1)
    assert ones.x.flatten().tolist() == [1, 3, 5]
    assert ones.y.tolist() == [1, 1, 1]
    assert ones.x_test is data.x_test
    with pytest.raises(InvalidInput, match="subset asks for 7 examples and there are 6"):
        data.subset(7)
    with pytest.raises(InvalidInput, match="there are no examples"):
        data.subset(data.y > 5)


def test_flat_and_to_reach_the_test_set_too():
    images = torch.rand(3, 2, 4, 4)
    data = Dataset("images", images, torch.tensor([0, 1, 2]), 3, "d", images, torch.tensor([0, 1, 2]))
    flat = data.flat().to(dtype=torch.float64)
    assert flat.x_test is not None
    assert flat.x_test.shape == (3, 32)
    assert flat.x_test.dtype == torch.float64
    assert torch.equal(flat.x, images.flatten(1).double())
    assert flat.y.dtype == torch.int64


def test_its_text_is_one_line():
    assert repr(line(2000, test=10)) == "Dataset('line': 2,000 + 10 test, 1, 2 classes)"


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            torch.zeros(3, 2),
            torch.tensor([0, 1]),
            r"mine: x of shape \(3, 2\) and y of shape \(2,\) do not go together",
        ),
        (torch.zeros(2, 2), torch.zeros(2, 1).long(), r"y of shape \(2, 1\) do not go together"),
        (torch.zeros(0, 2), torch.zeros(0).long(), "mine: there are no examples; a dataset needs at least one"),
        (torch.zeros(2, 2), torch.zeros(2), r"mine: labels are torch.float32; convert them with y.long\(\)"),
        (torch.zeros(2, 2), torch.tensor([0, 2]), r"mine: label 2 is out of range; with 2 classes they are 0\.\.1"),
        (torch.zeros(2, 2), torch.tensor([-1, 1]), "mine: label -1 is out of range"),
        (torch.tensor([[0.0], [float("nan")]]), torch.tensor([0, 1]), "mine: example 1 holds NaN or infinity; remove"),
        (torch.tensor([[float("inf")], [0.0]]), torch.tensor([0, 1]), "mine: example 0 holds NaN or infinity"),
    ],
)
def test_what_cannot_be_a_dataset(x, y, message):
    with pytest.raises(InvalidInput, match=message):
        Dataset("mine", x, y, 2, "")
    sound = torch.zeros(1, 2), torch.tensor([0])
    with pytest.raises(InvalidInput, match=r"mine \(test\): "):
        Dataset("mine", *sound, 2, "", x, y)


def test_half_a_test_set():
    with pytest.raises(InvalidInput, match="mine: a test set needs both x_test and y_test"):
        Dataset("mine", torch.zeros(1, 2), torch.tensor([0]), 1, "", x_test=torch.zeros(1, 2))
