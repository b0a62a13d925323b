"""What the README and the handbook say there is, is what there is."""

import re
from pathlib import Path

import pytest

from lemmata.catalogue import entries
from lemmata.report.overview import _cell
from lemmata.study.registry import load

ROOT = Path(__file__).parents[1]
STUDIES = {entry.name: entry for entry in entries()}


def test_the_readme_lists_every_study_under_its_topic():
    rows = re.findall(
        r"^\| ([a-z ]+) \| ((?:`[a-z0-9-]+`(?:, )?)+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    listed = {name: topic for topic, names in rows for name in re.findall(r"`([^`]+)`", names)}
    assert listed == {name: entry.topic for name, entry in STUDIES.items()}


@pytest.fixture(scope="module")
def page() -> str:
    return (ROOT / "docs" / "which-study-shows-what.md").read_text()


def test_the_page_of_verdicts_has_every_study(page):
    assert {name for name in STUDIES if f"[{name}](#{name})" not in page} == set()


@pytest.mark.parametrize("name", STUDIES)
def test_the_page_of_verdicts_has_every_claim_of_laptop_scale(page, name):
    """Claims change with the studies; then `lemmata report --all --output docs/which-study-shows-what.md` is due."""
    if f"[{name}](#{name}) | – | – | not run |" in page:
        return
    experiments = [e for e in load(name).experiments.values() if "laptop" in e.seeds]
    statements = [claim.statement for experiment in experiments for claim in experiment.claims]
    assert [text for text in statements if f"| {_cell(text)} |" not in page] == []
