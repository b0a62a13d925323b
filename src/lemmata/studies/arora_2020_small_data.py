"""Harnessing the power of infinitely wide deep nets on small-data tasks (Arora and others, 2020)."""

from lemmata.data.pmlb_tables import TABLES
from lemmata.studies._arora_2020_protocol import Comparison, compare
from lemmata.study import Paper, Study

study = Study(
    "arora-2020-small-data",
    paper=Paper(
        key="arora2020small",
        title="Harnessing the power of infinitely wide deep nets on small-data tasks",
        authors=(
            "Sanjeev Arora", "Simon S. Du", "Zhiyuan Li", "Ruslan Salakhutdinov", "Ruosong Wang", "Dingli Yu",
        ),
        year=2020,
        venue="International Conference on Learning Representations",
        arxiv="1910.01663",
        entry="inproceedings",
    ),
    topic="kernels",
    question="On small tables, does the kernel of infinitely wide networks beat forests and other kernels?",
)  # fmt: skip

SMALLEST_FIRST = [f"pmlb/{table.name}" for table in sorted(TABLES, key=lambda table: table.samples)]

pmlb = study.experiment(
    "pmlb",
    config=Comparison,
    sweep={"table": SMALLEST_FIRST},
    seeds={"paper": 3},
    vectorised=("seed",),
    data=lambda config: config.table,
)
pmlb.trial(compare)
