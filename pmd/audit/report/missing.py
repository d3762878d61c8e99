"""The page's last sections: what no figure can say, all figures as files, and what the audit leans on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pmd.audit.figures import tables
from pmd.audit.report import formatting, page
from pmd.escape import html as escape

#: What a build cannot say, and any data set otherwise or not at all, having neither our stages nor our sources.
_REJECTED: Final = "What readers saw and curate rejected has no text here: it is counted, by reason, and not described."
_NAMES: Final = (
    "Conceptual Captions writes “person”, “actor” and the like where alt texts had names. These count as neutral, and as what "
    "its captions say. In Conceptual 12M <PERSON> stands for a name, and is no term."
)
_GEOTAGS: Final = (
    "Of PMD's sources YFCC100M alone carries geotags, and people who geotag differ from people who do not. A country is where "
    "the camera was said to be, not where the photographer is from; borders are those of time zones."
)
_USERS: Final = (
    "A user is an account name: one person may have several, and an account several people. RedCaps' authors and "
    "Flickr's users are different worlds and are not joined."
)
_HOSTS: Final = "A host is where the file lay when upstream listed it, not who made it."
_INTERVALS: Final = (
    "Intervals are for texts that were not read, or for another draw of such users, images, pages and hosts, as it says "
    "there. They do not cover errors of the identifier, the lists or upstream's fields."
)
_STEPS: Final = "A difference between two stages describes what left; it does not say that the stage was wrong, or why."

#: What no figure here can say, whatever its interval.
LIMITS: Final = (
    _REJECTED,
    "A caption is not a picture. Terms in a text say what someone wrote, not who is in the image; a picture of people "
    "may well have a caption without any gendered term.",
    "The word lists are English, made for another purpose, and nearly blind to context: “Ms” also stands for a state, “guys” "
    "counts as male and is often said of everyone, a lion may be female. First names are not listed at all, and no gender is "
    "taken from a name or a face. Texts in other languages are not looked at.",
    _NAMES,
    "The language identifier is weakest on the shortest texts; a list of place names has no language. "
    "What it does not recognise it cannot count.",
    "A text on many images is not boilerplate for that: “a red flower” may be true of all of them. Texts are shown as they "
    "are compared, and may name who wrote them.",
    _GEOTAGS,
    _USERS,
    _HOSTS,
    _INTERVALS,
    _STEPS,
)

#: Limit of a build → what it is of any data set; None where it is none.
_OF_DATA: Final = {
    _REJECTED: "A row that could not be read, or has no text, is counted, by reason, and not described.",
    _GEOTAGS: "People who geotag differ from people who do not. A country is where the camera was said to be, not where "
    "the photographer is from; borders are those of time zones.",
    _USERS: "A user is what the column of users says: one person may have several names, and several people one.",
    _HOSTS: "A host is where the file lay when the data set listed it, not who made it.",
    _INTERVALS: "Intervals are for texts that were not read, or for another draw of such users and images, as it says there. "
    "Where no user is named images alone are drawn: what the texts of one host or shop have in common is in no interval, and "
    "those are too narrow then. They do not cover errors of the identifier, the lists or the data set's columns.",
    _STEPS: None,
    _NAMES: None,
}


def limits(result: Mapping[str, Any]) -> str:
    """Return what the audit cannot tell."""
    said = [_OF_DATA.get(limit, limit) for limit in LIMITS] if "data_set" in result else LIMITS
    return "<ul>" + "".join(f"<li>{escape(limit)}</li>" for limit in said if limit is not None) + "</ul>"


def files(result: Mapping[str, Any]) -> str:
    """Return the tables that stand beside the page."""
    rows = [
        f'<tr><th scope="row">{escape(name)}</th><td>{formatting.count(table.num_rows)}</td>'
        f'<td class="wide">{escape(", ".join(table.schema.names))}</td>'
        f'<td class="words"><a href="{tables.FOLDER}/{name}.csv">CSV</a> '
        f'<a href="{tables.FOLDER}/{name}.parquet">Parquet</a></td></tr>'
        for name, table in tables.tables(result).items()
        if table.num_rows
    ]
    return (
        '<p class="reading">Every figure on this page, and many more, stands in files beside it.</p>'
        f"<p>The page is whole without them. They lie in the folder <code>{tables.FOLDER}</code> beside it, and "
        "<code>audit.json</code> has all of them in one. In Python, <code>pmd.load.audit(ROOT)</code> gives them as DataFrames. "
        "All tests of losses, findings or not, are the table “tests”.</p>"
        + page.table(("<table", "rows", "<columns", "<file"), rows, label="Tables beside the page", shown=True)
    )


def components(result: Mapping[str, Any]) -> str:
    """Return the components of the installation."""
    rows = []
    for part in result["components"]:
        data = part.get("data", "")
        if "absent" in part:
            data = f"absent: {part['absent']}"
        digests = "".join(
            f'<div class="hash">{escape(name)}: {formatting.count(part["terms"][name])} terms, '
            f"sha256 {escape(digest)}</div>"
            for name, digest in part.get("sha256", {}).items()
        )
        rows.append(
            f'<tr><th scope="row">{escape(part["name"])} {escape(part["version"] or "")}</th>'
            f'<td class="words">{escape(part["licence"])}</td><td class="wide">{escape(part["used_for"])}</td>'
            f'<td class="wide">{escape(data)}{digests}</td>'
            f'<td class="words">{escape(part.get("data_licence", ""))}</td></tr>'
        )
    head = ("<package", "<licence", "<used for", "<data in it", "<licence of the data")
    return "<p>Word lists, models and tables come from installed packages alone.</p>" + page.table(
        head, rows, label="What the audit leans on", shown=True
    )
