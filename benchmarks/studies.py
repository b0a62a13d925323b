"""Every study's laptop scale as it is declared, many members in a call, against the same members one call each.

    python benchmarks/studies.py [--only STUDY ...] [--blocks 2] [--members 2]

writes ``benchmarks/results/studies.json``. One process, one thread, processor time. Of each experiment some blocks,
spread over the plan, are run whole, and of each block some members alone; what was not run counts as the mean of what
was. A member is one configuration with one seed: where one configuration holds several networks (all widths of
a figure, say), both sides train those together, so that the ratio says less than the whole gain. A study whose
experiments have one member a block gains nothing here, and says 1.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import groupby
from statistics import mean
from typing import Any

import torch
from rich.console import Console

import machine
from lemmata import laboratory
from lemmata.plan import make
from lemmata.plan.trial import Trial
from lemmata.study.study import Study
from turns import RESULTS, merge, show


def spread(things: Sequence[Any], count: int) -> Sequence[Any]:
    """Some of them, evenly spread from the first to the last."""
    if len(things) <= count:
        return things
    return [things[round(i * (len(things) - 1) / max(count - 1, 1))] for i in range(count)]


def forget() -> None:
    """Empty the caches of the studies: what one call trained for the next, a call of its own would train again."""
    for name, module in list(sys.modules.items()):
        if name.startswith("lemmata.studies."):
            for kept in vars(module).values():
                if hasattr(kept, "cache_clear"):
                    kept.cache_clear()


def seconds(study: Study, experiment: str, configs: Sequence[Any]) -> float:
    """Processor time of one call of the trial function."""
    function = study.experiments[experiment].trial_function
    assert function is not None
    forget()
    start = machine.clock()
    function(configs)
    return machine.clock() - start


def cost(study: Study, experiment: str, trials: Sequence[Trial], *, blocks: int, members: int) -> tuple[float, float]:
    """Seconds of all blocks of an experiment as declared, and of all their members one at a time."""
    together, alone = [], []
    for trial in spread(trials, blocks):
        configs = [member.config for member in trial.members]
        if not together:
            seconds(study, experiment, configs[:1])  # warm-up: data read, kernels compiled
        block = seconds(study, experiment, configs)
        singles = (
            [seconds(study, experiment, [config]) for config in spread(configs, members)] if configs[1:] else [block]
        )
        together.append(block)
        alone.append(mean(singles) * len(configs))
    return mean(together) * len(trials), mean(alone) * len(trials)


def measured(name: str, study: Study, *, blocks: int, members: int) -> dict[str, Any]:
    """The row of one study."""
    covered = laboratory.covered(study, "laptop")
    trials = sorted(make(covered, scale="laptop").trials, key=lambda trial: trial.experiment)
    together = alone = 0.0
    for experiment, group in groupby(trials, key=lambda trial: trial.experiment):
        own = cost(covered, experiment, list(group), blocks=blocks, members=members)
        together, alone = together + own[0], alone + own[1]
    return {
        "work": name, "unit": "the study as declared", "limit": None, "limit is": "", "ours at most": None,
        "members": sum(len(trial.members) for trial in trials), "blocks": len(trials),
        "sides": {
            "as declared": {"median": 1.0, "seconds": together},
            "one member at a time": {"median": alone / together, "seconds": alone},
        },
    }  # fmt: skip


def main() -> None:
    """Measure each study in turn, and write its row at once."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", nargs="*", default=[])
    options.add_argument("--blocks", type=int, default=2, help="blocks of each experiment that are run")
    options.add_argument("--members", type=int, default=2, help="members of each block that are run alone")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as a run has it
    facts, rows, broken = machine.facts(), [], {}
    for name, study in laboratory.declaring("laptop", broken):
        if chosen.only and name not in chosen.only:
            continue
        Console().print(name)
        rows.append(measured(name, study, blocks=chosen.blocks, members=chosen.members))
        merge(RESULTS / "studies.json", rows[-1], facts)
    show(rows)
    together, alone = (
        sum(row["sides"][side]["seconds"] for row in rows) for side in ("as declared", "one member at a time")
    )
    Console().print(
        f"{len(rows)} studies: {together:.0f} s as declared, {alone:.0f} s one at a time, {alone / together:.1f} times"
    )


if __name__ == "__main__":
    main()
