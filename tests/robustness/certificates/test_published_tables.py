"""Every table that Cohen et al. made from their logs, from the logs, to the digit; and what else the logs say."""

import gzip
import os
import re

import numpy as np
import pytest

from lemmata import data
from lemmata.data import folder, sources
from lemmata.robustness import Gaussian, accuracy_table, attainable, read_log, recovered_hits, write_log

COHEN, JEONG = "cohen-2019-logs", "jeong-2020-logs"
pytestmark = pytest.mark.skipif(
    not (
        os.environ.get("LEMMATA_DATA")
        and all(entry.found for entry in data.available() if entry.name in (COHEN, JEONG))
    ),
    reason="the published logs are not here: name their folder by LEMMATA_DATA",
)
NETWORKS = {"cifar10": ("resnet110", (0.12, 0.25, 0.5, 1.0)), "imagenet": ("resnet50", (0.25, 0.5, 1.0))}


def log(dataset, noise, **more):
    network = NETWORKS[dataset][0]
    name = f"data/certify/{dataset}/{network}/noise_{noise:.2f}/test/sigma_{noise:.2f}"
    return read_log(data.find_log(COHEN, name), **more)


def analysis(kind, dataset):
    """The authors' own file, if it lies beside the logs."""
    where = folder.locate(sources.find_logs(COHEN))
    path = where / "analysis" / kind / f"vary_noise_{dataset}"
    if not path.is_file():
        pytest.skip(f"the authors' analysis/{kind}/vary_noise_{dataset} is not beside the logs")
    return path.read_text()


def table(dataset, text):
    radii = [float(radius) for radius in re.findall(r"r = ([\d.]+)", text)]
    runs = {f"$\\sigma = {sigma:.2f}$": log(dataset, sigma) for sigma in NETWORKS[dataset][1]}
    return accuracy_table(runs, radii)


@pytest.mark.parametrize("dataset", NETWORKS)
def test_the_latex_table_is_the_authors_byte_for_byte(dataset):
    text = analysis("latex", dataset)
    ours = table(dataset, text).latex()
    assert ours.strip() == text.strip()


@pytest.mark.parametrize("dataset", NETWORKS)
def test_the_markdown_table_has_the_authors_cells(dataset):
    text = analysis("markdown", dataset)
    theirs = [
        [cell.replace("<b>*</b>", "**").strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()[2:]
        if line
    ]
    ours = [line.split(" | ")[1:] for line in table(dataset, text).markdown().splitlines()[2:]]
    cells = [[cell.removesuffix(" |") for cell in row] for row in ours]
    plain = [[cell.replace("*", "") for cell in row] for row in cells]
    assert plain == [[cell.replace("*", "") for cell in row] for row in theirs]
    assert [["*" in c for c in row] for row in cells] == [["*" in c for c in row] for row in theirs]


HEADLINES = {  # certified accuracy at radii 0, 0.5, 1, ... (ImageNet) and 0, 0.25, 0.5, ... (CIFAR-10), three digits
    ("imagenet", 0.25): (".667 .494", 0.4765),
    ("imagenet", 0.5): (".572 .458 .372 .286", 0.7325),
    ("imagenet", 1.0): (".436 .378 .326 .260 .194 .148 .122", 0.8752),
    ("cifar10", 0.12): (".814 .586", None),
    ("cifar10", 0.25): (".748 .600 .428 .266", None),
    ("cifar10", 0.5): (".652 .546 .414 .320 .234 .152 .094 .052", None),
    ("cifar10", 1.0): (".472 .392 .340 .278 .216 .174 .140 .118 .100 .076", None),
}


@pytest.mark.parametrize(("which", "expected"), HEADLINES.items(), ids=str)
def test_three_digits(which, expected):
    certificates = log(*which)
    step = 0.5 if which[0] == "imagenet" else 0.25
    shown = [f"{share:.3f}"[1:] for share in certificates.accuracy().at(step * np.arange(len(expected[0].split())))]
    assert " ".join(shown) == expected[0]
    if expected[1]:
        assert certificates.average_radius == pytest.approx(expected[1], abs=5e-5)


@pytest.mark.parametrize(("sigma", "expected"), [("0.25", 0.911), ("0.50", 1.558), ("1.00", 1.618)])
def test_average_radii_of_the_mnist_logs(sigma, expected):
    runs = [part for part in sources.find_logs(JEONG).parts if part.startswith(f"mnist/cohen/noise_{sigma}_")]
    assert len(runs) == 5
    mean = np.mean([read_log(data.find_log(JEONG, part)).average_radius for part in runs])
    assert f"{mean:.3f}" == f"{expected:.3f}"


def test_logs_are_written_as_they_were_published(tmp_path):
    """Byte for byte, but for logs whose times are seconds and those of predictions."""
    for name in (COHEN, JEONG):
        for part in sources.find_logs(name).parts[:: 9 if name == JEONG else 1]:
            path = data.find_log(name, part)
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            if b"radius" in content and b":" in content:
                written = write_log(read_log(path), tmp_path / "log", digits=3).read_bytes()
                assert written == content, part


OWN_LEVEL = {"noise_0.12/test/sigma_0.12", "noise_0.12/test/sigma_0.50", "cifar10/resnet110/noise_0.25/test/sigma_0.50",
             "cifar10/resnet110/noise_1.00/test/sigma_0.50"}  # fmt: skip


def test_the_logs_tell_the_level_they_were_made_with():
    """Four logs fit alpha = 0.001 and nine do not; all of those fit 0.01."""
    for part in sources.find_logs(COHEN).parts:
        if "/certify/" not in part:
            continue
        found = read_log(data.find_log(COHEN, part))
        noise = Gaussian(float(part.rsplit("_", 1)[1]))
        stated, other = (attainable(found.radius, 100_000, noise, alpha=alpha) for alpha in (0.001, 0.01))
        assert bool(stated.all()) == any(part.endswith(name) for name in OWN_LEVEL), part
        if not stated.all():
            assert (~stated).sum() >= 5, part
            assert other.all(), part


def test_recovered_hits_print_the_radius_they_came_from():
    for dataset, sigma, alpha in (("cifar10", 0.25, 0.01), ("cifar10", 0.12, 0.001), ("imagenet", 1.0, 0.01)):
        found = log(dataset, sigma, sigma=sigma, n=100_000, n0=100, alpha=alpha)
        known = ~found.abstained.numpy()
        low, high = recovered_hits(found.radius, 100_000, Gaussian(sigma), alpha=alpha)
        assert ((low[known] <= found.hits.numpy()[known]) & (found.hits.numpy()[known] <= high[known])).all()
        assert (found.hits[found.abstained] == -1).all()
        assert set(found.samples.tolist()) == {100_100}
