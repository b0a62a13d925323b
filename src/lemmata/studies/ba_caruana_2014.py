"""Do deep nets really need to be deep? (Ba and Caruana, 2014).

Question. Deep networks are more accurate than shallow ones trained on the same labels. Is it that shallow ones cannot
represent what deep ones learn, or that they cannot be taught it by labels?

The paper's answer. A shallow network that regresses on the logits of a deep one, an ensemble of them at best, gets as
accurate as deep networks of as many parameters: it can represent what it could not learn from labels.

The paper's data are TIMIT, a licensed corpus of speech, and CIFAR-10 with a million unlabelled images. Its claims on
TIMIT are declared with their numbers (as a survey of distillation quotes them) and not tested. Their analogue is:
signals of MNIST-1D, 4,000 of them labelled; an SNN of one hidden layer of 496 units and a DNN of three of 100, with
25,306 and 25,310 parameters; a CNN of three convolutions; ECNN, the mean logits of three CNNs; SNN-MIMIC, an SNN that
regresses on logits. Its inputs are the 4,000 of the teacher, as on TIMIT, or 24,000, of which the others have
no labels, as on CIFAR-10.

Two confounds are tested. Unlabelled inputs are also more data: an SNN gets their true labels. Logits are more than a
teacher's decisions: an SNN gets those. A student taught the logits of other inputs, or those of a CNN that was trained
on random labels, is at chance.

Boundary. Urban and others (2017) asked the question again, of CIFAR-10, and answer that they do: without convolutions
no student got near the CNNs. So it is here: students of 496 hidden units pass the DNN and stay behind the CNN, with the
ensemble as their teacher and six times the inputs. That says nothing of the paper's SNN-MIMIC-400k, which has 400,000
hidden units and gets within half a point of phone error of the CNN. (In a first run that half point was asked of these
students, and came out contradicted; and of the boundary, only the distance from the ensemble was measured.)

What is taken out of the logits first. Cross-entropy leaves a number free that is common to a sample's logits, and one
would think that a student should be spared it: it makes no difference. What does is to take out the mean of each
*output*, as one centres targets of a regression, and to predict without adding the outputs' means back: it costs a
tenth of all signals, and looks as if samples' means had to be taken out. Pilot runs fell for it: students of "raw"
logits had accuracies of 0.71 to 0.76 where those of centred ones had 0.86. The raw ones had their outputs' means taken
out, and one deviation divided them all; and their students were half as wide, with smaller and fewer steps. On two
seeds with the networks of laptop scale, students of centred logits have 0.79, and of raw ones divided by their root
mean square 0.79; of raw ones that are not divided, with a deviation of 11, 0.68; of those without the outputs' means
0.69, and 0.76 with each output divided by its own deviation. Half as wide, with smaller and fewer steps, 0.6 at most.

The linear bottleneck is tested on digits of `mnist-5k`, 28x28, on which the first matrix of a wide shallow network is
large: a student 784-1000-10 with its first matrix free, or factored at rank 50, compared after 80 updates of the free
one. (In a first run it was 40, after which the factored one had 1.1 to 1.5 times the loss, and the claim that the two
agree to a quarter was left open. In that run a student had at most eight times as many updates for the same
multiplications, now four, to save time: the limit of half the loss is as it was.)

Laptop scale: Adam; CNNs with step size 0.01, 500 steps of 100; SNN and DNN on labels 0.003, SNN on logits 0.01, cosine,
1,600 steps of 128. Step sizes are those of pilot runs. Accuracy on 2,000 fresh signals. Thresholds of claims that say
"at least" are those of TIMIT's numbers where there are any, and otherwise a fraction of what pilots showed, as noted.
Pilots had the same networks, 2,000 steps (CNNs: 600 to 800) and three seeds. Three claims on which logits teach the SNN
more had students of other inputs' logits as a control too, or instead: those are at chance, which refutes little. They
now have a teacher as shallow as the student, which it must not pass.
Seeds are independent signals, weights, orders of samples.
"""

import math

from lemmata.studies import _ba_caruana_2014_figures as figures
from lemmata.studies._ba_caruana_2014_bottleneck import Factored, Size, count_parameters, train_factored
from lemmata.studies._ba_caruana_2014_learners import Learner, teach
from lemmata.study import Paper, Study
from lemmata.study.kinds import difference, ordering, ratio, value

