"""Schedules as learning rates: the same run as the recursion, endings, checkpoints, and what is refused."""

import io

import numpy as np
import pytest
import torch

from lemmata.descent import dominant, grimmer, lr_scheduler, nesterov, silver
from lemmata.errors import InvalidInput, UnknownName

CURVE = torch.tensor([2.0, 0.7, 0.1], dtype=torch.float64)


def problem():
    x = torch.nn.Parameter(torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64))
    return x, torch.optim.SGD([x], lr=123.0)


def step(x, optimizer, scheduler):
    optimizer.zero_grad()
    (CURVE * x**2 / 2).sum().backward()
    optimizer.step()
    scheduler.step()


@pytest.mark.parametrize("schedule", [dominant(9), silver(7), grimmer(3)], ids=lambda s: s.name)
def test_a_run_is_gradient_descent_with_the_steps(schedule):
    """To 1e-14: the product of the factors 1 - h c / L, whatever rate the optimiser had before."""
    x, optimizer = problem()
    scheduler = lr_scheduler(optimizer, schedule, L=2.0)
    wanted = x.detach().clone()
    for h in schedule.take(7):
        assert scheduler.get_last_lr() == [h / 2.0]
        step(x, optimizer, scheduler)
        wanted = wanted * (1 - h * CURVE / 2.0)
        torch.testing.assert_close(x.detach(), wanted, rtol=1e-12, atol=1e-14)


def test_every_group_gets_the_rate():
    a, b = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [a], "lr": 0.1}, {"params": [b], "lr": 7.0}])
    scheduler = lr_scheduler(optimizer, silver(3), L=4.0)
    assert [group["lr"] for group in optimizer.param_groups] == [2**0.5 / 4] * 2
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5, 0.5]


@pytest.mark.parametrize(("after", "rates"), [("stay", [0, 0]), ("descend", [0.5, 0.5]), ("repeat", None)])
def test_after_the_end(after, rates):
    """Nothing moves, plain descent, or the schedule again."""
    x, optimizer = problem()
    schedule = dominant(3)
    scheduler = lr_scheduler(optimizer, schedule, L=2.0, after=after)
    met = []
    for _ in range(5):
        met.append(scheduler.get_last_lr()[0])
        step(x, optimizer, scheduler)
    assert met[3:] == (rates if rates is not None else (schedule.steps[:2] / 2).tolist())
    assert np.allclose(met[:3], schedule.steps / 2, rtol=1e-15)


def test_a_cyclic_schedule_has_no_end():
    _, optimizer = problem()
    scheduler = lr_scheduler(optimizer, grimmer(7), L=1.0)
    assert [scheduler.rate(k) for k in range(14)] == grimmer(7).take(14).tolist()


@pytest.mark.parametrize("stop", [0, 1, 4, 6])
def test_a_checkpoint_goes_on_where_it_was(stop):
    """Saved with weights_only, loaded into new objects: the same run, to the bit."""
    whole, optimizer = problem()
    scheduler = lr_scheduler(optimizer, silver(7), L=2.0)
    for _ in range(7):
        step(whole, optimizer, scheduler)

    x, optimizer = problem()
    scheduler = lr_scheduler(optimizer, silver(7), L=2.0)
    for _ in range(stop):
        step(x, optimizer, scheduler)
    file = io.BytesIO()
    torch.save([x.detach(), optimizer.state_dict(), scheduler.state_dict()], file)
    file.seek(0)
    point, of_optimizer, of_scheduler = torch.load(file, weights_only=True)

    x, optimizer = problem()
    x.data.copy_(point)
    scheduler = lr_scheduler(optimizer, silver(7), L=2.0)
    optimizer.load_state_dict(of_optimizer)
    scheduler.load_state_dict(of_scheduler)
    for _ in range(7 - stop):
        step(x, optimizer, scheduler)
    assert torch.equal(x, whole)


def test_what_cannot_be_is_refused():
    _, optimizer = problem()
    state = lr_scheduler(optimizer, silver(7), L=2.0).state_dict()
    with pytest.raises(InvalidInput, match="other steps"):
        lr_scheduler(optimizer, silver(3), L=2.0).load_state_dict(state)
    with pytest.raises(InvalidInput, match="momentum"):
        lr_scheduler(optimizer, nesterov(), L=2.0)
    for L in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match="smoothness"):
            lr_scheduler(optimizer, silver(3), L=L)
    with pytest.raises(UnknownName, match="ending"):
        lr_scheduler(optimizer, silver(3), L=1.0, after="stop")


@pytest.mark.parametrize(("make", "says"), [
    (lambda x: torch.optim.SGD(x, lr=1.0, momentum=0.9), "momentum = 0.9"),
    (lambda x: torch.optim.SGD(x, lr=1.0, momentum=0.9, nesterov=True), "momentum"),
    (lambda x: torch.optim.SGD(x, lr=1.0, weight_decay=0.1), "weight_decay = 0.1"),
    (lambda x: torch.optim.SGD(x, lr=1.0, dampening=0.1), "dampening"),
    (lambda x: torch.optim.SGD(x, lr=1.0, maximize=True), "maximize"),
    (lambda x: torch.optim.SGD([{"params": x, "momentum": 0.5}], lr=1.0), "momentum = 0.5"),
    (torch.optim.Adam, "Adam.*torch.optim.SGD"),
])  # fmt: skip
def test_only_plain_gradient_descent_is_taken(make, says):
    with pytest.raises(InvalidInput, match=says):
        lr_scheduler(make([torch.nn.Parameter(torch.ones(1))]), silver(3), L=1.0)


@pytest.mark.parametrize("L", [None, "1", [1.0, 2.0]])
def test_the_constant_is_a_number(L):
    with pytest.raises(InvalidInput, match="L = "):
        lr_scheduler(problem()[1], silver(3), L=L)
