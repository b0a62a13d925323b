"""A study that runs in milliseconds and imports no torch; tests copy this file and change the copy."""

import time
from pathlib import Path

import numpy as np

from lemmata.study import Config, Curve, Measurements, Study, kinds

PAUSE = 0.0
MISHAP = Path(__file__).parent / "mishap.txt"  # "die" kills the worker that meets it; see misbehave


class Coin(Config):
    bias: float = 0.5
    tosses: int = 50
    mishap: str = ""


study = Study(
    "coin", question="Is it fair?", config=Coin, sweep={"bias": [0.2, 0.4, 0.5, 0.6, 0.8]},
    scales={"smoke": {"bias": [0.5]}},
)  # fmt: skip


def misbehave(kind: str) -> None:
    import os
    import signal
    import sys

    if kind == "raise":
        raise RuntimeError("the coin fell off the table")
    if kind == "print":
        print("heads!")
        sys.stdout.flush()
    if kind == "die" or (kind == "die once" and not MISHAP.exists()):
        MISHAP.write_text("met")
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "sleep":
        time.sleep(60)


@study.trial
def toss(configs):
    misbehave(configs[0].mishap)
    time.sleep(PAUSE)
    outcomes = []
    for config in configs:
        generator = np.random.default_rng([config.seed, config.tosses])
        heads = generator.random(config.tosses) < config.bias
        running = Curve(np.arange(1, config.tosses + 1), np.cumsum(heads) / np.arange(1, config.tosses + 1))
        outcomes.append(Measurements.of(heads=heads.mean(), running=running, flips=heads))
    return outcomes


fair = study.claim(
    "heads half of the time", name="fair", where="folklore", kind=kinds.value(of="heads"), select={"bias": 0.5},
    paper=0.5, margin=0.2,
)  # fmt: skip
fair.control("a loaded coin", bias=0.95)
