"""The lottery ticket hypothesis (Frankle, Carbin, 2019), with its stabilised version (Frankle and others, 2019).

Question. Most weights of a trained network can be pruned. Could the small network have been trained from the start?

The papers' answer. Yes, from its own initial weights: of LeNet-300-100 on MNIST (266,200 weights, 266,610 with biases;
batches of 60, Adam, step 0.0012), pruned by a fifth after each training and rewound, the network with 51.3 % of the
weights learns faster and better than the original, that with 21.1 % faster still, below that learning slows, and with
3.6 % it is again about the original. A random mask of the same sparsity learns less well: at 10.7 %, 98.3 +- 0.1 % of
the test images against 97.5 +- 0.3 %, where the dense network has 98.0 +- 0.2 %; and its training is less stable: two
trainings of it with different data orders end 2.8 times as far apart, and 1.6 times as far from the dense network.

Experiments.

    shares    how many weights so many prunings leave, counted; the output layer loses a tenth at a time, the others a
              fifth. Its control gives all layers a fifth, and moves the shares
    digits    3,000 of 5,000 digits, 4 epochs of Adam, 200 steps: 3, 4, 3 and 5 prunings at once after each training,
              which leave exactly as many weights as 3, 7, 10 and 15 rounds. 10.8 % stands for the 10.7 % of the second
              paper, which is what ten prunings of a fifth leave if the output layer is no exception
    mnist     60,000 images (55,000 to train on, 5,000 to stop by), for which their folder has to be given by
              --data-dir. Only at the paper scale: 30 trainings of 50,000 steps for each of 5 seeds are hours of a
              processor. The same in 4 epochs of 917 steps, prunings at once as above, takes ten minutes of one:
              --scale paper --only mnist --epochs 4 --one_by_one false --every 250
              Test accuracies of such a run are in the documentation of pruning; it was made with earlier streams and an
              earlier form of these claims, and so is no record of them

What is compared. `error_ratio`: the test error of a random mask (the ticket's, permuted within each layer, on the same
initial weights) over that of the ticket, at the end of training; without a number after it, the geometric mean over
21.1, 10.8 and 3.6 %. Its controls exchange the ticket for another random mask, or for new weights under the ticket's
mask. `time`: the step at which the validation loss first reaches what the dense network's is halfway through its
training, over the step at which the dense network's does: the speed of learning, which does not need training to have
converged, as the iteration of early stopping does. `gap`: test accuracy less the dense network's. Distances are those
of the weights left at 10.8 %, of the random mask over those of the ticket; for the one to the dense network both see
its data order.

Thresholds. The errors' ratio at 10.7 % is 2.5 / 1.7 = 1.47, and (2.5 - 0.3) / (1.7 + 0.1) = 1.22 at the papers' spread:
at least that is asked for, at every sparsity; on MNIST at 10.8 % also no more than 2.8 / 1.6 = 1.75. More stable is
read as half the excess: 1.9 of 2.8, 1.3 of 1.6. About the original, at 3.6 %: within twice the spread of the dense
network, 0.4 points of accuracy. These follow from the papers' numbers, but were written down after first runs on 5,000
digits, with two and three seeds and 2 and 4 epochs. Also after first runs, on 5,000 digits:

    - `time`, where the iteration of early stopping was meant, which was the last step of nearly every network
    - one claim on three sparsities together, where one each was asked: with five seeds the ratio was 1.31 at 21.1 % and
      at 10.8 %, above 1 but not shown to be above 1.22, and 1.67 at 3.6 %. New weights under the ticket's mask are no
      control at 3.6 % alone, where the mask itself is worth something: they err 1.25 times less than a random mask
    - no claim that a ticket is *better* than the dense network, or that 21.1 % is faster than 51.3 %, which in so few
      steps they are not
    - the denominator of `time`. It was halfway itself; a network whose validation loss is not monotone reaches its loss
      of halfway sooner, and it is now the dense network's own first crossing. This was seen, and mended, in a laptop
      run whose control (new weights, at 51.3 %) had not been refuted
    - no control of `faster` by a random mask, which there was at first: at 51.3 % none is trained
    - 3,000 digits and a measurement each 34 steps, for 3,500 and 30, to spare time

Streams. All of these first runs used seeds 0, 1, ...; the recorded runs add 100,000 to every seed, so that no weight,
order, mask or split is one on which something was chosen. The digits that are split are the same 5,000.

Seeds are independent draws of weights, data orders and masks, on 5,000 digits of the split as well: the first five
seeds test on disjoint fifths. On MNIST the published test set is that of all seeds: intervals are about training.
"""

