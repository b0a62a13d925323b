"""Actors of Ray against one process: the same numbers, flags that follow, and clear ends."""

import importlib.util
import os

import pytest
import torch
from tests.flows.parallel._fields import start

from lemmata import flows
from lemmata.errors import InvalidInput
from lemmata.flows.parallel import LayerParallel, Multigrid, OnRay, RayMissing, WorkerLost, gradient, mgrit

SCHEME = Multigrid(m=4)


def _flow() -> flows.Flow:
    return flows.Flow(flows.Plain(4, flows.PiecewiseConstant(24)).double(), steps=24, method="heun")


def _loss(y):
    return y.sin().sum()


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray")
    before = {name: os.environ.get(name) for name in ("RAY_USAGE_STATS_ENABLED", "RAY_worker_niceness")}
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=10**8, log_to_driver=False)
    yield ray
    ray.shutdown()
    for name, value in before.items():
        os.environ.pop(name, None)
        os.environ |= {} if value is None else {name: value}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Ray's own, of sockets and futures
def test_two_actors_give_what_one_process_gives(cluster):
    """To rounding, and to 1e-11 the serial sweep: 3 iterations over 6 chunks are exact."""
    flow = _flow()
    with OnRay(flow, scheme=SCHEME, processes=2) as team:
        options = {"scheme": SCHEME, "tol": None, "iterations": 3}
        mine, theirs = (gradient(flow, _loss, start(), **options, team=own) for own in (team, None))
        y0 = start()
        serial = torch.autograd.grad(_loss(flow(y0)), list(flow.parameters()))
        for (name, g), exact in zip(theirs.parameters.items(), serial, strict=True):
            assert mine.parameters[name] == pytest.approx(g, abs=1e-13)
            assert mine.parameters[name] == pytest.approx(exact, abs=1e-11)
        assert mine.forward.residuals == pytest.approx(theirs.forward.residuals, abs=1e-14)
        assert (mine.forward.steps, mine.adjoint.steps) == (theirs.forward.steps, theirs.adjoint.steps)

        layers = LayerParallel(flow, scheme=SCHEME, iterations=1, team=team)  # weights of the day, and what is trained
        flow.field.coefficients["b"].requires_grad_(False)
        before = layers(start())
        _loss(before).backward()
        with torch.no_grad():
            flow.field.coefficients["K"].sub_(0.5 * flow.field.coefficients["K"].grad)
        after, alone = layers(start()), LayerParallel(flow, scheme=SCHEME, iterations=1)(start())
        assert not torch.allclose(after, before)
        assert after.detach() == pytest.approx(alone.detach(), abs=1e-13)

        team._ray.kill(team._actors[1])
        with pytest.raises(WorkerLost, match="an actor was lost: ActorDiedError"):
            gradient(flow, _loss, start(), scheme=SCHEME, team=team)
        with pytest.raises(WorkerLost, match="closed"):
            mgrit(flow.field, start(), steps=24, method="heun", scheme=SCHEME, team=team)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_more_than_the_cluster_has_is_not_waited_for_for_ever(cluster):
    with pytest.raises(WorkerLost, match=r"has not started 2 actors in 3 s; its resources are .*CPU.*fewer cpus"):
        OnRay(_flow(), scheme=SCHEME, processes=2, cpus=7, patience=3.0)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_it_says_what_to_install():
    with pytest.raises(RayMissing, match=r"pip install lemmata\[ray\]"):
        OnRay(_flow(), scheme=SCHEME)


@pytest.mark.parametrize(
    "wrong", [{"cpus": -1}, {"gpus": "all"}, {"patience": float("nan")}, {"processes": 7}], ids=str
)
def test_what_no_cluster_can_give_is_refused(wrong):
    with pytest.raises(InvalidInput, match=next(iter(wrong))):
        OnRay(_flow(), scheme=SCHEME, **wrong)
