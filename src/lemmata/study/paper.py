"""The paper a study puts to the test: who wrote what, where, and how to cite it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A bibliographic entry; `bibtex` and `citation` are made from it.

    >>> paper = Paper(key="hastie2022", title="Surprises in ridgeless least squares", authors=("Trevor Hastie",),
    ...               year=2022, venue="Annals of Statistics", arxiv="1903.08560")
    >>> paper.citation
    'Trevor Hastie (2022). Surprises in ridgeless least squares. Annals of Statistics. arXiv:1903.08560.'
    """

    key: str
    title: str
    authors: tuple[str, ...]
    year: int
    venue: str = ""
    arxiv: str = ""
    doi: str = ""
    entry: str = "article"

    @property
    def citation(self) -> str:
        """One line for a report's head."""
        names = ", ".join(self.authors)
        place = [
            self.venue,
            f"arXiv:{self.arxiv}" if self.arxiv else "",
            f"doi:{self.doi}" if self.doi else "",
        ]
        return " ".join([f"{names} ({self.year}). {self.title}.", *(f"{part}." for part in place if part)])

    @property
    def bibtex(self) -> str:
        """The BibTeX entry."""
        venue = "booktitle" if self.entry == "inproceedings" else "journal"
        fields = {
            "title": f"{{{self.title}}}",
            "author": " and ".join(self.authors),
            "year": str(self.year),
            venue: self.venue,
            "eprint": self.arxiv,
            "archiveprefix": "arXiv" if self.arxiv else "",
            "doi": self.doi,
        }
        body = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
        return f"@{self.entry}{{{self.key},\n{body}\n}}"
