"""What dead writers leave behind is swept; what a living one writes is not."""

import os
import subprocess
import sys

import pytest

from lemmata.records import staging
from lemmata.writers import this_machine


def _draft(folder, pid: int):
    draft = folder / f"{this_machine()}-{pid}-abc"
    draft.mkdir(parents=True)
    return draft


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_zombie_writes_no_more(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked after it
    draft = _draft(tmp_path, child.pid)
    staging.clean(tmp_path)
    assert not draft.exists()
    child.wait()


def test_a_living_writer_is_left_alone(tmp_path):
    draft = _draft(tmp_path, os.getpid())
    staging.clean(tmp_path)
    assert draft.exists()
