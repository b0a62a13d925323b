"""Provably faster gradient descent via long steps (Grimmer, 2023, SIAM Journal on Optimization 2024).

Question. Textbooks allow gradient descent steps below 2/L, since a longer one may raise the objective. The paper
repeats patterns of t steps, most of them short and a few up to 370/L, and proves that whole cycles descend, and faster:

    f_T - f* <= L D^2 / (c T) + O(1/T^2),   c = the average step: 2.63 for t = 3, 5.83 for t = 127; textbook: 2

with D the radius of the level set about x*. The proofs were found by a computer: tables of up to 32,000 fractions.

What is tested here, and how.

- *The proofs.* Each published table is verified in exact arithmetic, signs, equalities and positive semidefiniteness,
  and gives its rate to all twenty printed digits. (For t = 63 the last line of the notebook prints the average step,
  5.2253968; with the eps that it computes two cells before, the coefficient is 5.2252648.)
- *The theorem, without the proofs.* The worst case of one cycle from a small gap, by a semidefinite program over
  functions, in floating point: it gains S delta^2 or more up to the published Delta, and less far beyond.
- *The limits.* The same steps in another order, or longer by half, are refuted, by convex functions whose inequalities
  are checked exactly. Of the patterns (3/2, x, 3/2) those with x < 5 are certified here; at 5, x^2 / 2 stays as it is.
- *What the theorem does not say.* From an arbitrary start one cycle may leave nearly all: 0.49005 L D^2 for t = 7, on
  x^2 / 2. On Huber's function, the one that no pattern beats, T steps leave L D^2 / (4 c T + 2) exactly: the proven
  coefficient is within a factor of four of what is possible.
- *A real problem.* On logistic regression all bounds hold, with much slack; longer patterns are faster; Nesterov's
  momentum is faster than all of them. There the order of the steps hardly matters in the end: that a pattern does well
  on data is no evidence for its proof.

Laptop scale: 500 digits of `mnist-5k` a seed, two random halves of the ten classes, ridge 1e-3, 1,016 steps from 0.
"""

from lemmata.studies import _grimmer_2023_figures as figures
from lemmata.studies._grimmer_2023_cycles import Anywhere, Cycle, from_anywhere, one_cycle
from lemmata.studies._grimmer_2023_digits import NESTEROV, Digits, digits
from lemmata.studies._grimmer_2023_proofs import LENGTHS, Limit, Proof, limit, prove
from lemmata.study import Paper, Study
from lemmata.study.kinds import difference, exact, trend

study = Study(
    "grimmer-2023",
    topic="optimisation",
    paper=Paper(
        key="grimmer2024",
        title="Provably faster gradient descent via long steps",
        authors=("Benjamin Grimmer",),
        year=2024,
        venue="SIAM Journal on Optimization 34(3), 2588-2608",
        arxiv="2307.06324",
    ),
    question="Does gradient descent with steps far beyond 2/L provably beat the textbook rate?",
    notes="The certificates are those of the paper's companion notebooks, github.com/bgrimmer/LongStepCertificates.",
)

once = {"smoke": 1, "laptop": 1, "paper": 1}  # nothing is random

proofs = study.experiment(
    "proofs",
    config=Proof,
    sweep=[{"t": list(LENGTHS)}, {"t": [3, 7, 15, 31], "order": ["longest first"]}],
    seeds=once,
    scales={"smoke": {"t": [3, 7, 15]}},
)
proofs.trial(prove)
proofs.figure(figures.patterns)
proofs.figure(figures.multipliers)
proofs.figure(figures.onset)

proven = proofs.claim(
    "the certificate of every pattern of Table 1 proves its rate",
    name="certificates-hold",
    where="Table 1 and its notebooks",
    kind=exact(of="proven", at_least=1.0),
    select={"order": "published"},
    quoted="straightforward",
    note="verified in exact rational arithmetic, positive semidefiniteness included",
)
proven.control("the same steps, the longest first", order="longest first")
proven.control("every step half as long again", stretch=1.5)

proofs.claim(
    "from t = 31 on the coefficient exceeds 4, that of the exact worst case L D^2 / (4 T + 2) of the constant step 1/L",
    name="beyond-the-constant-step",
    where="Table 1, held against Drori and Teboulle (2014)",
    kind=exact(of="coefficient", at_least=4.0),
    select={"order": "published", "t": [31, 63, 127]},
    note="the textbook has 2, which every pattern of the table exceeds; the constant step has D in the place of R",
).control("the pattern of 15 steps", t=15)

proofs.claim(
    "what each lacks to the average step, eps, is the printed one to all twenty digits",
    name="printed-digits",
    where="the notebooks' values of eps",
    kind=exact(of="off_printed", at_most=0.5),
    select={"order": "published"},
    note="in units of the last printed digit; half a unit is rounding. For t = 3 eps is exactly 0",
).control("the multipliers rounded to multiples of 2^-30", bits=30)