study = Study(
    "ba-caruana-2014",
    paper=Paper(
        key="ba2014",
        title="Do deep nets really need to be deep?",
        authors=("Lei Jimmy Ba", "Rich Caruana"),
        year=2014,
        venue="Advances in Neural Information Processing Systems",
        arxiv="1312.6184",
        entry="inproceedings",
    ),
    topic="distillation",
    question="Can a shallow network be taught by a deep one what it does not learn from labels?",
    notes="Numbers on TIMIT are as a survey of distillation quotes the paper's Table 1. Accuracies are on MNIST-1D.",
)

# ---- students --------------------------------------------------------------------------------------------------------

TAUGHT_BY_LABELS = ["SNN", "DNN", "CNN", "ECNN"]
signals = study.experiment(
    "signals",
    config=Learner,
    sweep=[
        {"learner": [*TAUGHT_BY_LABELS, "SNN-MIMIC"], "times": [1]},
        {"learner": ["SNN", "CNN", "SNN-HARD", "SNN-MIMIC"], "times": [6]},
        {"teacher": ["SNN", "DNN", "CNN"]},
        {"removed": ["nothing", "output means", "output means, added back"]},
    ],
    scales={
        "smoke": {
            "labelled": 200, "test": 200, "hidden": 100, "width": 39, "steps": 50, "convolutional_steps": 50,
        },
        "paper": {"steps": 20_000, "convolutional_steps": 6000, "hidden": 8000, "width": 439, "test": 10_000},
    },
    vectorised=(
        "learner", "teacher", "times", "removed", "permuted", "offset", "ensemble", "convolutional_steps",
    ),
)  # fmt: skip
signals.trial(teach)
signals.figure(figures.learners)
signals.figure(figures.transfer)
signals.figure(figures.teachers)

SAME = {"times": 1, "teacher": "ECNN", "removed": "sample means"}
MORE = {**SAME, "times": 6}
MIMIC = {**MORE, "learner": "SNN-MIMIC"}
UNTAUGHT = "logits of other inputs"
SHALLOW_TEACHER = "a teacher as shallow as the student"
BARELY = "CNNs stopped after 40 steps"

signals.claim(
    "taught by labels, SNN < DNN < CNN < ECNN",
    name="taught-by-labels",
    where="Table 1 (TIMIT)",
    kind=ordering(of="accuracy", over="learner", order=tuple(TAUGHT_BY_LABELS)),
    select={**SAME, "learner": TAUGHT_BY_LABELS},
    quoted="phone errors 23.1 > 21.9 > 19.5 > 18.5 %",
).control(BARELY, convolutional_steps=40)

at_equal = signals.claim(
    "taught by logits on the same inputs, the SNN passes a DNN of as many parameters",
    name="mimic-passes-dnn",
    where="Table 1 (TIMIT): SNN-MIMIC-8k and DNN, both of about 12 million parameters",
    kind=difference(of="accuracy", over="learner", between=("DNN", "SNN-MIMIC")),
    select={**SAME, "learner": ["DNN", "SNN-MIMIC"]},
    paper=0.003,
    quoted="21.6 against 21.9 % phone error",
    within=(0.003, math.inf),
    note="at least the paper's difference",
)
at_equal.control(SHALLOW_TEACHER, teacher="SNN")

by_logits = signals.claim(
    "no more inputs, no more parameters: logits teach the SNN what labels did not",
    name="mimic-passes-snn",
    where="Table 1 (TIMIT): SNN-8k and SNN-MIMIC-8k",
    kind=difference(of="accuracy", over="learner", between=("SNN", "SNN-MIMIC")),
    select={**SAME, "learner": ["SNN", "SNN-MIMIC"]},
    paper=0.015,
    quoted="23.1 against 21.6 % phone error",
    within=(0.015, math.inf),
    note="at least the paper's difference",
)
by_logits.control(SHALLOW_TEACHER, teacher="SNN")

