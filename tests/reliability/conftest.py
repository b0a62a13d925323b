"""A coin study of many small trials, processes that run it, and what they recorded."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lemmata.engines.base import run
from lemmata.plan import make
from lemmata.records import Store
from lemmata.study.registry import load

HERE = Path(__file__).parent
COIN = HERE.parent / "engines" / "coin_study.py"
BIASES = 20


@pytest.fixture
def coin_file(tmp_path) -> Path:
    """20 biases, the control among them, 5 seeds each, in trials of one member that take 10 ms: 100 trials."""
    text = COIN.read_text(encoding="utf-8")
    text = text.replace(
        '"bias": [0.2, 0.4, 0.5, 0.6, 0.8]}', f'"bias": [n / {BIASES} for n in range(1, {BIASES} + 1)]}}'
    )
    text = text.replace('scales={"smoke"', 'block=1, scales={"smoke"').replace("PAUSE = 0.0", "PAUSE = 0.01")
    file = tmp_path / "coin_study.py"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def undisturbed(coin_file, tmp_path) -> dict:
    """What a run that nothing disturbs measures."""
    store = Store(tmp_path / "undisturbed")
    study = load(str(coin_file))
    outcome = run(make(study), store)
    assert outcome.done == BIASES * 5  # the control's bias, 0.95, is among those swept
    return measured(store)


@pytest.fixture
def start(coin_file) -> Callable[..., subprocess.Popen]:
    """Start a run of the coin study in a process of its own."""

    def begin(store: Path, engine: str = "serial", workers: int = 2, study: Path = coin_file) -> subprocess.Popen:
        command = [sys.executable, str(HERE / "run_coin.py"), str(study), str(store), engine, str(workers)]
        environment = {**os.environ, "LEMMATA_TEST_STORE": str(store), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    return begin


def measured(store: Store) -> dict:
    """All that was measured, to the bit, by member."""
    found = {}
    for trial in sorted(store.keys()):
        for member in store.get(trial).members:
            m = member.measurements
            curves = {name: (curve.x.tobytes(), curve.y.tobytes()) for name, curve in m.curves.items()}
            arrays = {name: (array.dtype, array.shape, array.tobytes()) for name, array in m.arrays.items()}
            found[member.key] = (m.scalars, m.errors, curves, arrays, m.status)
    return found


@pytest.fixture(name="measured")
def _measured() -> Callable[[Store], dict]:
    return measured
