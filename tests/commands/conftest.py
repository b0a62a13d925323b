"""A small study file that runs in milliseconds, and the command line called as a user would."""

import textwrap
from pathlib import Path

import pytest

from lemmata import cli

STUDY = '''
"""A coin: is it fair?"""
from typing import Literal

import numpy as np
from pydantic import Field

from lemmata.study import Config, Curve, Measurements, Paper, Section, Study, kinds


class Network(Section):
    width: int = Field(default=8, gt=0)


class Coin(Config):
    bias: float = Field(default=0.5, ge=0, le=1)
    tosses: int = 400
    network: Network = Network()


study = Study(
    "coin", question="Is it fair?", title="Coins", config=Coin, sweep={"bias": [0.5]},
    paper=Paper(key="coin1700", title="On coins", authors=("A. Gambler",), year=1700),
    seeds={"smoke": 3, "laptop": 8},
)


@study.trial
def toss(configs):
    draws = [np.random.default_rng([c.seed, c.tosses]).random(c.tosses) < c.bias for c in configs]
    steps = np.arange(1.0, configs[0].tosses + 1)
    return [Measurements.of(heads=d.mean(), running=Curve(steps, np.cumsum(d) / steps)) for d in draws]


fair = study.claim("heads half of the time", name="fair", where="page 1", kind=kinds.value(of="heads"), paper=0.5,
                   quoted="1/2", margin=0.1)
fair.control("a loaded coin", bias=0.9)
'''


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """An empty folder, with the coin study in it, to be in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEMMATA_STORE", raising=False)
    (tmp_path / "coin.py").write_text(textwrap.dedent(STUDY))
    return tmp_path


@pytest.fixture
def lemmata(capsys, monkeypatch):
    """Call the command line; gives (exit status, what it printed, what it printed to stderr)."""
    monkeypatch.setenv("COLUMNS", "140")

    def call(*tokens: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["lemmata", *tokens])
        status = 0
        try:
            cli.main()
        except SystemExit as stop:
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call
