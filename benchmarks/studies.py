"""Every study's laptop scale as it is declared, against the same work one network at a time.

    python benchmarks/studies.py [--only STUDY ...] [--blocks 2] [--members 2] [--store STORE]

writes ``benchmarks/results/studies.json``. One process, one thread, processor time; the caches of the studies are
emptied before each call, on every side.

As declared, a call has a whole block: many seeds and settings. On the second side every stack of networks in that call
is cut to single ones, as `one_at_a_time` says, which names the functions where that is done. On the third these single
ones are modules under autograd, as `plain_network` says, wherever `lemmata.training` would write the chain rule out:
that is the loop that anybody writes for one network. What is no stack of
networks (a kernel, a certificate, a surface point by point) takes the same on all sides, as do networks that several
members of a block share. Where a block calls none of those functions, the other sides have a call for each of its
members: there one configuration with one seed is one network, or one problem. Descents on a band, whose pivots hang
together, stay whole.

What is run is a sample. Blocks with equally many members stand for one another: of each such kind of an experiment up
to `blocks` are run, spread over the plan, but only one where it takes more than `ENOUGH` seconds; of a stack some
networks are run alone, or of a block up to `members` members. What was not run counts as the mean of what was: as many
seconds for each block; or, where the laptop run is recorded in `store`, the seconds that these blocks took there, for
which the sample gives the sides' ratios. A row says how many blocks were run, and in these how many members or networks
alone, of how many.

The limit beside a row is the time that the products and convolutions of the declared run would take at the machine's
peak in float32, in units of the declared run: 0.3 says that 70 % of it is not arithmetic of that kind at full speed.
Factorisations, eigenvalues and what is done element by element are not counted. Where the limit is near 1 no stack can
be faster than its networks one after the other, for these need the same products.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from statistics import mean
from typing import Any

import torch
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

import machine
from lemmata import laboratory
from lemmata.plan import make
from lemmata.plan.recorded import Known
from lemmata.plan.trial import Member, Trial
from lemmata.study.study import Study
from one_at_a_time import GOLDEN, Seconds, alone_and_plain, one_at_a_time
from turns import RESULTS, merge, show

ENOUGH = 4.0  # seconds of a call that need not be run twice
SIDES = ("as declared", "one network at a time", "one plain network at a time")
TOTALS = ("all studies", "studies that have the plain side")
LIMIT = "products and convolutions of the declared run at the peak of float32"
Block = Sequence[Any]  # the configurations of one call
Trials = Callable[[Block], object]


def spread(things: Sequence[Any], count: int) -> Sequence[Any]:
    """Some of them: from the middle on, spread over all however many are taken."""
    places = (int(len(things) * ((0.5 + k * GOLDEN) % 1)) for k in range(2 * len(things)))
    return [things[i] for i in dict.fromkeys(places)][:count]


def forget() -> None:
    """Empty the caches of the studies: what one call trained for the next, a call of its own would train again."""
    for name, module in list(sys.modules.items()):
        if name.startswith("lemmata.studies."):
            for kept in vars(module).values():
                if hasattr(kept, "cache_clear"):
                    kept.cache_clear()


@dataclass
class Cost:
    """Seconds and flops of a study; how many blocks, members and networks of stacks were run, of how many."""

    seconds: Seconds = (0.0, 0.0, 0.0)
    flops: float = 0.0  # of the declared side
    run: Counter[str] = field(default_factory=Counter)
    all: Counter[str] = field(default_factory=Counter)

    def add(self, function: Trials, blocks: Sequence[Block], *, recorded: float, at_most: int, members: int) -> None:
        """Run some of the blocks of one kind, and let them stand for all, which took so many seconds (0: unknown)."""
        found = list[Seconds]()
        for block in spread(blocks, at_most):
            if found and found[0][0] > ENOUGH:
                break
            found.append(self._block(function, block, members))
        together, alone, plain = (mean(side) for side in zip(*found, strict=True))
        times = recorded / together if recorded else len(blocks)
        self.seconds = (
            self.seconds[0] + times * together,
            self.seconds[1] + times * alone,
            self.seconds[2] + times * plain,
        )
        self.flops += flops(function, *spread(blocks, 1)) / found[0][0] * times * together
        self.run["blocks"] += len(found)
        self.all["blocks"] += len(blocks)

    def _block(self, function: Trials, block: Block, members: int) -> Seconds:
        """Seconds of a block on each side."""
        with one_at_a_time() as meter:
            call(function, block)()
            seconds = meter.seconds()
            if meter.networks:
                self.run["networks"] += meter.sampled
                self.all["networks"] += meter.networks
                return seconds
            together, *_ = seconds
            if len(block) == 1 and not meter.assembled:
                return together, together, together
            few = spread(block, members)
            singles = [alone_and_plain(lambda config=config: call(function, [config])) for config in few]
        self.run["members"] += len(singles)
        self.all["members"] += len(block)
        alone, plain = (mean(side) * len(block) for side in zip(*singles, strict=True))
        return together, alone, plain


def call(function: Trials, configs: Block) -> Callable[[], object]:
    """A call of a trial function that finds no cache filled."""
    forget()
    return lambda: function(configs)


class Everywhere:
    """In place of what tells in which module one is, whose hooks forbid gradients by the input."""

    parents = frozenset({"Global"})

    def __enter__(self) -> None:
        """Watch nothing."""

    def __exit__(self, *args: object) -> None:
        """Put nothing back."""


def flops(function: Trials, configs: Block) -> int:
    """Floating-point operations of products and convolutions in one call of a trial function."""
    forget()
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = Everywhere()  # type: ignore[assignment]
    with counter:
        function(configs)
    return counter.get_total_flops()


def cost(study: Study, *, known: Mapping[str, Known], blocks: int, members: int) -> Cost:
    """What the laptop scale of a study costs on all sides."""
    found = Cost()
    trials = sorted(make(study, scale="laptop").trials, key=_kind)
    small = {trial.experiment: trial for trial in make(study, scale="smoke").trials}
    for experiment, of_experiment in groupby(trials, key=lambda trial: trial.experiment):
        function = study.experiments[experiment].trial_function
        assert function is not None
        if experiment in small:
            function([member.config for member in small[experiment].members])  # warm-up: data read, kernels compiled
        for _, group in groupby(of_experiment, key=_kind):
            of_kind = [trial.members for trial in group]
            configs = [[member.config for member in block] for block in of_kind]
            found.add(function, configs, recorded=_seconds(of_kind, known), at_most=blocks, members=members)
    return found


def _seconds(blocks: Sequence[Sequence[Member]], known: Mapping[str, Known]) -> float:
    """The recorded seconds of blocks; 0 where one of their members has no record."""
    keys = [member.key for block in blocks for member in block]
    return sum(known[key].seconds for key in keys) if known.keys() >= set(keys) else 0.0


def _kind(trial: Trial) -> tuple[str, int]:
    return trial.experiment, len(trial.members)


def measured(name: str, study: Study, *, peak: float, **sample: Any) -> dict[str, Any]:
    """The row of one study, on a machine with a peak of so many flops a second."""
    found = cost(laboratory.covered(study, "laptop"), **sample)
    return {
        "work": name, "unit": "the study as declared", "flops": found.flops,
        "limit": found.flops / peak / found.seconds[0], "limit is": LIMIT, "ours at most": None,
        **{f"{what} run, of": [found.run[what], found.all[what]] for what in ("blocks", "members", "networks")},
        "sides": relative(dict(zip(SIDES, found.seconds, strict=True))),
    }  # fmt: skip


def totals(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The row of all studies, and that of those which have the plain side."""
    studies = [row for row in rows if row["work"] not in TOTALS and SIDES[1] in row["sides"]]
    plain = [row for row in studies if SIDES[2] in row["sides"]]
    return [total(TOTALS[0], studies, SIDES[:2]), total(TOTALS[1], plain, SIDES)]


