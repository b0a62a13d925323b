"""Two processes against one: the same numbers, no orphans, clear ends."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from tests.flows.parallel._fields import rough, start

from lemmata import flows
from lemmata.errors import InvalidInput
from lemmata.flows.parallel import (
    LayerParallel,
    Multigrid,
    Processes,
    WorkerLost,
    forecast,
    gradient,
    mgrit,
)

SCHEME = Multigrid(m=4)


def _flow() -> flows.Flow:
    return flows.Flow(flows.Plain(4, flows.PiecewiseConstant(24)).double(), steps=24, method="heun")


@pytest.fixture(scope="module")
def team():
    with Processes(_flow(), scheme=SCHEME, processes=2) as made:
        yield made


def _loss(y):
    return y.sin().sum()


@pytest.mark.parametrize("samples", [3, 5])
def test_two_processes_give_what_one_gives(team, samples):
    """To rounding: batches of other sizes may be summed in another order. Six chunks: three each."""
    flow, y0 = team.flow, start(samples=samples)
    mine, theirs = (
        gradient(flow, _loss, y0, scheme=SCHEME, tol=None, iterations=1, team=own) for own in (team, None)
    )  # fmt: skip
    for name, g in theirs.parameters.items():
        assert mine.parameters[name] == pytest.approx(g, abs=1e-12)
    assert mine.y0 == pytest.approx(theirs.y0, abs=1e-12)
    assert mine.forward.residuals == pytest.approx(theirs.forward.residuals, rel=1e-9)
    assert (mine.forward.steps, mine.adjoint.steps) == (theirs.forward.steps, theirs.adjoint.steps)
    options = {"steps": 24, "method": "heun", "scheme": SCHEME, "tol": None, "iterations": 1, "keep": "all"}
    here, there = (mgrit(flow.field, y0, **options, team=own).states for own in (None, team))
    assert here == pytest.approx(there, abs=1e-13)


def test_messages_are_those_of_the_forecast(team):
    cost = forecast(24, scheme=SCHEME, iterations=1, processes=2, method="heun")
    mgrit(team.flow.field, start(), steps=24, method="heun", scheme=SCHEME, tol=None, iterations=1, team=team)
    before = team.messages
    mgrit(team.flow.field, start(), steps=24, method="heun", scheme=SCHEME, tol=None, iterations=1, team=team)
    assert team.messages - before == cost.messages


def test_weights_that_were_trained_since_are_the_ones_used(team):
    layers = LayerParallel(team.flow, scheme=SCHEME, iterations=1, team=team)
    before = layers(start()).detach()
    _loss(layers(start())).backward()
    with torch.no_grad():
        for p in team.flow.parameters():
            p.sub_(0.5 * p.grad)
            p.grad = None
    after = layers(start())
    assert not torch.allclose(after, before)
    alone = LayerParallel(team.flow, scheme=SCHEME, iterations=1)
    assert after.detach() == pytest.approx(alone(start()).detach(), abs=1e-12)
    layers(start())  # a pass that has gone forwards since
    with pytest.raises(InvalidInput, match="gone forwards again"):
        after.sum().backward()


def test_other_layers_are_refused(team):
    with pytest.raises(InvalidInput, match="made for another"):
        mgrit(rough(), start(), steps=24, method="heun", scheme=SCHEME, team=team)
    with pytest.raises(InvalidInput, match="7 processes share 6 chunks"):
        Processes(_flow(), scheme=SCHEME, processes=7)


def test_a_worker_that_dies_is_missed_and_a_closed_team_says_so():
    team = Processes(_flow(), scheme=SCHEME, processes=2)
    workers = list(team._workers.values())
    workers[1].kill()
    with pytest.raises(WorkerLost, match="layers 12 to 23 ended by SIGKILL"):
        mgrit(team.flow.field, start(), steps=24, method="heun", scheme=SCHEME, team=team)
    assert not any(process.is_alive() for process in workers)
    with pytest.raises(WorkerLost, match="closed"):
        mgrit(team.flow.field, start(), steps=24, method="heun", scheme=SCHEME, team=team)
    team.close()


def test_an_error_in_a_worker_is_told():
    flow = _flow()
    with Processes(flow, scheme=SCHEME, processes=2) as team:
        guess = start(3).expand(7, 3, 3)  # states of a width that the field does not take
        with pytest.raises(WorkerLost, match="a worker failed with"):
            mgrit(flow.field, start(3), steps=24, method="heun", scheme=SCHEME, guess=guess, team=team)


PROGRAM = """
import signal, sys, time, torch
from lemmata import flows
from lemmata.flows.parallel import Multigrid, Processes, mgrit

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what is in the background without
    flow = flows.Flow(flows.Plain(4, flows.PiecewiseConstant(64)), steps=4096, method="rk4")
    team = Processes(flow, scheme=Multigrid(m=4), processes=2)
    print(*(process.pid for process in team._workers.values()), flush=True)
    while True:
        mgrit(flow.field, torch.ones(64, 4), steps=4096, scheme=Multigrid(m=4), tol=None, iterations=3, team=team)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes by their numbers")
@pytest.mark.parametrize(
    "how", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)], ids=["Ctrl-C", "killed"]
)
def test_nobody_is_left_when_the_parent_ends(how, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    parent = subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert parent.stdout is not None
    workers = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(workers) == 2
    time.sleep(0.5)
    if how is signal.SIGINT:
        os.killpg(parent.pid, how)  # as a terminal does: to all
    else:
        parent.kill()
    try:
        parent.communicate(timeout=30)
    finally:
        parent.kill()
    for _ in range(300):
        left = [pid for pid in workers if _alive(pid)]
        if not left:
            break
        time.sleep(0.1)
    assert not left


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_is_frozen_later_is_frozen_in_the_workers_too(team):
    """Gradients of K alone, then of b alone, then of both, from a team that was made when both were trained."""
    flow, trained = team.flow, dict(team.flow.field.named_parameters())
    for names in (["coefficients.K"], ["coefficients.b"], list(trained)):
        for name, p in trained.items():
            p.requires_grad_(name in names)
        mine, theirs = (
            gradient(flow, _loss, start(), scheme=SCHEME, tol=None, iterations=1, team=own) for own in (team, None)
        )  # fmt: skip
        assert set(mine.parameters) == set(names)
        for name, g in theirs.parameters.items():
            assert mine.parameters[name] == pytest.approx(g, abs=1e-12)


def test_a_field_with_other_weights_than_the_team_was_made_with_is_refused():
    flow = _flow()
    with Processes(flow, scheme=SCHEME, processes=2) as team:
        flow.field.register_parameter("late", torch.nn.Parameter(torch.ones(3)))
        with pytest.raises(InvalidInput, match="weights late are of other names, shapes or dtypes"):
            mgrit(flow.field, start(), steps=24, method="heun", scheme=SCHEME, team=team)
