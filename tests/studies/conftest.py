"""What the tests of studies share: quiet threads, and each study's run at smoke scale."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import pandas as pd
import pytest
import torch

from lemmata import laboratory
from lemmata.verdicts import Verdict


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small networks on busy processors: two threads are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Smoke:
    """What a run at smoke scale came to, its verdicts by the names of their claims."""

    run: laboratory.Run
    verdicts: Mapping[str, Verdict]

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The records, by experiment."""
        return self.run.tables


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Callable[..., Smoke]:
    """Give a function of a study's name, and of experiments where not all are asked: its run at smoke scale.

    It runs once: processes that share the tests share the stores, which answer what is recorded.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    @cache
    def ran(name: str, *only: str) -> Smoke:
        found = laboratory.run(name, scale="smoke", only=only, store=folder / "smoke" / name)
        assert found.outcome is not None
        assert not found.outcome.failed
        return Smoke(found, {verdict.claim.name: verdict for verdict in found.verdicts})

    return ran