def total(name: str, rows: Sequence[dict[str, Any]], sides: Sequence[str]) -> dict[str, Any]:
    """The row of some studies together."""
    seconds = {side: sum(row["sides"][side]["seconds"] for row in rows) for side in sides}
    limits = [row["limit"] and row["limit"] * row["sides"][SIDES[0]]["seconds"] for row in rows]
    return {
        "work": name, "unit": "the studies as declared", "ours at most": None, "studies": len(rows),
        "limit": None if None in limits else sum(limits) / seconds[SIDES[0]], "limit is": LIMIT,
        "sides": relative(seconds),
    }  # fmt: skip


def relative(seconds: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Each side's seconds, and these in units of the declared run."""
    return {side: {"median": own / seconds[SIDES[0]], "seconds": own} for side, own in seconds.items()}


def main() -> None:
    """Measure each study in turn, and write its row at once and the sum of all rows there are."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", nargs="*", default=[])
    options.add_argument("--blocks", type=int, default=2, help="blocks of each kind that are run")
    options.add_argument("--members", type=int, default=2, help="members of each block that are run alone")
    options.add_argument("--store", help="records of the laptop run, for the seconds of what is not run here")
    chosen = options.parse_args()
    known = laboratory.open_store(chosen.store).members().known if chosen.store else {}
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as a run has it
    facts, path = machine.facts(), RESULTS / "studies.json"
    for name, study in laboratory.declaring("laptop", {}):
        if chosen.only and name not in chosen.only:
            continue
        Console().print(name)
        peak = 1e9 * facts["matmul peak, GFLOP/s"]
        row = measured(name, study, peak=peak, known=known, blocks=chosen.blocks, members=chosen.members)
        merge(path, row, facts)
        together = totals(json.loads(path.read_text())["rows"])
        for each in together:
            merge(path, each, facts)
        show([row, *together])


if __name__ == "__main__":
    main()
