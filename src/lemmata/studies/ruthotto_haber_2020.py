"""Deep neural networks motivated by partial differential equations (Ruthotto and Haber, 2020).

Question. A residual network is a discretised differential equation in time, and its convolutions differentiate in
space. Which partial differential equations are worth building networks after, and what is known of them for nothing?

    parabolic      y'  = -K^T s(K y + b)           y_{n+1} = y_n - h K^T s(K y_n + b)
    second-order   y'' = -K^T s(K y + b)           leapfrog
    Hamiltonian    q'  = K^T s(K p + b),   p' = -L^T s(L q + c)      Verlet
    residual       y'  = L s(K y + b)              forward Euler

The paper's answer. With a rising s the parabolic network is stable: no two features move apart (Theorem 1). The
hyperbolic ones keep an energy while the weights stay in time. All are as good as residual networks on images. Residual
networks in general are not stable.

What runs. Random networks of convolutions with a known largest singular value: pairs of inputs, near and far, through
100 layers; a pair in the worst direction, for the step at which it begins to grow; energies at four steps. And networks
of two blocks with connectors of 1 x 1 convolutions, trained on 800 digits by Adam; their blocks are then linearised at
test images, and the largest singular value of the derivative is sought by power iteration: how much they stretch a
small change.

Deviations. The paper trains on STL-10, CIFAR-10 and CIFAR-100 with a layer that normalises within each block, batch
normalisation in the connectors, random crops and flips, a penalty on the weights' changes in time, three to five layers
a block and widths from 16 or 32 up. Here: digits, no normalisation, augmentation or penalty, two layers, widths 8 and
16, and the last average over quarters of the image, not over all of it. No accuracy of the paper is quoted: that the
networks are comparable is a claim of direction, read as a test error of at most one and a half times the residual
network's. The Hamiltonian network has half the channels in either half, and two fifths of the weights.

What the step does. Theorem 1 is about the differential equation. Euler's method inherits it while h |s'| |K|^2 <= 2,
which is claimed as the place where distances begin to grow. Trained with h = 1, weights leave that region (h |K|^2 is
recorded): the layers as trained do stretch, and the same weights taken with shorter steps do not. That is the claim on
trained networks and its control.

What these claims owe to outcomes. Pilots ran on the streams of other seeds; verdicts are of streams that nothing was
tried on (seeds count from 1,212,000), with test digits that no two seeds share. Chosen after pilots: Adam for SGD, its
step (some residual networks did not train at half as much again), 10 epochs, two layers a block and 4 images to
linearise at, for time; widths 8 and 16, since at 6 and 12 with a smaller step all trained poorly and the structured
networks had 1.4 times the residual ones' errors; and the step of 10 in the control of Theorem 1. That trained blocks
are looked at with shorter steps was added after a pilot in which the layers as trained stretched by factors of 7 to 18.

What came out. Everything that theory says holds to the last digit looked at. Whether the structured networks are
comparable was left open by five seeds, tested on 1,000 digits each; by their spread 9 and 11 seeds would settle two of
the three, 84 the parabolic one. So laptop scale has twelve, none of them among those five; for no two to share test
digits, each is tested on 416. Errors are compared seed by seed. The Hamiltonian network is comparable, with 1.25 times
the residual network's errors. The other two, with 1.4 and 1.55 times, stay open, and hundreds of seeds would be needed,
since these means are near 3/2 and trainings differ by more than the five showed: the logarithm of a seed's ratio
deviates by 0.30 to 0.36, of which a test on 416 digits makes 0.18. They fit less well: 13 and 14 % of the training
digits are wrong, where the residual network, of 1.7 times the weights, has 6 %.

Seeds are independent draws of weights, inputs, batches and test digits.
"""

from lemmata.studies import _ruthotto_haber_2020_figures as figures
from lemmata.studies._ruthotto_haber_2020_networks import Network, trained
from lemmata.studies._ruthotto_haber_2020_propagation import (
    Distances,
    Energies,
    Limit,
    distances,
    energies,
    limits,
)
from lemmata.study import Paper, Study
from lemmata.study.kinds import exact, ratio, scaling, value

