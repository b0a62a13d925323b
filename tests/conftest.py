"""What all tests share: the folder of large real files, quiet threads, and the count of skipped tests."""

import gc
import os
from collections.abc import Generator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from lemmata.study.registry import load

settings.register_profile("seeded", derandomize=True)  # the same examples at every run
settings.load_profile("seeded")

torch.set_num_threads(1)
COIN = Path(__file__).parent / "engines" / "coin_study.py"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, None, None]:
    """Look for no garbage while 13,000 tests are collected, nor among them later: a third of the time to collect."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_runtest_setup(item: pytest.Item):
    """Skip, and count, what is marked `gpu` where there is no such device."""
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


def pytest_sessionfinish():
    """Let everything be freed at the end, or compiled libraries speak of leaks."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the large real files; the test is skipped, and counted, where there is none."""
    folder = os.environ.get("LEMMATA_DATA")
    if not folder:
        pytest.skip("LEMMATA_DATA is not set: the large real files are not here")
    return Path(folder)


@pytest.fixture
def coin_file(tmp_path) -> Path:
    """A copy of the coin study, in a file of the test's own."""
    file = tmp_path / "coin_study.py"
    file.write_text(COIN.read_text(encoding="utf-8"), encoding="utf-8")
    return file


@pytest.fixture
def coin(coin_file):
    """The coin study, loaded from that file."""
    return load(str(coin_file))


def pytest_terminal_summary(terminalreporter):
    """Say how many tests wanted the large real files and did not find them."""
    skipped = terminalreporter.stats.get("skipped", [])
    wanting = [report for report in skipped if "LEMMATA_DATA" in str(report.longrepr)]
    if wanting:
        terminalreporter.write_line(
            f"{len(wanting)} tests skipped for want of LEMMATA_DATA, the folder of large real files"
        )