transfer = signals.claim(
    "six times the inputs, without labels, teach it at least three points more",
    name="unlabelled-inputs-help",
    where="CIFAR-10: a transfer set of unlabelled images",
    kind=difference(of="accuracy", over="times", between=(1, 6)),
    select={**MIMIC, "times": [1, 6]},
    within=(0.03, math.inf),
    note="half of what pilots showed",
)
transfer.control(SHALLOW_TEACHER, teacher="SNN")

confound = signals.claim(
    "and they teach more than the true labels of the same inputs would",
    name="not-only-more-data",
    where="our addition: the confound of the claims on CIFAR-10",
    kind=difference(of="accuracy", over="learner", between=("SNN", "SNN-MIMIC")),
    select={**MORE, "learner": ["SNN", "SNN-MIMIC"]},
    within=(0.0, math.inf),
)
confound.control(UNTAUGHT, permuted=True)
confound.control("a teacher trained on random labels", teacher="random labels")

signals.claim(
    "more than the teacher's decisions on them, too",
    name="not-only-decisions",
    where="section on regressing on logits",
    kind=difference(of="accuracy", over="learner", between=("SNN-HARD", "SNN-MIMIC")),
    select={**MORE, "learner": ["SNN-HARD", "SNN-MIMIC"]},
    within=(0.0, math.inf),
).control(UNTAUGHT, permuted=True)

signals.claim(
    "the better the teacher, the better the student",
    name="better-teacher",
    where="figures of the student's accuracy against the teacher's",
    kind=ordering(of="accuracy", over="teacher", order=tuple(TAUGHT_BY_LABELS)),
    select={**MIMIC, "teacher": TAUGHT_BY_LABELS},
    quoted="monotone",
).control(BARELY, convolutional_steps=40)

signals.claim(
    "an ensemble as the teacher adds to what one CNN teaches",
    name="ensemble-adds",
    where="Table 2 (CIFAR-10)",
    kind=difference(of="accuracy", over="teacher", between=("CNN", "ECNN")),
    select={**MIMIC, "teacher": ["CNN", "ECNN"]},
    quoted="“an additional 0.9%”",
    within=(0.0, math.inf),
).control("an ensemble of one", ensemble=1)

signals.claim(
    "that a sample's logits have a free offset makes no difference",
    name="offset-harmless",
    where="our addition",
    kind=difference(of="accuracy", over="removed", between=("nothing", "sample means"), null=None),
    select={**MIMIC, "removed": ["nothing", "sample means"]},
    margin=0.02,
    paper=0.0,
    quoted="less than two points (ours)",
    note="the samples' means have a tenth of the logits' variance",
).control("a random offset, of three times the logits' deviation", offset=3.0)

signals.claim(
    "to take each output's mean out, and not to add it back, costs at least five points",
    name="output-means",
    where="our addition",
    kind=difference(of="accuracy", over="removed", between=("output means", "output means, added back")),
    select={**MIMIC, "removed": ["output means", "output means, added back"]},
    within=(0.05, math.inf),
    note="half of what pilots showed",
).control(UNTAUGHT, permuted=True)

signals.claim(
    "the SNN stays behind the ensemble that teaches it by at least two points",
    name="mimic-behind-teacher",
    where="Urban and others (2017), abstract: convolutions are needed",
    kind=value(of="behind", null=0.0),
    select=MIMIC,
    within=(0.02, math.inf),
    note="a fifth of what pilots showed",
).control("a shallow teacher, which it can match", teacher="SNN")

signals.claim(
    "with a DNN's parameters, six times the inputs and the ensemble as its teacher, the SNN stays behind the CNN",
    name="mimic-stays-behind",
    where="Urban and others (2017), abstract: convolutions are needed",
    kind=difference(of="accuracy", over="learner", between=("SNN-MIMIC", "CNN")),
    select={**MORE, "learner": ["CNN", "SNN-MIMIC"]},
    within=(0.02, math.inf),
    note="by two points at least, as behind the ensemble; 496 hidden units at laptop scale",
).control("CNNs stopped after ten steps", convolutional_steps=10)

