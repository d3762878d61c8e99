"""The audit's page: audit.json as one HTML file that needs nothing else.

    sections     which sections there are, and the whole page
    page         what sections are made of: tables, charts with their keys, what stands behind a click
    charts       lines of HTML and SVG: bars, dots, curves, stacks
    formatting   how figures are written

Every other module is a section, or what several sections say alike. None of them counts anything: all they know is the content of
audit.json (`pmd.audit.figures.result`).
"""
