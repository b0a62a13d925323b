"""Accelerated long steps for the objective gap and the gradient norm (Grimmer, Shu and Wang, 2024).

Question. Silver steps bring the objective gap down like N^-1.2716. Can gradient descent bring down the *gradient norm*
as fast by its step sizes, of which only N^-1 was known, and how good can step sizes be at all? The paper's answer: two
schedules of N = 2^k - 1 steps, each the other read backwards,

    made for the gap          f_N - f* <= L D^2 / (2 (2 S + 1))
    made for the gradient     |g_N|^2  <= 2 L (f_0 - f*) / (2 S + 1),         S the sum of the steps, of order N^1.2716

the first better than silver steps by a constant factor. The sequel (*Composing optimized stepsize schedules*, 2024; and
Zhang and Jiang, 2024, at the same time) composes schedules of any length, *dominant* ones here, which match or beat
those found by a branch-and-bound search over semidefinite programs (Das Gupta, Van Parys and Ryu, 2024).

What is computed. Exact worst cases over all convex functions with L-Lipschitz gradient, as values of semidefinite
programs whose bounds are proven in exact arithmetic (`lemmata.descent.worst_case`), for both measures; exponents as the
slope against N + 1, with the margin 0.03 for what is not yet the limit at these lengths (see altschuler-parrilo-2023).
Dominant schedules are run to 2,000 steps on the Huber function and the quadratic, which both attain their worst case.
The numbers of the branch-and-bound schedules are their exact worst cases as far as they are known.

What makes it a statement about these steps: read backwards, a schedule loses its rate entirely; with the last step 5 %
longer, its closed form; and the primitive schedules, of which the dominant ones are made, lose to branch and bound.

Not anytime. What is proven is proven of the last step. Stopped right after its longest step, in the middle, the
schedule has a worst case that does not fall with its length at all; for silver steps it is (sqrt 2 - 1)^2 / 2 = 0.0858
at every length: on the quadratic, the steps before the longest shrink the distance by exactly the factor by which that
one enlarges it, but for sqrt 2 - 1. Whether step sizes alone can be fast at every time was asked as an open problem
(Kornowski and Shamir, 2024).

On regressions of digits every bound holds. There the two orders end at nearly the same point, in the gap and in the
gradient norm, since the problems are close to quadratic, where steps commute; that a schedule is made for a measure is
a matter of worst cases. And momentum still wins: Nesterov's method is ahead of all step sizes.

Deterministic numbers are the same for every seed; seeds are draws of digits and starts.
"""

import math

from lemmata.studies import _grimmer_shu_wang_2024_figures as figures
from lemmata.studies._altschuler_parrilo_2023_worst import EXPONENT
from lemmata.studies._grimmer_shu_wang_2024_worst import BRANCH_AND_BOUND, Composed, LongSteps, composed
from lemmata.studies._grimmer_shu_wang_2024_worst import worst_cases as solve
from lemmata.studies._schedules_on_problems import Regression, on_problems
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ordering, scaling

study = Study(
    "grimmer-shu-wang-2024",
    topic="optimisation",
    paper=Paper(
        key="grimmer2024gradientnorm",
        title="Accelerated Objective Gap and Gradient Norm Convergence for Gradient Descent via Long Steps",
        authors=("Benjamin Grimmer", "Kevin Shu", "Alex L. Wang"),
        year=2024,
        arxiv="2403.14045",
    ),
    question="How fast can step sizes alone bring down the objective gap, and how fast the gradient norm?",
    notes="Named in claims: Grimmer, Shu and Wang (2024), Composing optimized stepsize schedules for gradient descent, "
    "arXiv:2410.16249; Zhang and Jiang (2024), arXiv:2410.12395; Das Gupta, Van Parys and Ryu (2024), Branch-and-bound "
    "performance estimation programming; Kornowski and Shamir (2024), arXiv:2406.13888.",
)

LENGTHS = [4, 8, 16, 32, 64]
COMPOSING = "Grimmer, Shu and Wang (2024), Composing"
SHORT = [4, 8, 16]
STOPS = [4, 8, 16]  # of the whole; at 32 the solvers do not always reach the accuracy that is accepted
END = {"stop": "at the end"}
STOPPED = (math.sqrt(2) - 1) ** 2 / 2

