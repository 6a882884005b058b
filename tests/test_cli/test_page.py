"""Pages: one file that needs nothing beside it, in which every text stands as it is."""

from __future__ import annotations

from pathlib import Path

from support.page import Page

from mixssl.cli.page import Section, write_page


def test_facts_tables_text_and_pictures_stand_in_their_section(tmp_path: Path) -> None:
    picture = tmp_path / "p.png"
    picture.write_bytes(b"bytes of a picture")
    sections = [
        Section("First", text=["one", "two"], pictures={"a picture": picture}),
        Section(
            "Second", table=[["", "top1"], ["a", "1"], ["b", "2"]], alerts=[1], facts={"k": "v"}
        ),
    ]
    path = write_page(tmp_path / "new" / "page.html", "Title", {"seed": "0"}, sections, "1 failed")
    text = path.read_text()
    page = Page(text)
    assert page.open == [] and page.pictures == [b"bytes of a picture"]
    assert page.rows == [["seed", "0"], ["", "top1"], ["a", "1"], ["b", "2"], ["k", "v"]]
    order = ["Title", "1 failed", "First", "one", "two", "a picture", "Second", "top1"]
    places = [text.index(f">{word}<") for word in order]
    assert places == sorted(places)
    assert text.count('<tr class="alert">') == 1
    assert text.index('<tr class="alert">') > text.index(">1<")


def test_text_is_no_markup(tmp_path: Path) -> None:
    path = write_page(
        tmp_path / "page.html",
        "a < b & c",
        {"<fact>": '"quoted"'},
        [Section("<s>", table=[["<th>"], ["<td>"]], text=["<p>"])],
    )
    page = Page(path.read_text())
    assert page.open == [] and page.rows == [["<fact>", '"quoted"'], ["<th>"], ["<td>"]]
    assert page.addresses == []
