"""How long the command line takes before it does anything, and a rerun in which everything is recorded.

    python benchmarks/startup.py [STUDY] [SCALE]

`lemmata --help` and `lemmata list` are whole processes (bar: 0.35 s, no torch). The rerun is a whole process too, less
the time that a process takes which only imports what it imports (bar: 2 s). Medians of seven; the study must have been
run before.
"""

import statistics
import subprocess
import sys
import time

IMPORTS = "import lemmata.laboratory, lemmata.report.html, lemmata.commands.running, torch, pandas, matplotlib, plotly"


def seconds(command: list[str], repeats: int = 7) -> float:
    """Median wall time of a process."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(study: str = "heckel-2021", scale: str = "laptop") -> None:
    """Measure and print."""
    python, lemmata = sys.executable, [sys.executable, "-m", "lemmata"]
    print(f"bare interpreter   {seconds([python, '-c', 'pass']):.3f} s")
    print(f"lemmata --help     {seconds([*lemmata, '--help']):.3f} s   (bar 0.35)")
    print(f"lemmata list       {seconds([*lemmata, 'list']):.3f} s   (bar 0.35)")
    imports = seconds([python, "-c", IMPORTS])
    rerun = seconds([*lemmata, "run", study, "--scale", scale])
    print(f"cached rerun       {rerun:.2f} s, of which imports {imports:.2f} s: {rerun - imports:.2f} s   (bar 2)")


if __name__ == "__main__":
    main(*sys.argv[1:])
