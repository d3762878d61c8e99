"""The report's section on personal data in texts: rates, and never the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pmd.audit.report import formatting, page, rates
from pmd.audit.texts.marks import OF_READ
from pmd.escape import html as escape


def section(result: Mapping[str, Any]) -> str:
    """Return the section."""
    _, last = page.ends(result)
    figures = result["all"][last]["personal_data"]
    told = ", ".join(f"{name} {formatting.share(figures[name])}" for name in OF_READ)
    reading = (
        f"Texts after {last} with one or more: {told}."
        if figures["coverage"]["measured"] and figures["url"]["enough"]
        else "Too few texts were looked at to speak of rates."
    )
    return (
        f'<p class="reading">{escape(reading)}</p>'
        + rates.chart(result, "personal_data", OF_READ, "Share of texts with personal data")
        + rates.table(result, "personal_data", OF_READ)
        + page.coverage(result, figures)
    )
