"""Acceleration by stepsize hedging (Altschuler and Parrilo, 2023): silver steps.

Question. Can gradient descent, without momentum, converge faster than 1/n on convex functions, by its step sizes alone?
The paper's answer: with h_i = 1 + rho^(nu(i) - 1), rho = 1 + sqrt 2 and nu(i) the number of twos in i, it reaches

    f_n - f* <= L D^2 / (1 + sqrt(4 rho^(2k) - 3)),   n = 2^k - 1,        that is of order n^(-log2 rho) = n^-1.2716

between n^-1, which is exact for constant steps, and Nesterov's n^-2. Most of the steps are short; the few long ones,
which taken alone would be far beyond the limit 2 of stability, are made up for by their neighbours: they are *hedged*.

What is computed. The exact worst case over all convex functions with L-Lipschitz gradient, in any dimension, is the
value of a semidefinite program; here each is solved and its bound proven in exact arithmetic
(`lemmata.descent.worst_case`). The exponent is the slope of its logarithm against that of n + 1 = 2^k, from 15 to 127
steps. At finite n it is not yet the limit: between 7 and 15 steps the exponent of the paper's own bound is 1.2424, off
by 0.029, and 0.03 is the margin. The Huber function, on which the worst case is attained, is run to 4,095 steps, where
the limit is reached to 0.001; its margin is 0.005.

What makes it a statement about these steps: the same steps in random order have another worst case, several times
larger; and constant steps have exponent 1. Multiplied by 1.05 all of them miss the closed form.

Later work. The theorem's bound is up to twice the exact worst case L D^2 / (2 (2 rho^k - 1)) (Grimmer, Shu and Wang,
2024), which is what is found here to eight digits. And silver steps have to be stopped in time: one step after 2^k - 1
the worst case is (sqrt 2 - 1)^2 / 2 whatever k is (see grimmer-shu-wang-2024).

On regressions of digits (logistic, softmax and least squares; 1,000 digits of `mnist-5k`, pooled to 14x14; ridge 1e-3;
a random start) the bound holds at every step. It holds with room to spare, so that the control, L assumed to be half of
what it is, breaks it on least squares only; there the run diverges. Momentum still wins: Nesterov's method is ahead of
silver steps on every problem and seed.

Deterministic numbers are the same for every seed: seeds are the orders of shuffled steps, and the digits and starts.
"""

from lemmata.studies import _altschuler_parrilo_2023_figures as figures
from lemmata.studies._altschuler_parrilo_2023_worst import EXPONENT, OnFunction, Steps, on_functions
from lemmata.studies._altschuler_parrilo_2023_worst import worst_cases as solve
from lemmata.studies._schedules_on_problems import Regression, on_problems
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ordering, scaling

study = Study(
    "altschuler-parrilo-2023",
    topic="optimisation",
    paper=Paper(
        key="altschuler2023silver",
        title="Acceleration by Stepsize Hedging II: Silver Stepsize Schedule for Smooth Convex Optimization",
        authors=("Jason M. Altschuler", "Pablo A. Parrilo"),
        year=2023,
        arxiv="2309.16530",
    ),
    question="Can gradient descent converge faster than 1/n by its step sizes alone, without momentum?",
    notes="Later work named in claims: Grimmer, Shu and Wang (2024), Composing optimized stepsize schedules for "
    "gradient descent, arXiv:2410.16249.",
)

WHOLE = [2, 4, 8, 16, 32, 64, 128]
LONG = [16, 32, 64, 128]
FEW = [2, 4, 8, 16]
FAR = [256, 512, 1024, 2048, 4096]
ABSTRACT = "abstract"
THEOREM = "Theorem 1.1"

# ---- exact worst cases -----------------------------------------------------------------------------------------------

worst = study.experiment(
    "worst-cases",
    config=Steps,
    sweep={"order": ["silver", "constant"], "points": WHOLE},
    seeds={"smoke": 3, "laptop": 5, "paper": 10},
    scales={"smoke": {"points": [2, 4, 8, 16, 32]}},
    vectorised=("seed",),
)
worst.trial(solve)
worst.figure(figures.worst_cases)

worst.claim(
    "the worst case falls like n^-1.2716",
    name="exponent",
    where=ABSTRACT,
    kind=scaling(of="worst", over="points", null=-1.0),
    select={"order": "silver", "points": LONG},
    paper=-EXPONENT,
    quoted="“an ε-minimizer in O(ε^-log_ρ 2) = O(ε^-0.7864) iterations”: n^-1.2716",
    margin=0.03,
    note="slope of the exact worst case against n + 1; the margin is how far the exponent of the paper's own bound is "
    "from its limit between 7 and 15 steps",
).control("constant steps", moves="the exponent", to=-1.0, order="constant")

