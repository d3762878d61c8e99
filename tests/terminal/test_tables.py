from __future__ import annotations

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
