import re

import pytest
from pypdf import PdfReader

from lemmata.report import pdf


@pytest.fixture(scope="module")
def read(run, tmp_path_factory):
    return PdfReader(run.report(tmp_path_factory.mktemp("pdf") / "sample.pdf", command="lemmata run sample"))


def squeezed(text):
    """Without the spaces and hyphens that line breaks put in."""
    return re.sub(r"[\s\u00ad‐-]+", "", text)


def test_every_claim_and_the_whole_of_methods_appear(read, run):
    text = squeezed("".join(page.extract_text() for page in read.pages))
    for verdict in run.verdicts:
        assert squeezed(verdict.claim.statement.replace("$", "")) in text
        assert squeezed(verdict.reason) in text
    for shown in ("lemmata run sample", "heckel2021", "five hidden units", "costs $5 or $6", "<script>alert"):
        assert squeezed(shown) in text


def test_pages_title_and_fonts(read):
    assert 3 <= len(read.pages) <= 9
    assert read.metadata.title == "Early stopping in deep networks: double descent and how to eliminate it"
    fonts = {str(f.get_object()["/BaseFont"]) for p in read.pages for f in p["/Resources"]["/Font"].values()}
    assert any("LibertinusSerif" in font for font in fonts)
    assert any("NewCMMath" in font for font in fonts)


def test_the_same_content_gives_the_same_bytes(content):
    assert pdf.render(content) == pdf.render(content)