NO_TIMIT = "the corpus TIMIT is licensed and cannot be had"
for name, statement, quoted, analogue in (
    ("timit-labels", "on TIMIT, SNNs taught by labels are worse than a DNN and a CNN, an ensemble of nine is best",
     "SNN-8k 23.1, SNN-400k 23.6, DNN 21.9, CNN 19.5, ECNN 18.5 % phone error",
     "its analogue on signals is the claim `taught-by-labels`"),
    ("timit-mimic", "on TIMIT, SNN-MIMIC-8k is better than a DNN of as many parameters",
     "21.6 against 21.9 % phone error", "its analogue on signals is the claim `mimic-passes-dnn`"),
    ("timit-large-mimic", "on TIMIT, SNN-MIMIC-400k is nearly as good as the CNN",
     "20.0 against 19.5 % phone error", "400,000 hidden units have no analogue here"),
):  # fmt: skip
    signals.claim(statement, name=name, where="Table 1", quoted=quoted, untestable=f"{NO_TIMIT}; {analogue}")
signals.claim(
    "of a million labelled points a shallow network learns less than a deep one",
    name="million-points",
    where="introduction",
    quoted="86 against 91 % accuracy",
    untestable="the points cannot be had; the analogue on signals is the claim `taught-by-labels`",
)

# ---- parameters ------------------------------------------------------------------------------------------------------

FACTORED_SHARE = {rank: round((rank * 1784 + 11_010) / 795_010, 5) for rank in (25, 50)}  # d = 784, H = 1,000
sizes = study.experiment(
    "sizes",
    config=Size,
    sweep={"net": ["SNN", "DNN", "free", "factored"]},
    seeds={"smoke": 3, "laptop": 3, "paper": 3},
    scales={"paper": {"hidden": 8000, "width": 439}},
)
sizes.trial(count_parameters)
sizes.claim(
    "the SNN and the DNN have the same number of parameters",
    name="equal-parameters",
    where="Table 1 (TIMIT): both about 12 million",
    kind=ratio(of="parameters", over="net", between=("DNN", "SNN"), null=None),
    select={"net": ["SNN", "DNN"]},
    paper=1.0,
    quoted="equal",
    margin=0.005,
).control("twice the hidden units", moves="the ratio", to=2.0, wider=2)

sizes.claim(
    "a bottleneck of rank 50 leaves a student of digits an eighth of its parameters",
    name="bottleneck-parameters",
    where="section on the linear bottleneck: memory of r (d + H) for d H",
    kind=ratio(of="parameters", over="net", between=("free", "factored"), null=None),
    select={"net": ["free", "factored"]},
    paper=FACTORED_SHARE[50],
    quoted="100,210 / 795,010",
    margin=1e-4,
).control("half the rank", moves="the ratio", to=FACTORED_SHARE[25], rank=25)

# ---- the linear bottleneck -------------------------------------------------------------------------------------------

digits = study.experiment(
    "bottleneck",
    config=Factored,
    sweep={"factored": [False, True]},
    scales={"smoke": {"n": 200, "epochs": 5, "hidden": 200}, "paper": {"n": 4000, "epochs": 50}},
    vectorised=("factored", "rank"),
    data="mnist-5k",
)
digits.trial(train_factored)
digits.figure(figures.bottleneck)

FULL_RANK = "rank 784: nothing saved"
digits.claim(
    "with the bottleneck an update takes less time",
    name="bottleneck-seconds",
    where="section on the linear bottleneck",
    kind=ratio(of="seconds_per_update", over="factored", between=(True, False)),
    within=(1.0, math.inf),
    note="processor seconds, without bottleneck over with",
).control(FULL_RANK, rank=784)

digits.claim(
    "so that for the same multiplications the student has less than half of the loss",
    name="bottleneck-per-flop",
    where="section on the linear bottleneck",
    kind=ratio(of="loss_by_flops", over="factored", between=(False, True)),
    within=(-math.inf, 0.5),
    note="training loss on the logits; at most four times as many updates",
).control(FULL_RANK, rank=784)

digits.claim(
    "though not for the same updates: there the losses agree to a quarter",
    name="bottleneck-per-update",
    where="section on the linear bottleneck: what the gain is not",
    kind=ratio(of="loss_by_updates", over="factored", between=(False, True), null=None),
    paper=1.0,
    quoted="per update no gain (ours)",
    margin=0.25,
).control("rank 5, which does not suffice", rank=5)