from lemmata.studies import _frankle_carbin_2019_figures as figures
from lemmata.studies._frankle_carbin_2019_shares import Shares, shares_left
from lemmata.studies._frankle_carbin_2019_tickets import Digits, ticket_networks
from lemmata.study import Paper, Study
from lemmata.study.kinds import value

INF = float("inf")
ERRORS = "97.5 ± 0.3 % against 98.3 ± 0.1 %: error 1.47 times, 1.22 at the spread"
LEAST, PAPER, MOST = 1.22, 1.47, 1.75  # the errors' ratio at 10.7 %, and what the printed spreads leave of it

study = Study(
    "frankle-carbin-2019",
    paper=Paper(
        key="frankle2019",
        title="The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks",
        authors=("Jonathan Frankle", "Michael Carbin"),
        year=2019,
        venue="International Conference on Learning Representations",
        arxiv="1803.03635",
        entry="inproceedings",
    ),
    topic="pruning",
    question="Does a dense network contain a sparse one that learns as well by itself, from the same initial weights?",
)

# ---- shares ----------------------------------------------------------------------------------------------------------

shares = study.experiment(
    "shares",
    config=Shares,
    sweep={"rounds": [3, 7, 15]},
    seeds={"smoke": 3, "laptop": 3, "paper": 3},
    vectorised=("seed", "rounds", "output_share"),
)
shares.trial(shares_left)

for rounds, paper, without in ((3, 51.3, 51.2), (7, 21.1, 21.0), (15, 3.6, 3.5)):
    shares.claim(
        f"{rounds} prunings by a fifth leave {paper} % of the weights",
        name=f"left-{rounds}",
        where="Figure 3, the labels of its curves",
        kind=value(of="left"),
        select={"rounds": rounds},
        paper=paper, quoted=f"{paper} %", margin=0.05,
        note="of 266,200 weights; the output layer loses a tenth each time",
    ).control("the output layer loses a fifth too", moves="the share", to=without, output_share=0.2)  # fmt: skip

# ---- 5,000 digits ----------------------------------------------------------------------------------------------------

RANDOM, NEW = "another random mask in place of the ticket", "new weights under the ticket's mask"
KINDS = {"kind": ["magnitude", "random", "reinitialised"]}
TICKET = {"kind": "magnitude"}

digits = study.experiment(
    "digits",
    config=Digits,
    sweep=KINDS,
    seeds={"smoke": 2, "laptop": 5},
    scales={"smoke": {"n": 360, "validation": 100, "epochs": 4, "every": 12}},
    vectorised=("seed", "kind"),
    data="mnist-5k",
)
digits.trial(ticket_networks)
digits.figure(figures.ticket_curves)
digits.figure(figures.learning)

mnist = study.experiment(
    "mnist",
    config=Digits,
    sweep=KINDS,
    seeds={"paper": 5},
    scales={
        "paper": {
            "source": "mnist", "n": 55_000, "validation": 5000, "epochs": 55, "every": 100, "one_by_one": True,
        },
    },
    vectorised=("kind",),
    data="mnist",
)  # fmt: skip
mnist.trial(ticket_networks)
mnist.figure(figures.ticket_curves)
mnist.figure(figures.learning)

