"""The report's section on attributes that others have given to images or pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pmd.audit.figures.attributes import RATES
from pmd.audit.report import formatting, page, rates
from pmd.escape import html as escape


def section(result: Mapping[str, Any]) -> str:
    """Return the section; nothing where no file of attributes is named."""
    first, last = page.ends(result)
    if not result["all"][first]["attributes"]["values"]:
        return ""
    parts = []
    for source, stages in rates.populations(result):
        # Of several sources together no rate is told: their texts were sampled unlike.
        names = [name for name in RATES if any(row[name] is not None for row in stages[last]["attributes"]["values"])]
        before = {(row["attribute"], row["value"]): row["pairs"] for row in stages[first]["attributes"]["values"]}
        rows = [
            f'<tr><th scope="row">{escape(row["attribute"])}</th><td class="words">{escape(row["value"])}</td>'
            f"<td>{formatting.count(before.get((row['attribute'], row['value'])))}</td><td>{formatting.count(row['pairs'])}</td>"
            f"<td>{escape(formatting.percent(row['share']))}</td>"
            + "".join(f"<td>{escape(formatting.percent(row[name]))}</td>" for name in names)
            + "</tr>"
            for row in stages[last]["attributes"]["values"]
        ]
        if rows:
            head = ("<attribute", "<value", f"after {first}", f"after {last}", "share", *names)
            table = page.table(head, rows, label=f"{source}: values of attributes", stacked=True)
            parts.append(
                table if source == rates.ALL else f"<details><summary>{escape(source)}</summary>{table}</details>"
            )
    whose = (
        "What the data set's own columns say of licences and sizes"
        if "data_set" in result
        else "Values that files beside the build give to images or pairs"
    )
    return (
        f'<p class="reading">{escape(whose)}; rates are of English texts with a term of each list.</p>'
        + "".join(reversed(parts))
        + page.coverage(result, result["all"][last]["attributes"])
    )
