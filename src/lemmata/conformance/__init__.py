"""What every instrument promises, as a test class: run it on lemmata's instruments, or on one of your own.

    from lemmata.conformance import ScalarConformance

    class TestMySharpness(ScalarConformance):
        def instrument(self, subject):
            return my_sharpness(subject, seed=0)

pytest collects the class and runs its tests; `check` runs them without pytest. An instrument takes an `Objective` or
(model, loss, data), gives the same for both, for one batch and for several, and again for the same seed; it changes
nothing of the user's; it works on some of the parameters, in float32 and under `torch.no_grad`; and it refuses what
it cannot measure.

Three classes: `InstrumentConformance` for any result (say by `values` what is compared), `EstimateConformance` for
an `Estimate`, and `ScalarConformance` for one number. Each runs the instrument some twenty times on a network of 51
parameters and 24 samples; override `model`, `data` and `loss` where it wants another. This tests promises, not truth:
for that override `truth`, which is held against `lemmata.phantoms`.

Solvers of regressions, which take samples and targets, have `SolverConformance` and `LeastSquaresConformance`; methods
that minimise a smooth function have `MinimiserConformance`, those with fixed steps and a guarantee
`ScheduleConformance`; kernels, which take samples twice, `KernelConformance`; certifiers of robustness
`CertificateConformance`; bounds on a risk `BoundConformance`; vector fields, as residual layers are,
`FieldConformance`, and the methods that integrate them `MethodConformance`.
"""

from lemmata.conformance.bound import BoundConformance
from lemmata.conformance.certificate import CertificateConformance
from lemmata.conformance.comparing import flat, require
from lemmata.conformance.estimate import EstimateConformance, ScalarConformance
from lemmata.conformance.field import FieldConformance
from lemmata.conformance.instrument import InstrumentConformance
from lemmata.conformance.kernel import KernelConformance
from lemmata.conformance.method import MethodConformance
from lemmata.conformance.minimiser import MinimiserConformance
from lemmata.conformance.schedule import ScheduleConformance
from lemmata.conformance.solver import LeastSquaresConformance, SolverConformance

__all__ = [
    "BoundConformance",
    "CertificateConformance",
    "EstimateConformance",
    "FieldConformance",
    "InstrumentConformance",
    "KernelConformance",
    "LeastSquaresConformance",
    "MethodConformance",
    "MinimiserConformance",
    "ScalarConformance",
    "ScheduleConformance",
    "SolverConformance",
    "flat",
    "require",
]
