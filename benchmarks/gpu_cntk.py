"""The CNTK on a GPU: microseconds a pair, beside what the device could do; and, without a GPU, what the compiler made.

    python benchmarks/gpu_cntk.py              times, on a CUDA device; refuses where there is none
    python benchmarks/gpu_cntk.py --compile    instructions, registers, spills for compute capability 9.0; needs no GPU

writes ``benchmarks/results/gpu_cntk.json``. Times are of 32 x 32 images, depth 21 (20 convolutions), medians of five
launches after one that compiles, pairs by the ten thousand; bandwidth and flop rate are measured in the same run. The
issue limit is what the scheduler of a multiprocessor needs to hand out the loop's instructions, four warps a clock:

    us a pair = 1024^2 element pairs * 20 layers * (instructions an element and layer) / 32 / (132 * 4 * 1.98e3 a us)

for the 132 multiprocessors of an H100 at 1.98 GHz. It is a bound and no measurement: what latencies add is not in it.
"""

import argparse
import collections
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import machine
from lemmata.kernels.cntk import Convolutional, cntk
from lemmata.kernels.cntk.triton_backend import REGISTERS
from turns import RESULTS

FILE = RESULTS / "gpu_cntk.json"
SIZE, DEPTH = 32, 21
ISSUES = 132 * 4 * 1.98e3  # warp instructions a microsecond, H100
REFERENCE = 49.4  # instructions an element and layer of a plain recursion written in CUDA, nvcc 13, sm_90
LOOPS = {"difference": False, "plain": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile and count instructions; no GPU is needed")
    found = {"compiled for sm_90": compiled()} if parser.parse_args().compile else {"timed": timed()}
    FILE.parent.mkdir(exist_ok=True)
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.write_text(json.dumps({**known, **found}, indent=1) + "\n")
    print(json.dumps(found, indent=1))


# ---- what the compiler makes -----------------------------------------------------------------------------------------


def compiled() -> dict[str, Any]:
    """Counts for both recursions, and the issue limit that follows."""
    import triton

    counts = {}
    for recursion, plain in LOOPS.items():
        cubin = cubin_of(plain)
        loop = loop_of(disassembled(cubin, "-sass"))
        usage = dict(re.findall(r"(REG|STACK|SHARED):(\d+)", disassembled(cubin, "-res-usage")))
        kinds = collections.Counter(operation.split(".")[0] for operation in loop)
        each = {name: round(count / SIZE, 2) for name, count in kinds.most_common(12)}
        instructions = len(loop) / SIZE
        counts[recursion] = {
            "instructions an element and layer": round(instructions, 2),
            "of a kernel in CUDA, plain": REFERENCE,
            "by kind": each,
            "registers": int(usage["REG"]),
            "bytes spilled, all outside the loop over layers": int(usage["STACK"]),
            "loads and stores of spills in the loop": kinds["LDL"] + kinds["STL"],
            "shared memory": int(usage["SHARED"]),
            "issue limit, us a pair": round(SIZE**4 * (DEPTH - 1) * instructions / 32 / ISSUES, 1),
        }
    return {"triton": triton.__version__, "depth": DEPTH, "image": SIZE, **counts}


def cubin_of(plain: bool) -> bytes:
    """The machine code of the kernel for images of 3 x 32 x 32."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from lemmata.kernels.cntk.triton_kernel import cntk_displacements as kernel

    fixed = {
        "P": SIZE, "Q": SIZE, "CHANNELS": 3, "COLUMNS": SIZE, "LANES": 32, "PLAIN": plain, "TANGENT": True,
        "TRAIN_FIRST": False, "TRAIN_LAST": False, "DIRECT": True,
    }  # fmt: skip
    kinds = dict.fromkeys(("first", "second", "rows", "columns"), "*i32") | {"out": "*fp64"}
    kinds |= dict.fromkeys(("layers", "tasks", "groups", "column_count"), "i32")
    names = [parameter.name for parameter in kernel.params]
    signature = {name: "constexpr" if name in fixed else kinds.get(name, "*fp32") for name in names}
    constants = {(names.index(name),): value for name, value in fixed.items()}
    aligned = {(names.index(name),): [["tt.divisibility", 16]] for name, kind in signature.items() if kind[0] == "*"}
    source = ASTSource(kernel, signature, constexprs=constants, attrs=aligned)
    options = {"num_warps": 1, "maxnreg": REGISTERS}
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm["cubin"]


def disassembled(cubin: bytes, how: str) -> str:
    """What the disassembler that comes with triton says of machine code."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run([tool, how, file.name], check=True, capture_output=True, text=True).stdout


def loop_of(listing: str) -> list[str]:
    """The operations of the longest loop, that over the layers."""
    code = [
        (int(at, 16), text) for at, text in re.findall(r"^\s+/\*([0-9a-f]{4,5})\*/\s+(.*?);", listing, re.MULTILINE)
    ]
    longest: list[str] = []
    for end, text in code:
        jump = re.search(r"\bBRA(?:\.\w+)* (?:\S+, )?0x([0-9a-f]+)", text)
        if jump and int(jump[1], 16) < end:
            body = [re.sub(r"^@!?U?P\w+ ", "", line).split()[0] for at, line in code if int(jump[1], 16) <= at <= end]
            longest = max(longest, body, key=len)
    return longest


# ---- what a device does ----------------------------------------------------------------------------------------------


def timed() -> dict[str, Any]:
    """Microseconds a pair, errors against the processor, and the device's own rates."""
    if not torch.cuda.is_available():
        sys.exit("no CUDA device here: nothing is timed. --compile counts instructions without one")
    draw = torch.Generator().manual_seed(0)
    x, z = (torch.randn(n, 3, SIZE, SIZE, generator=draw).cuda() for n in (128, 128))
    rows = {}
    for recursion in LOOPS:
        for readout in ("average", "vanilla"):
            network = Convolutional(DEPTH, readout)
            options = {"network": network, "backend": "triton", "recursion": recursion}
            run = lambda x=x, z=z, options=options: cntk(x, z, **options).values  # noqa: E731
            found = run()[:2, :2].cpu().double()
            right = cntk(x[:2].cpu().double(), z[:2].cpu().double(), network=network, backend="torch").values
            rows[f"{readout}, {recursion}"] = {
                "us a pair": seconds(run) * 1e6 / (len(x) * len(z)),
                "largest relative error": float((found / right - 1).abs().max()),
            }
    return {"device": torch.cuda.get_device_name(), "machine": machine.facts(), **rates(), "depth": DEPTH, **rows}


def rates() -> dict[str, float]:
    """Memory bandwidth by a copy, and the flop rate of a float32 product without tensor cores."""
    a, b = torch.empty(2**28, device="cuda"), torch.empty(2**28, device="cuda")
    m = torch.randn(8192, 8192, device="cuda")
    torch.backends.cuda.matmul.allow_tf32 = False
    return {
        "memory, TB/s": 2 * a.numel() * 4 / seconds(lambda: b.copy_(a)) / 1e12,
        "float32 product, TFLOP/s": 2 * 8192**3 / seconds(lambda: m @ m) / 1e12,
    }


def seconds(run: Any) -> float:
    """The median wall time of five runs, each waited for, after one that compiles."""
    times = []
    for _ in range(6):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
