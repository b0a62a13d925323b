"""`lemmata doctor`: is everything there? Versions, devices, data found, health of the store."""

import platform
import sys
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lemmata.commands.options import DataDir, StorePath
from lemmata.version import __version__

PACKAGES = ("torch", "numpy", "scipy", "pandas", "pydantic", "matplotlib", "plotly", "typst", "safetensors")


def doctor(*, store: StorePath = None, data_dir: DataDir = None) -> None:
    """Check the installation; exits with 1 when the store has damaged records."""
    import torch

    from lemmata import data
    from lemmata.commands.datasets import availability
    from lemmata.laboratory import DEFAULT_STORE, open_store

    console = Console()
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_row("lemmata", __version__)
    facts.add_row("python", f"{platform.python_version()} ({platform.system()} {platform.machine()})")
    for package in PACKAGES:
        facts.add_row(package, version(package))
    facts.add_row("threads", str(torch.get_num_threads()))
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    facts.add_row("GPU", ", ".join(gpus) or "none; everything runs on the CPU")
    console.print(facts)
    console.print(availability(data.available(data_dir)))
    if store is None and not Path(DEFAULT_STORE).exists():
        console.print(f"store: none yet; the first run makes {DEFAULT_STORE}")
        return
    place = open_store(store)
    problems = place.check()
    console.print(f"store: {place.path}, {len(place.keys())} records", markup=False, soft_wrap=True)
    for problem in problems:
        console.print(Text(f"damaged: {problem}", style="red"), soft_wrap=True)
    if problems:
        sys.exit(1)
