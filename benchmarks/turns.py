"""Turns: both sides of a comparison in one process, one after the other, each against a unit timed beside it.

A side's figure is the median over turns of (its time) / (the time of the unit of work, taken directly before and after
it), so that a change of the machine's load hits both. A side that crashes is recorded with its message. Rows merge
into one JSON file, so that each can be measured alone.
"""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import machine

RESULTS = Path(__file__).parent / "results"
UNIT_SECONDS = 0.2


@dataclass(frozen=True)
class Side:
    """One contestant: what it runs each turn, or a set-up that gives it; `judge` reads facts off the last answer.

    `per` is how many pieces of work its run does, and `turns` how many turns it takes, where that is not the row's.
    """

    name: str
    run: Callable[[], Any] | None = None
    judge: Callable[[Any], dict[str, Any]] = field(default=lambda _: {})
    set_up: Callable[[], Callable[[], Any]] | None = None
    per: int | None = None
    turns: int | None = None


@dataclass
class _Started:
    """A side that has been set up, and what it has done so far; what it raises is kept, since a failure is a result."""

    side: Side
    run: Callable[[], Any] | None
    answer: Any = None
    ratios: list[float] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)
    crashed: str = ""

    def attempt(self, call: Callable[[], Any]) -> None:
        """Do something of this side's; after an exception it takes no more turns."""
        try:
            call()
        except Exception as error:
            self.crashed = f"{type(error).__name__}: {str(error).splitlines()[0]}"

    def result(self) -> dict[str, Any]:
        """The median and the turns, with what is to be said of the last answer."""
        if self.crashed:
            return {"crashed": self.crashed}
        return {
            "median": statistics.median(self.ratios), "least": min(self.ratios), "turns": self.ratios, **self.facts,
            **self.side.judge(self.answer),
        }  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of the table: what is done, in which unit, the limit below which nobody comes, and our bar."""

    name: str
    unit: Callable[[], Any]
    unit_name: str
    sides: Sequence[Side]
    turns: int = 3
    per: int = 1
    clock: Callable[[], float] = machine.clock
    limit: float | None = None
    limit_reason: str = ""
    bar: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def measure(self, note: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Set all sides up, then let them take turns."""
        self._seconds_of_unit()  # warm-up
        started = {side.name: self._started(side) for side in self.sides}
        for turn in range(self.turns):
            for one in started.values():
                if turn < (one.side.turns or self.turns):
                    note(f"{self.name}: {one.side.name}, turn {turn + 1} of {one.side.turns or self.turns}")
                    self._take_turn(one)
        return {
            "work": self.name, "unit": self.unit_name, "limit": self.limit, "limit is": self.limit_reason,
            "ours at most": self.bar, **self.facts, "sides": {name: one.result() for name, one in started.items()},
        }  # fmt: skip

    def _started(self, side: Side) -> "_Started":
        """What is run each turn, and what its set-up took if it has one."""
        one = _Started(side, side.run)
        if side.set_up is not None:
            unit, start = self._seconds_of_unit(), self.clock()
            one.attempt(lambda: setattr(one, "run", side.set_up()))
            one.facts["set-up"] = (self.clock() - start) / unit
        return one

    def _take_turn(self, one: "_Started") -> None:
        if one.crashed or one.run is None:
            return
        before, start = self._seconds_of_unit(), self.clock()
        one.attempt(lambda: setattr(one, "answer", one.run()))
        elapsed = self.clock() - start
        one.ratios.append(elapsed / (one.side.per or self.per) / statistics.mean([before, self._seconds_of_unit()]))

    def _seconds_of_unit(self) -> float:
        """The time of one unit of work: the mean over as many as take a fifth of a second, three at least."""
        count, start = 0, self.clock()
        while count < 3 or self.clock() - start < UNIT_SECONDS:
            self.unit()
            count += 1
        return (self.clock() - start) / count


def merge(path: Path, row: dict[str, Any], machine: dict[str, Any]) -> None:
    """Put a row into the file in place of an older one of the same work."""
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = [old for old in rows if old["work"] != row["work"]] + [{**row, "machine": machine}]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table: a line a side, ours first."""
    table = Table("work", "side", "figure", "limit", "at most", "facts")
    for row in rows:
        for i, (name, side) in enumerate(row["sides"].items()):
            crashed = side.get("crashed")
            facts = {key: value for key, value in side.items() if key not in ("median", "turns", "crashed")}
            table.add_row(
                f"{row['work']}\n({row['unit']})" if i == 0 else "", name,
                "crashed" if crashed else f"{side['median']:.3g}",
                _number(row["limit"]) if i == 0 else "",
                _number(row["ours at most"]) if i == 0 else "",
                crashed or ", ".join(f"{key} {_number(value)}" for key, value in facts.items()),
            )  # fmt: skip
        table.add_section()
    Console(width=160).print(table)


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "" if value is None else str(value)
