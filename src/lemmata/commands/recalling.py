"""What is recorded of a study, for the commands that run nothing; refused where there is nothing."""

from typing import TYPE_CHECKING

from lemmata.errors import InvalidInput

if TYPE_CHECKING:
    from rich.console import Console

    from lemmata.laboratory import Run
    from lemmata.records import Store
    from lemmata.study.study import Study


def recalled(study: "Study", scale: str | None, **chosen) -> "Run":
    """The run at the scale named, or else at the largest that has records; `chosen` are the options of `recall`."""
    from lemmata import laboratory

    among = {name: value for name, value in chosen.items() if name != "until_decided"}
    found = laboratory.recall(study, scale=scale or laboratory.recorded_scale(study, **among), **chosen)
    if not found.plan.cached:
        there = laboratory.recorded_scale(study, **among)
        raise InvalidInput(
            f"nothing of {study.name!r} is recorded at scale {scale!r} in {str(found.store.path)!r}; run it at that "
            f"scale, or take --scale {there}, of which there are records"
        )
    return found


def tell_damaged(store: "Store", console: "Console") -> None:
    """Say which records were set aside, for what is shown is without them."""
    for problem in store.problems:
        console.print(f"damaged: {problem}", style="red", markup=False, soft_wrap=True)