proofs.claim(
    "the order matters: with the longest step first a cycle can raise the objective",
    name="order-refuted",
    where="ours, on the patterns of Table 1 up to t = 31",
    kind=exact(of="growth", at_least=1.0),
    select={"order": "longest first"},
    note="f_t / f_0 on a convex function with Lipschitz gradient, its defining inequalities checked exactly",
).control("the published order", order="published")

limits = study.experiment(
    "limit", config=Limit, sweep={"middle": [4.5, 4.9, 4.99, 4.999]}, seeds=once, scales={"smoke": {}, "laptop": {}}
)
limits.trial(limit)
below = limits.claim(
    "(3/2, x, 3/2) is certified, by certificates made here, for x up to 5",
    name="limit-of-three-steps",
    where="ours, on the pattern t = 3 of Table 1",
    kind=exact(of="certified", at_least=1.0),
    note="at x = 5, average 8/3, a cycle leaves x^2 / 2 as it was",
)
below.control("at 5 itself", middle=5.0)
below.control("at 5.1", middle=5.1)

cycles = study.experiment(
    "cycle",
    config=Cycle,
    sweep={"t": [3, 7, 15], "gap": [0.3, 1.0, 3.0, 6.0, 10.0, 30.0, 100.0, 300.0]},
    seeds=once,
    scales={"smoke": {"t": [3, 7]}},
)
cycles.trial(one_cycle)
cycles.figure(figures.gained)
cycles.claim(
    "from a gap of at most Delta, a cycle gains at least S gap^2 on every convex function",
    name="straightforward",
    where="the definition of straightforward patterns",
    kind=exact(of="gained", at_least=1 - 1e-4),
    select={"gap": [0.3, 1.0]},
    note="margin: the program's accuracy, 1e-9 of the gap, is 2e-5 of S gap^2 where that is smallest",
).control("from a gap of a hundred Delta", gap=100.0)

starts = study.experiment(
    "anywhere",
    config=Anywhere,
    sweep=[
        {"t": [3], "cycles": [1, 2, 4, 8], "searched": [True]},
        {"t": [7], "cycles": [1, 2, 4], "searched": [True]},
        {"t": [15, 31, 63, 127], "cycles": [1, 8], "searched": [False]},
    ],
    seeds=once,
    scales={"smoke": {}, "laptop": {}},
)
starts.trial(from_anywhere)
starts.figure(figures.anywhere)
starts.claim(
    "from an arbitrary start the worst case is x^2 / 2, on which long steps gain next to nothing: "
    "0.49005 L D^2 is left after seven steps",
    name="from-far-away",
    where="ours: the gap must be at most Delta for the theorem",
    kind=exact(of="share_of_quadratic", at_least=1 - 1e-6),
    select={"t": [3, 7], "searched": True},
    note="the quadratic's gap over the exact worst case; the solver's accuracy is 1e-9",
).control("as many steps of 1/L, which solve x^2 / 2 at once", steps="constant")

starts.claim(
    "on the Huber function of threshold 1/(2S + 1) the gap is L D^2 / (2 (2S + 1)) to the last digit",
    name="huber-to-the-digit",
    where="ours: what no pattern of the same sum can beat",
    kind=exact(of="off_huber", at_most=0.0),
    note="in fractions; in terms of T steps it is L D^2 / (4 c T + 2), four times the proven coefficient",
).control("every step half as long again on the same function", stretch=1.5, searched=False)

real = study.experiment(
    "digits",
    config=Digits,
    sweep={"t": [0, 1, *LENGTHS]},
    seeds={"smoke": 3, "laptop": 5, "paper": 10},
    scales={"smoke": {"n": 100, "iterations": 127, "t": [0, 1, 3, 31, 127]}, "paper": {"data": "mnist", "n": 20_000}},
    vectorised=("seed", "t", "order", "baseline"),
    block=120,
    data=lambda config: config.data,
)
real.trial(digits)
real.figure(figures.digits)

real.claim(
    "on logistic regression every proven bound holds at the end of every cycle",
    name="bounds-hold",
    where="Theorem 2.1",
    kind=exact(of="over_bound", at_most=1.0),
    note="gap over bound; a bound of the gap at the start and the radius of the level set",
).control("the longest step first", order="longest first")

real.claim(
    "the longer the pattern, the smaller the gap after as many steps",
    name="longer-is-faster",
    where="Table 1, the coefficients",
    kind=trend(of="log10_gap", over="t", falling=True),
    select={"t": [1, *LENGTHS]},
    note="t = 1 is the constant step 1/L",
).control("the constant step in the place of all of them", baseline=True)

real.claim(
    "Nesterov's momentum is faster than the longest pattern, by more than a factor of ten",
    name="momentum-wins",
    where="ours: what the paper does not claim to beat",
    kind=difference(of="log10_gap", over="t", between=(127, NESTEROV)),
    select={"t": [NESTEROV, 127]},
    within=(float("-inf"), -1.0),
).control("the constant step in the place of both", baseline=True)