INF = float("inf")
RK4_REAL = 2.785293563405282  # where |1 + z + z^2/2 + z^3/6 + z^4/24| = 1 on the negative axis
RK4_IMAGINARY = 8**0.5  # and on the imaginary one

study = Study(
    "ruthotto-haber-2020",
    paper=Paper(
        key="ruthotto2020",
        title="Deep neural networks motivated by partial differential equations",
        authors=("Lars Ruthotto", "Eldad Haber"),
        year=2020,
        venue="Journal of Mathematical Imaging and Vision 62",
        arxiv="1804.04272",
    ),
    topic="networks as differential equations",
    question="Do parabolic and hyperbolic networks keep the stability of their equations, and classify as well?",
    notes="$|y(T) - z(T)| <= |y(0) - z(0)|$ for $y' = -K^T sigma(K y + b)$, $sigma$ rising; "
    "$1/2 |v|^2 + sum S(K y + b)$ constant for $y'' = -K^T sigma(K y + b)$, $S' = sigma$.",
)

# ---- distances -------------------------------------------------------------------------------------------------------

followed = study.experiment(
    "distances",
    config=Distances,
    sweep=[
        {"kind": ["parabolic"], "activation": ["tanh", "relu", "softplus"]},
        {"kind": ["two-layer", "antisymmetric"]},
        {"kind": ["hyperbolic", "hamiltonian"], "method": ["verlet"]},
        {"kind": ["hyperbolic"], "method": ["verlet"], "activation": ["identity"], "moving": [False]},
    ],
    seeds={"smoke": 3, "laptop": 5, "paper": 30},
    scales={"smoke": {"layers": 40, "pairs": 8}, "paper": {"layers": 500, "channels": 6, "pixels": 8}},
    vectorised=("seed",),
)
followed.trial(distances)
followed.figure(figures.growth)

followed.claim(
    "no two features move apart in a parabolic network, whatever its weights do from layer to layer",
    name="parabolic-contracts",
    where="Theorem 1",
    kind=exact(of="growth", at_most=1.0 + 1e-12),
    select={"kind": "parabolic"},
    note="largest distance over the first, all pairs and layers, h |K|^2 = 1; 1e-12 for rounding",
).control("the other sign: y' = +K^T s(K y + b)", kind="anti-diffusion").control(
    "a step of five times the limit", step=10.0
)

followed.claim(
    "in a residual network with two free weights a layer they do",
    name="residual-grows",
    where="section on residual networks: in general not stable",
    kind=value(of="last"),
    select={"kind": "two-layer"},
    quoted="not stable in general (read as: distances are larger after 100 layers)",
    within=(0.0, INF),
    note="mean over pairs of log10 of the last distance over the first",
).control("the second weight is minus the first one's adjoint", kind="parabolic")

followed.claim(
    "nor in a second-order network with a linear activation, from rest, whose weights stay",
    name="hyperbolic-bounded",
    where="section on hyperbolic networks: time-invariant weights",
    kind=exact(of="growth", at_most=1.0 + 1e-9),
    select={"kind": "hyperbolic", "activation": "identity", "moving": False},
    note="each eigenvector of K^T K oscillates at its own frequency, by leapfrog too; features, not their speeds",
).control("forward Euler in place of leapfrog", method="forward-euler").control(
    "weights of its own for each layer", moving=True
)

# ---- the step --------------------------------------------------------------------------------------------------------

stepped = study.experiment(
    "step",
    config=Limit,
    sweep=[{"kind": ["parabolic"]}, {"kind": ["hyperbolic"], "method": ["verlet"]}],
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={"paper": {"layers": 60, "channels": 6, "pixels": 8}},
    vectorised=("seed",),
)
stepped.trial(limits)
stepped.figure(figures.limits)

WHERE = "stability of the discretisation: |1 + h lambda| <= 1"