# ---- worst cases -----------------------------------------------------------------------------------------------------

worst = study.experiment(
    "worst-cases",
    config=LongSteps,
    sweep=[
        {"of": ["gap"], "schedule": ["gap", "silver", "constant"], "points": [*LENGTHS, 128]},
        {"of": ["gradient"], "schedule": ["gradient", "constant"], "points": LENGTHS},
        {"of": ["gap"], "schedule": ["gradient"], "points": STOPS},
        {"of": ["gradient"], "schedule": ["gap"], "points": STOPS},
        {"of": ["gap"], "schedule": ["gap", "silver"], "stop": ["after the longest", "before the longest"],
         "points": STOPS},
    ],
    seeds={"smoke": 3, "laptop": 5, "paper": 5},
    scales={"smoke": {"points": SHORT}},
    vectorised=("seed",),
)  # fmt: skip
worst.trial(solve)
worst.figure(figures.worst_cases)
worst.figure(figures.stopped)

for of, words, points in (
    ("gap", "objective gap", [16, 32, 64, 128]),
    ("gradient", "squared gradient norm", LENGTHS[2:]),
):
    worst.claim(
        f"the worst {words} falls like N^-1.2716",
        name=f"{of}-exponent",
        where="abstract",
        kind=scaling(of="worst", over="points", null=-1.0),
        select={**END, "of": of, "schedule": of, "points": points},
        paper=-EXPONENT,
        quoted="“O(N^-1.2716...)”",
        margin=0.03,
        note="slope of the exact worst case against N + 1",
    ).control("constant steps", moves="the exponent", to=-1.0, schedule="constant")
    other = "gradient" if of == "gap" else "gap"
    worst.claim(
        f"and not if the steps are read backwards: {words}",
        name=f"{of}-order",
        where="the construction of the two schedules",
        kind=scaling(of="worst", over="points", null=-1.0),
        select={**END, "of": of, "schedule": of, "points": STOPS},
        paper=-EXPONENT,
        quoted="“O(N^-1.2716...)”",
        margin=0.12,
        note="from 3 to 15 steps, where the exponent of the closed form is up to 0.12 off its limit",
    ).control("read backwards", schedule=other)
    worst.claim(
        f"the exact worst {words} is that of the closed form",
        name=f"{of}-closed-form",
        where="main theorems; Composing",
        kind=exact(of="off_exact", at_most=1e-7),
        select={**END, "of": of, "schedule": of, "points": STOPS},
        quoted="L D² / (2 (2S + 1))" if of == "gap" else "2 L (f₀ − f*) / (2S + 1)",
        note="relative; 1e-7 is a hundred times what a worst case is computed to",
    ).control("the last step 5 % longer", last=1.05).control("read backwards", schedule=other)

worst.claim(
    "better than silver steps, at every length",
    name="better-than-silver",
    where="abstract",
    kind=exact(of="over_silver", at_most=1 - 1e-6),
    select={**END, "of": "gap", "schedule": "gap", "points": [*LENGTHS, 128]},
    quoted="“improves on the recent result of Altschuler and Parrilo by a constant factor”",
    note="exact worst case over the exact one of silver steps",
).control("silver steps themselves", schedule="silver").control("constant steps", schedule="constant")

worst.claim(
    "the guarantee is for the last step only: stopped after the longest one, constant steps are better",
    name="not-anytime",
    where="Kornowski and Shamir (2024)",
    kind=exact(of="over_constant", at_least=1.0),
    select={"of": "gap", "schedule": "gap", "stop": "after the longest", "points": STOPS[1:]},
    quoted="“this can lead to surprisingly large errors indefinitely”",
    note="exact worst case over that of as many constant steps",
).control("stopped one step earlier", stop="before the longest")

