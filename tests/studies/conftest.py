"""What the tests of studies share: quiet threads, and each study's runs at smoke and at laptop scale."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import pandas as pd
import pytest
import torch

from lemmata import laboratory
from lemmata.verdicts import Outcome, Verdict
from lemmata.verdicts.verdict import ControlOutcome


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small networks on busy processors: two threads are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Finished:
    """What a run came to, its verdicts by the names of their claims."""

    run: laboratory.Run
    verdicts: Mapping[str, Verdict]

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The records, by experiment."""
        return self.run.tables

    def assert_outcome(self, claim: str, outcome: Outcome = Outcome.REPRODUCED) -> None:
        """Assert what became of a claim, and that each of its controls, of which there must be one, is refuted."""
        verdict = self.verdicts[claim]
        assert verdict.outcome is outcome, f"{claim}: {verdict.reason}"
        assert verdict.controls or verdict.claim.untestable, f"{claim} has no control"
        assert {control.outcome for control in verdict.controls} <= {ControlOutcome.REFUTED}, claim

    def assert_outcomes(self, but: Mapping[str, Outcome] | None = None) -> None:
        """Assert that every claim is reproduced, but for those named with what became of them."""
        expected = dict.fromkeys(self.verdicts, Outcome.REPRODUCED) | dict(but or {})
        assert expected
        for claim, outcome in expected.items():
            self.assert_outcome(claim, outcome)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Callable[..., Finished]:
    """Give a function of a study's name, and of experiments where not all are asked: its run at smoke scale."""
    return _runs("smoke", tmp_path_factory)


@pytest.fixture(scope="session")
def laptop(tmp_path_factory) -> Callable[..., Finished]:
    """The same at laptop scale, which takes a minute a study: for tests that are marked slow."""
    return _runs("laptop", tmp_path_factory)


def _runs(scale: str, tmp_path_factory) -> Callable[..., Finished]:
    """Runs by name, each made once: processes that share the tests share the stores, which answer what is recorded."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    @cache
    def ran(name: str, *only: str) -> Finished:
        found = laboratory.run(name, scale=scale, only=only, store=folder / scale / name)
        assert found.outcome is not None
        assert not found.outcome.failed
        return Finished(found, {verdict.claim.name: verdict for verdict in found.verdicts})

    return ran
