"""A copy of the coin study, loaded from a file of the test's own."""

from pathlib import Path

import pytest

from lemmata.study.registry import load

COIN = Path(__file__).parents[1] / "engines" / "coin_study.py"


@pytest.fixture
def coin_file(tmp_path) -> Path:
    file = tmp_path / "coin_study.py"
    file.write_text(COIN.read_text(encoding="utf-8"), encoding="utf-8")
    return file


@pytest.fixture
def coin(coin_file):
    return load(str(coin_file))
