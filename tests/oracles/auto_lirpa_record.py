"""Bounds of logits by auto_LiRPA 0.3, an independent implementation of IBP, CROWN and CROWN-IBP, in float64.

    python tests/oracles/auto_lirpa_record.py

writes ``auto_lirpa_0.3.json`` beside itself, in the environment that ``benchmarks/peers/auto_lirpa.md`` describes.

`nets` are read by ``tests/robustness/linear_bounds/recorded_nets.py``; `weights` are lists in the order of the state.
`x` (2, ...) are the centres; `bounds` give `low` and `high` (2, classes) for each norm, radius and method. The radius
is not cut by a range of inputs.
"""

import json
import math
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "benchmarks" / "peers"), str(HERE.parent / "robustness" / "linear_bounds")]
warnings.simplefilter("ignore")

import auto_lirpa  # noqa: E402, F401 - lets auto_LiRPA be imported
from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm  # noqa: E402
from recorded_nets import NETS  # noqa: E402

CASES = (("linf", 0.05), ("linf", 0.2), ("l2", 0.5), ("l1", 1.0))
ORDERS = {"linf": math.inf, "l2": 2, "l1": 1}


def main() -> None:
    torch.set_default_dtype(torch.float64)
    cases = []
    for seed, (name, make) in enumerate(NETS.items()):
        torch.manual_seed(seed)
        model = make().eval()
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.rand_like(value) + 0.5 if "running_var" in key else value)
                value.copy_(torch.round(value, decimals=3))
        x = torch.round(torch.rand(2, 1, 6, 6), decimals=3)
        bounds = []
        for norm, eps in CASES:
            ball = BoundedTensor(x, PerturbationLpNorm(norm=ORDERS[norm], eps=eps))
            for method in ("IBP", "CROWN", "CROWN-IBP"):
                low, high = BoundedModule(model, x).compute_bounds(x=(ball,), method=method)
                bounds.append({"norm": norm, "eps": eps, "method": method, "low": low.tolist(), "high": high.tolist()})
        weights = {key: value.tolist() for key, value in model.state_dict().items()}
        cases.append({"net": name, "weights": weights, "x": x.tolist(), "bounds": bounds})
    head = {"about": __doc__.strip(), "versions": {p: version(p) for p in ("auto_LiRPA", "torch", "numpy")}}
    lines = ",\n  ".join(json.dumps(case) for case in cases)
    text = "{\n" + "".join(f" {json.dumps(k)}: {json.dumps(v)},\n" for k, v in head.items())
    path = HERE / "auto_lirpa_0.3.json"
    path.write_text(text + f' "cases": [\n  {lines}\n ]\n}}\n')
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