worst.claim(
    "silver steps, too: one step after 2^k − 1 the worst case does not depend on k",
    name="silver-stopped",
    where="Kornowski and Shamir (2024)",
    kind=exact(of="worst", at_least=STOPPED * (1 - 1e-7), at_most=STOPPED * (1 + 1e-7)),
    select={"of": "gap", "schedule": "silver", "stop": "after the longest", "points": STOPS},
    quoted="“surprisingly large errors indefinitely”",
    note="(√2 − 1)²/2 = 0.085786, found here; margin 1e-7, a hundred times what a worst case is computed to",
).control("stopped one step earlier", stop="before the longest").control(
    "the schedule made for the gap", schedule="gap"
)

# ---- composed schedules ----------------------------------------------------------------------------------------------

ANY = [1, 2, 3, 6, 10, 15, 25, 50, 100, 200, 500, 1000, 2000]

any_length = study.experiment(
    "composed",
    config=Composed,
    sweep={"schedule": ["dominant", "primitive", "constant"], "steps": ANY},
    seeds={"smoke": 3, "laptop": 5, "paper": 5},
    scales={"smoke": {"steps": [1, 2, 3, 6, 10, 15, 25, 50, 100]}},
    vectorised=("seed", "steps"),
)
any_length.trial(composed)
any_length.figure(figures.composed)

any_length.claim(
    "dominant schedules of any length: N^-1.2716, too",
    name="any-length",
    where=f"{COMPOSING}; Zhang and Jiang (2024)",
    kind=scaling(of="worst", over="steps", null=-1.0),
    select={"schedule": "dominant", "steps": [100, 200, 500, 1000, 2000]},
    paper=-EXPONENT,
    quoted="N^-1.2716",
    margin=0.02,
    note="on the worse of the two functions, from 100 to 2,000 steps",
).control("constant steps", moves="the exponent", to=-1.0, schedule="constant")

any_length.claim(
    "they balance the two functions: both are worst cases",
    name="balance",
    where=f"{COMPOSING}, f-composable schedules",
    kind=exact(of="apart", at_most=1e-9),
    select={"schedule": "dominant", "steps": ANY},
    note="relative difference of the gaps on the Huber function and on the quadratic; 1e-9 is rounding at 2,000 steps",
).control("the last step 1 % longer", last=1.01).control("primitive schedules", schedule="primitive")

any_length.claim(
    "and beat the schedules found by branch and bound",
    name="branch-and-bound",
    where=f"{COMPOSING}, abstract",
    kind=exact(of="over_branch_and_bound", at_most=1.0),
    select={"schedule": "dominant", "steps": sorted(BRANCH_AND_BOUND)},
    quoted="“matching or beating the numerically computed minimax optimal schedules”",
    note="worst case over that of the published steps, at N = 6, 15, 25, 50",
).control("primitive schedules of the same length", schedule="primitive").control("the last step 20 % longer", last=1.2)

# ---- digits ----------------------------------------------------------------------------------------------------------

METHODS = ["accelerated gap", "accelerated gradient", "dominant", "gradient-dominant"]

digits = study.experiment(
    "digits",
    config=Regression,
    sweep={"problem": ["logistic", "softmax", "least-squares"], "method": [*METHODS, "nesterov", "constant"]},
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={"smoke": {"examples": 200, "steps": 31}, "paper": {"examples": 5000, "steps": 1023}},
    vectorised=("seed", "method"),
    data="mnist-5k",
)
digits.trial(on_problems)
digits.figure(figures.digits)

digits.claim(
    "on regressions of digits what is proven holds at every step, of the gap and of the gradient norm",
    name="holds-on-digits",
    where="main theorems, at work",
    kind=exact(of="largest_share", at_most=1.0),
    select={"method": METHODS, "problem": ["logistic", "softmax", "least-squares"]},
    note="the largest share of the bound that any step takes up; L is proven, f* bracketed",
).control("L taken to be half of what it is", assumed=0.5)

digits.claim(
    "ahead of constant steps, behind momentum",
    name="momentum-wins",
    where="introduction",
    kind=ordering(of="log_gap", over="method", order=("nesterov", "accelerated gap", "constant")),
    select={"problem": "logistic", "method": ["nesterov", "accelerated gap", "constant"]},
    note="log10 of the gap after the last step, logistic regression, paired by seed",
).control("after three steps, where long ones have the better worst case", steps=3)
