"""Steps found by branch and bound on performance estimation, as published, beside the dominant schedules.

Das Gupta, Van Parys and Ryu (2024, Mathematical Programming 204, 567-639, section 5.2 "acceleration without momentum")
optimised N steps for the objective gap, proven optimal by the solver to N = 5 or so and locally optimal beyond; the
vectors are in their code (`Misc/stpszs.jl`). At N = 1 to 5, 7 and 10 these are the dominant schedules to the digits
printed. At the lengths kept here the dominant schedule is better: a convex function on which the published steps do
worse than the dominant schedule does on *any* function is found by `shortfall`, so that nothing rests on a solver.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lemmata.descent.hard_functions import mesh
from lemmata.descent.method import Schedule
from lemmata.descent.schedules.composed import dominant
from lemmata.errors import UnknownName

SOURCE = "Das Gupta, Van Parys, Ryu (2024), BnB-PEP; code repository, Misc/stpszs.jl"
# fmt: off
PUBLISHED: dict[int, tuple[float, ...]] = {
    6: (1.6012300929266492, 1.4142176845862175, 3.7191663034855567, 1.4142216029725352, 1.6012255538809508,
        2.1888255519960196),
    8: (1.4142260345941442, 1.9999954569447265, 1.4142163917732418, 2.9794039151459266, 1.6012212088909783,
        1.4142245477733064, 4.964412117876488, 1.500000626975218),
    9: (1.6012311339283445, 1.4142333308691475, 2.2605410405082544, 1.4142179185808277, 5.7845675259464,
        1.4142207838755536, 2.674512700022901, 1.4142204599558477, 1.8767665285664457),
    15: (1.6011452849329992, 1.4143559802274681, 2.9793080608422597, 1.4142869805528666, 1.9999293134495792,
         1.414217703680261, 5.41819064627181, 1.414251559999807, 2.4509305132269055, 1.414343529592472,
         2.0001297240770506, 1.4142016052755357, 9.19808906765696, 1.4142360705932655, 1.8767455202310255),
    25: (1.6007515116515938, 1.4149407281723974, 2.9782435307510005, 1.4145238371137783, 1.9995909398399123,
         1.4142216140426431, 7.8616206481004465, 1.6012009537764098, 1.4148041921328138, 2.2595928425116134,
         1.414318232283614, 5.167333630841824, 1.4145447841144176, 1.9998029861163944, 1.414318004341104,
         3.411608550219099, 1.4157268846762319, 1.9976250887324316, 1.4143152195851727, 17.932913507569996,
         1.414383472626355, 1.9998260444134914, 1.4142374871812793, 3.5567547347326642, 1.5000517123909558),
    50: (1.5958743518790774, 1.4203770234563378, 2.971211184884086, 1.4157274281846162, 1.995741454373446,
         1.4152169068658134, 8.549741557142763, 1.4154688479452724, 1.9983336889867038, 1.4147088064618587,
         4.888232118878028, 1.6005594184145655, 1.4161180326078795, 3.3605483314412066, 1.4158245523573785,
         2.1171962361361203, 1.4145676908196327, 2.320338004765043, 1.4160303079882408, 4.907259290717155,
         1.4329242645055837, 1.964171439142215, 1.4130061410783987, 36.96886074199298, 1.415489557404075,
         1.9996059863093698, 1.4145244241336101, 3.7268306084082283, 1.5268410248149245, 1.4782602939339355,
         2.2558071881603117, 1.414347161790353, 13.474201968821102, 1.5976750370133366, 1.4188627098610425,
         2.9643322594240185, 1.4230920853398292, 1.9895190521714607, 1.4128709461202384, 6.6622453348451005,
         1.514751947716923, 1.4865992890480064, 3.279911713894502, 1.4161590010827143, 2.055739999107617,
         1.4168372776764715, 2.4219460576308194, 1.4147756009008488, 8.175336727653681, 1.500403734613415),
}
# fmt: on


@dataclass(frozen=True)
class Shortfall:
    """N steps: the published ones leave `at_least` this gap on some function, the dominant ones at most theirs."""

    N: int
    at_least: float
    dominant: float

    @property
    def share(self) -> float:
        """How much worse the published steps are at least, as a share of the dominant schedule's worst case."""
        return self.at_least / self.dominant - 1


def bnb_pep(N: int) -> Schedule:
    """Give the published steps for N = 6, 8, 9, 15, 25 or 50, where `dominant` has better ones; without a guarantee.

    >>> float(bnb_pep(6).steps[-1])
    2.1888255519960196
    """
    if N not in PUBLISHED:
        raise UnknownName("length", str(N), [str(known) for known in PUBLISHED])
    return Schedule(f"BnB-PEP, {N} steps", np.array(PUBLISHED[N]), source=SOURCE)


def shortfall(N: int) -> Shortfall:
    """Compare the published steps with the dominant schedule, on the Huber function of their sum and 2,000 quadratics.

    Cost: 2,004 runs of N steps on the line.

    >>> found = shortfall(50)
    >>> round(found.at_least, 6), round(found.dominant, 6), found.share > 0.07
    (0.001541, 0.00144, True)
    """
    steps, ours = bnb_pep(N), dominant(N)
    S = steps.steps.sum()
    hard = mesh(np.array([1 / (2 * S + 1), 1e6]), np.linspace(0, 1, 2001)[1:])
    worst = float(hard.after(steps.steps[None], "gap").max()) * (1 - 1e-12)
    exact = ours.guarantee.bound(N) if ours.guarantee else np.inf
    return Shortfall(N, worst, exact)
