"""`--help`, `--version` and `list` work without torch, pydantic or pandas."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("tokens", [["--help"], ["list"], ["--version"]])
def test_loads_nothing_heavy(tokens):
    script = (
        f"import sys; sys.argv = ['lemmata', *{tokens!r}]\n"
        "from lemmata.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'pydantic', 'matplotlib', 'scipy', 'plotly'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("heavy: []")


def test_version(capsys):
    from lemmata.version import __version__

    done = subprocess.run([sys.executable, "-m", "lemmata", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == __version__


def test_public_names_resolve():
    import lemmata

    for name in lemmata.__all__:
        assert getattr(lemmata, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lemmata.nothing