worst.claim(
    "no function is worse than the theorem says",
    name="theorem",
    where=THEOREM,
    kind=exact(of="over_theorem", at_most=1.0),
    select={"order": "silver", "points": WHOLE},
    quoted="f_n − f* ≤ L D² / (1 + √(4 ρ^(2k) − 3))",
    note="exact worst case over the bound, at n = 1, 3, 7, ..., 127",
).control("constant steps", order="constant")

worst.claim(
    "it is the order of the steps that does it",
    name="order",
    where=f"{THEOREM}; the construction",
    kind=exact(of="over_theorem", at_most=1.0),
    select={"order": "silver", "points": 16},
    note="the control takes the same 15 steps in a random order, another one for each seed",
).control("the same steps in random order", order="shuffled")

worst.claim(
    "the exact worst case is L D² / (2 (2 ρ^k − 1))",
    name="closed-form",
    where="Grimmer, Shu and Wang (2024)",
    kind=exact(of="off_exact", at_most=1e-7),
    select={"order": "silver", "points": FEW},
    note="relative; the margin is what the semidefinite programs are solved to",
).control("every step longer by 5 %", scale=1.05)

worst.claim(
    "so that the theorem's bound is loose, by less than a factor of two",
    name="looseness",
    where=f"{THEOREM}, against Grimmer, Shu and Wang (2024)",
    kind=exact(of="theorem_over_worst", at_least=1.0, at_most=2.0),
    select={"order": "silver", "points": WHOLE},
    note="bound over exact worst case, from one step to 127",
).control("constant steps: the bound is not theirs", order="constant")

# ---- two functions of one variable -----------------------------------------------------------------------------------

one = study.experiment(
    "functions",
    config=OnFunction,
    sweep={"function": ["huber", "quadratic"], "order": ["silver", "constant"], "points": [*WHOLE, *FAR]},
    seeds={"smoke": 3, "laptop": 5, "paper": 10},
    scales={"smoke": {"points": [*WHOLE, *FAR[:3]]}},
    vectorised=("seed", "points"),
)
one.trial(on_functions)
one.figure(figures.functions)

one.claim(
    "on the Huber function the gap falls like n^-1.2716, too, so that no better exponent can be proven",
    name="huber-exponent",
    where="Grimmer, Shu and Wang (2024)",
    kind=scaling(of="gap", over="points", null=-1.0),
    select={"function": "huber", "order": "silver", "points": FAR},
    paper=-EXPONENT,
    quoted="n^-1.2716",
    margin=0.005,
    note="from 255 to 4,095 steps",
).control("constant steps", moves="the exponent", to=-1.0, order="constant")

one.claim(
    "there the worst case is attained",
    name="huber-attains",
    where="Grimmer, Shu and Wang (2024)",
    kind=exact(of="off_exact", at_most=1e-9),
    select={"function": "huber", "order": "silver", "points": [*WHOLE, *FAR]},
    note="gap over L D² / (2 (2 ρ^k − 1)), minus one; 1e-9 is some rounding of 4,095 steps",
).control("a threshold twice as large", threshold=2.0).control("the quadratic", function="quadratic")

# ---- digits ----------------------------------------------------------------------------------------------------------

digits = study.experiment(
    "digits",
    config=Regression,
    sweep={"problem": ["logistic", "softmax", "least-squares"], "method": ["constant", "silver", "nesterov"]},
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={"smoke": {"examples": 200, "steps": 31}, "paper": {"examples": 5000, "steps": 1023}},
    vectorised=("seed", "method"),
    data="mnist-5k",
)
digits.trial(on_problems)
digits.figure(figures.digits)

digits.claim(
    "on regressions of digits what is proven of silver steps holds at every step",
    name="holds-on-digits",
    where=f"{THEOREM}, at work",
    kind=exact(of="largest_share", at_most=1.0),
    select={"method": "silver", "problem": ["logistic", "softmax", "least-squares"]},
    note="the largest share of the bound that any step takes up; L is proven, f* bracketed",
).control("L taken to be half of what it is", assumed=0.5)

for problem in ("logistic", "softmax", "least-squares"):
    digits.claim(
        f"between constant steps and Nesterov's momentum: {problem}",
        name=f"between-{problem}",
        where=ABSTRACT,
        kind=ordering(of="log_gap", over="method", order=("nesterov", "silver", "constant")),
        select={"problem": problem, "method": ["constant", "silver", "nesterov"]},
        quoted="“intermediate between the textbook unaccelerated rate O(ε^-1) and the accelerated rate O(ε^-1/2)”",
        note="log10 of the gap after the last step, paired by seed; the paper's statement is about worst cases",
    ).control("after three steps, where silver ones have the better worst case", steps=3)