stepped.claim(
    "parabolic layers stretch the worst direction as soon as h |K|^2 exceeds 2, and no sooner",
    name="parabolic-step",
    where=WHERE,
    kind=exact(of="limit"),
    select={"kind": "parabolic"},
    paper=2.0, quoted="h = 2 / |K|^2", margin=0.01,
    note="a pair 1e-5 apart through 20 layers with |K| = 1; the limit by bisection, to 0.001",
).control("|K|^2 = 2", moves="the limit", to=1.0, norm=2**0.5).control(
    "Runge and Kutta's method", moves="the limit", to=RK4_REAL, method="rk4"
)  # fmt: skip

stepped.claim(
    "leapfrog layers do as soon as h |K| exceeds 2",
    name="leapfrog-step",
    where="stability of leapfrog on oscillations of frequency |K|",
    kind=exact(of="limit"),
    select={"kind": "hyperbolic"},
    paper=2.0, quoted="h = 2 / |K|", margin=0.01,
).control("|K|^2 = 2", moves="the limit", to=2**0.5, norm=2**0.5).control(
    "Runge and Kutta's method", moves="the limit", to=RK4_IMAGINARY, method="rk4"
)  # fmt: skip

# ---- energies --------------------------------------------------------------------------------------------------------

kept = study.experiment(
    "energies",
    config=Energies,
    sweep={"kind": ["hyperbolic", "hamiltonian"], "step": [0.4, 0.2, 0.1, 0.05]},
    seeds={"smoke": 3, "laptop": 5, "paper": 20},
    scales={"smoke": {"time": 4.0, "samples": 4}, "paper": {"time": 100.0}},
    vectorised=("seed", "step"),
)
kept.trial(energies)
kept.figure(figures.drifts)

for kind, words in (("hyperbolic", "second-order"), ("hamiltonian", "Hamiltonian")):
    kept.claim(
        f"the energy of a {words} network with weights that stay is constant, but for the square of the step",
        name=f"{kind}-energy",
        where="section on hyperbolic networks: conservation of energy",
        kind=scaling(of="drift", over="step"),
        select={"kind": kind},
        paper=2.0, quoted="constant; by leapfrog to order h^2", margin=0.2,
        note="largest deviation over T, relative to the energy at the start",
    ).control("symplectic Euler, of first order", moves="the exponent", to=1.0, method="symplectic-euler").control(
        "weights that change ten times on the way", moves="the exponent", to=0.0, moving=True
    )  # fmt: skip

# ---- trained networks ------------------------------------------------------------------------------------------------

taught = study.experiment(
    "digits",
    config=Network,
    sweep={"kind": ["resnet", "parabolic", "hyperbolic", "hamiltonian"]},
    seeds={"laptop": 12, "paper": 12},
    scales={
        "paper": {
            "source": "cifar10",
            "n": 40_000,
            "n_test": 5000,
            "channels": 32,
            "layers": 5,
            "epochs": 100,
            "batch": 125,
        },
    },
    vectorised=("seed", "finer", "omit"),
    data=lambda config: config.source,
)
taught.trial(trained)
taught.figure(figures.errors)
taught.figure(figures.stretch)

for kind, words in (("parabolic", "parabolic"), ("hyperbolic", "second-order"), ("hamiltonian", "Hamiltonian")):
    taught.claim(
        f"a {words} network classifies about as well as a residual network",
        name=f"{kind}-competitive",
        where="experiments on STL-10, CIFAR-10 and CIFAR-100",
        kind=ratio(of="test_error", over="kind", between=("resnet", kind)),
        quoted="competitive (read as: at most 3/2 of the test error)",
        within=(0.0, 1.5),
    ).control("its blocks left out", omit=True)

taught.claim(
    "nor do the learned weights of a parabolic network move two features apart, where the steps are short enough",
    name="trained-contracts",
    where="Theorem 1, on trained weights",
    kind=exact(of="amplification", at_most=1.0 + 1e-4),
    select={"kind": "parabolic"},
    note="largest singular value of a block's derivative at 4 test images, single precision",
).control("the residual network's blocks, with steps as short", kind="resnet").control(
    "the layers as they were trained, h = 1", finer=False
)
