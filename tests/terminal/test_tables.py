from __future__ import annotations

import pytest

from pmd.terminal import tables


def test_a_page_has_lines_and_tables_as_they_are() -> None:
    page = tables.Page(24)
    page.write("a line that is broken at the width")
    page.write("a line that is longer, and stays whole", wrap=False)
    made = tables.table(
        ["name", "pairs", "says"],
        [["[b]a[/b]", "12", ":cat:"], ["b", "1,234", "x" * 12]],
        right=[1],
        title="Title",
        whole=[0],
    )
    page.write(made)
    page.write(":cat: [i]")
    assert page.text().splitlines() == [
        "a line that is broken at",
        "the width",
        "a line that is longer, and stays whole",
        "Title",
        "name      pairs  says",
        "[b]a[/b]     12  :cat:",
        "b         1,234  xxxxxxx",
        "                 xxxxx",
        ":cat: [i]",
    ]


MADE = tables.table(
    ["source", "pairs upstream", "what to do"],
    [
        ["coco", "616,767", ""],
        ["localized_narratives__ADE20k", "22,529", "image archive ADEChallengeData2016.zip (967 MB)"],
    ],
    right=[1],
    title="Title",
    whole=[0],
)


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_no_line_is_longer_than_the_page_and_no_word_is_lost(width: int) -> None:
    page = tables.Page(width)
    page.write(MADE)
    said = page.text()
    assert max(map(len, said.splitlines())) <= width
    assert "".join(said.split()).count("localized_narratives__ADE20k") == 1
    assert "616,767" in said


def test_a_table_that_finds_no_room_stands_as_lists() -> None:
    page = tables.Page(40)
    page.write(MADE)
    assert page.text().splitlines() == [
        "Title",
        "coco",
        "  pairs upstream: 616,767",
        "localized_narratives__ADE20k",
        "  pairs upstream: 22,529",
        "  what to do: image archive",
        "    ADEChallengeData2016.zip (967 MB)",
    ]


def test_headings_stand_out_on_a_terminal_unless_no_colour_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    for environment, styled, is_plain in (
        ({"TERM": "xterm"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, True),
        ({"TERM": "dumb"}, True, True),
        ({"TERM": "xterm"}, False, True),
    ):
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        page = tables.Page(120, styled=styled)
        page.write(MADE)
        assert ("\x1b" not in page.text()) == is_plain