together = digits.claim(
    "digits: a random mask errs more often than the ticket, over 21.1, 10.8 and 3.6 % of the weights",
    name="digits-beats-random",
    where="Frankle and others (2019), Figures 2 and 3, at 10.7 % (there on 60,000 images)",
    kind=value(of="error_ratio", null=1.0),
    select=TICKET,
    quoted=ERRORS,
    within=(LEAST, INF),
    note="geometric mean of three ratios of test errors, random mask over ticket",
)
together.control(RANDOM, kind="random")
together.control(NEW, kind="reinitialised")

for name, shown in (("21", "21.1"), ("11", "10.8"), ("4", "3.6")):
    same = name == "11"
    ratio = mnist.claim(
        f"mnist: with {shown} % of the weights a random mask errs more often than the ticket",
        name=f"mnist-beats-random-{name}",
        where="Frankle and others (2019), Figures 2 and 3, at 10.7 %",
        kind=value(of=f"error_ratio_{name}", null=1.0),
        select=TICKET,
        paper=PAPER if same else None,
        quoted=ERRORS,
        within=(LEAST, MOST if same else INF),
        note="test error of the random mask over that of the ticket",
    )
    ratio.control(RANDOM, kind="random")
    if name != "4":
        ratio.control(NEW, kind="reinitialised")

for experiment, where in ((digits, "there on 60,000 images"), (mnist, "in 50,000 steps")):
    prefix = experiment.name
    faster = experiment.claim(
        f"{prefix}: with 51.3 % of the weights the ticket learns faster than the dense network",
        name=f"{prefix}-faster",
        where=f"Figure 3 ({where})",
        kind=value(of="time_51", null=1.0),
        select=TICKET,
        quoted="learns faster than the original; read as: sooner at the loss that the original has halfway",
        within=(0.0, 1.0),
        note="steps to the dense network's halfway validation loss, over its own",
    )
    faster.control(NEW, kind="reinitialised")
    for what, number, least, shown in (("data_order", 2.8, 1.9, "data order"), ("pruning", 1.6, 1.3, "pruning")):
        experiment.claim(
            f"{prefix}: with 10.8 % of the weights the ticket is more stable to {shown} than a random mask",
            name=f"{prefix}-stable-{what.replace('_', '-')}",
            where=f"Frankle and others (2019), Figures 2 and 3 ({where})",
            kind=value(of=f"{what}_ratio", null=1.0),
            select=TICKET,
            paper=number, quoted=f"{number} times; read as: half the excess", within=(least, INF),
            note="distance of weights for a random mask over that for the ticket",
        ).control(RANDOM, kind="random")  # fmt: skip

mnist.claim(
    "mnist: with 21.1 % of the weights the ticket learns faster still than with 51.3 %",
    name="mnist-faster-still",
    where="Figure 3",
    kind=value(of="time_21_over_51", null=1.0),
    select=TICKET,
    quoted="51.3 % slower than 21.1 %",
    within=(0.0, 1.0),
    note="the step of that validation loss with 21.1 %, over that with 51.3 %",
).control(NEW, kind="reinitialised")

mnist.claim(
    "mnist: with 51.3 % of the weights the ticket is better than the dense network",
    name="mnist-better",
    where="Figure 3",
    kind=value(of="gap_51", null=0.0),
    select=TICKET,
    quoted="reaches higher test accuracy",
    within=(0.0, INF),
).control(NEW, kind="reinitialised")

mnist.claim(
    "mnist: with 3.6 % of the weights the ticket is about the dense network",
    name="mnist-regress",
    where="Figure 3",
    kind=value(of="gap_4"),
    select=TICKET,
    paper=0.0,
    quoted="regresses to the performance of the original; read as: within 0.4 points",
    margin=0.004,
).control(RANDOM, kind="random").control(NEW, kind="reinitialised")
