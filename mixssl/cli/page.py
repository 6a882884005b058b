"""Reports as one HTML file to look at: facts, tables and pictures, in a page that needs nothing beside it."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mixssl.engine.atomic_writes import write_atomically


@dataclass(frozen=True)
class Section:
    """A part of a page, in this order; what is empty is left out.

    Attributes:
        title: Its heading.
        table: Lines of cells, the headings first.
        alerts: Lines of the table, counted from 0 below the headings, that something is wrong with: they are red.
        text: Paragraphs.
        facts: Name to text, a line each.
        pictures: What a picture shows, to its PNG file.
    """

    title: str
    table: Sequence[Sequence[str]] = ()
    alerts: Sequence[int] = ()
    text: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    pictures: Mapping[str, Path] = field(default_factory=dict)


def write_page(
    path: Path, title: str, facts: Mapping[str, str], sections: Sequence[Section], alert: str = ""
) -> Path:
    """Writes a page, whole or not at all.

    Args:
        path: The file.
        title: Of the page.
        facts: What is said first: command, commit, machine and the like.
        sections: What follows, in order.
        alert: What went wrong, in red above the sections.

    Returns:
        The file.
    """
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined)
    environment.filters["embedded"] = _embedded
    page = environment.get_template("page.html")
    text = page.render(title=title, facts=facts, sections=sections, alert=alert)
    write_atomically(f"{text}\n".encode(), path)
    return path


def _embedded(path: Path) -> str:
    """A picture as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
