"""The report's style sheet: light or dark by the reader's setting, light on paper; no fonts from elsewhere."""

from __future__ import annotations

from typing import Final

#: The colours of Table 2's rows, in the paper's order, then that of sources without a row.
ROW_COLOURS: Final = (
    "#8a8f2b",
    "#9c755f",
    "#c47d1c",
    "#5b9650",
    "#b07aa1",
    "#4a9591",
    "#d4605c",
    "#8c86c9",
    "#2f6db0",
    "#8b8b85",
)

_LIGHT: Final = """
  --paper: #fbfaf7; --card: #ffffff; --ink: #1d2327; --soft: #5a6570; --line: #e2e0d9; --grid: #ebe9e3;
  --before: #87929c; --after: #1f5f8b; --a: #0b7a75; --b: #b8641b; --warn: #8a4b00; --warn-paper: #fff4e0;
  --track: #e9e7e1; --gone: #d9d5cb; --fill-1: .18; --fill-2: .36; --fill-3: .56; --fill-4: .78;
"""

_DARK: Final = """
  --paper: #14181b; --card: #1b2024; --ink: #e8e6e1; --soft: #a3adb5; --line: #2f363c; --grid: #272e33;
  --before: #6f7b85; --after: #6fb4e0; --a: #4fc0b5; --b: #e79a55; --warn: #f0bd73; --warn-paper: #2c2416;
  --track: #2b3237; --gone: #3a4147; --fill-1: .38; --fill-2: .52; --fill-3: .66; --fill-4: .82;
"""

CSS: Final = (
    ":root { color-scheme: light dark;"
    + _LIGHT
    + "}\n@media (prefers-color-scheme: dark) { :root {"
    + _DARK
    + "} }\n"
    + """
* { box-sizing: border-box; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 40px 28px 80px; }
h1 { font-size: 34px; line-height: 1.15; letter-spacing: -.015em; margin: 0 0 6px; }
h2 { font-size: 23px; letter-spacing: -.01em; margin: 56px 0 4px; }
h3 { font-size: 16px; margin: 26px 0 6px; } h4 { font-size: 14.5px; margin: 22px 0 4px; }
p { margin: 6px 0 12px; max-width: 76ch; }
.soft, figcaption, .coverage { color: var(--soft); }
.lead { font-size: 17px; max-width: 80ch; }
.reading { font-size: 17px; font-weight: 500; margin-top: 4px; }
.coverage { font-size: 13.5px; margin: 4px 0 10px; max-width: 110ch; }
nav { margin: 18px 0 0; font-size: 14.5px; } nav dl { display: grid; grid-template-columns: max-content 1fr;
  gap: 3px 16px; margin: 0; } nav dt { color: var(--soft); } nav dd { margin: 0; display: flex; flex-wrap: wrap; gap: 2px 16px; }
.group { margin: 0; } .group-name { margin: 60px 0 0; padding-top: 14px; border-top: 2px solid var(--ink); max-width: none;
  color: var(--soft); font-size: 13px; font-weight: 600; letter-spacing: .06em; text-transform: uppercase; }
.group-name + section h2 { margin-top: 8px; }
.never { font-size: 14px; border-left: 3px solid var(--line); padding: 2px 0 2px 12px; margin: 10px 0 0; max-width: 90ch; }
blockquote { margin: 10px 0 18px; padding: 0 0 0 16px; border-left: 3px solid var(--after); font-size: 19px;
  line-height: 1.45; max-width: 64ch; }
mark { background: none; color: inherit; font-weight: 600; text-decoration: underline 2px var(--after);
  text-underline-offset: 3px; }
.claims { display: grid; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); gap: 12px; margin: 14px 0; }
.claim { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px 12px; }
.claim h3 { margin: 0 0 2px; font-size: 17px; } .claim p { margin: 6px 0 0; font-size: 14.5px; }
.verdict { display: inline-block; font-size: 12.5px !important; font-weight: 600; padding: 1px 8px; border-radius: 20px;
  border: 1.5px solid currentcolor; }
.verdict.partly { color: var(--after); } .verdict.not { color: var(--warn); } .verdict.measured { color: var(--a); }
.figure { font-size: 17px !important; font-weight: 500; }
caption { text-align: left; color: var(--soft); font-size: 13px; padding-bottom: 4px; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; text-align: inherit; }
th button:hover { color: var(--ink); } th button::after { content: "\\00a0↕"; content: "\\00a0↕" / ""; opacity: .45; }
th[aria-sort=ascending] button::after { content: "\\00a0↑"; content: "\\00a0↑" / ""; opacity: 1; }
th[aria-sort=descending] button::after { content: "\\00a0↓"; content: "\\00a0↓" / ""; opacity: 1; }
a.csv { float: right; font-size: 12.5px; margin: -8px 0 6px 12px; }
.csv + * { clear: right; } .csv + h3, .csv + h4 { padding-top: 18px; } details + .reading { margin-top: 22px; }
:focus-visible { outline: 2px solid var(--after); outline-offset: 2px; border-radius: 3px; }
a { color: var(--after); text-decoration-thickness: 1px; text-underline-offset: 2px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: 12px; margin: 26px 0 8px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px 12px; }
.tile b { display: block; font-size: 27px; line-height: 1.2; letter-spacing: -.01em;
  font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13.5px; line-height: 1.35; display: block; }
figure { margin: 14px 0 18px; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 16px 22px 14px 18px; break-inside: avoid; }
figure > svg { display: block; width: 100%; height: auto; }
.plot ul { list-style: none; margin: 0; padding: 0; max-width: none; }
.row { position: relative; display: grid; grid-template-columns: 236px minmax(0, 1fr) 150px; column-gap: 16px;
  align-items: center; margin: 0; border-radius: 4px; font-size: 13px; }
.row > .label { text-align: right; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; grid-column: 1; }
.row > .value { color: var(--soft); font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
.row > .tip { display: none; position: absolute; z-index: 2; right: 0; top: 100%; max-width: min(100%, 70ch);
  background: var(--ink); color: var(--paper); padding: 6px 10px; border-radius: 6px; line-height: 1.35; }
.row.heading { display: block; color: var(--soft); padding: 8px 0 2px; }
.row:focus { outline: none; } .row:focus-visible { outline: 2px solid var(--after); outline-offset: 1px; }
.row:focus-visible > .tip { display: block; }
.stack { grid-template-columns: 96px minmax(0, 1fr) 170px; } .stack > .falls { grid-column: 2; }
.stack > svg.free { grid-column: 2; } .stack > .value { grid-column: 3; }
svg.free, .falls { display: block; width: 100%; overflow: visible; } .falls { height: 14px; }
.fall { opacity: .35; } .beyond { fill: var(--soft); font-size: 11px; text-anchor: start; } .below { text-anchor: end; }
.columns { padding-left: 46px; } .columns svg { height: 246px; }
figcaption { font-size: 13.5px; margin-bottom: 10px; display: flex; flex-wrap: wrap; gap: 3px 16px;
  align-items: center; }
.key { display: inline-flex; align-items: center; gap: 6px; }
.key i { width: 12px; height: 12px; border-radius: 2px; display: inline-block; background: var(--before); }
.key i.after { background: var(--after); } .key i.gone { background: var(--gone); }
.key i.line { border-radius: 0; width: 2px; height: 15px; background: var(--ink); }
.key i.a { background: var(--a); border-radius: 50%; } .key i.b { background: var(--b); }
.key i.hollow { background: none; border: 2px solid var(--soft); border-radius: 50%; }
.key i.filled { background: var(--soft); border-radius: 50%; }
.key i.even { background: none; height: 0; border-radius: 0; border-top: 1.5px dashed var(--soft); }
.small { display: grid; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); gap: 14px; margin: 14px 0; }
.small figure { margin: 0; padding: 12px 14px; }
.small h3 { margin: 0 0 2px; font-size: 14.5px; } .small p { font-size: 13.5px; margin: 4px 0 0; }
svg text { fill: var(--ink); font-size: 13px; dominant-baseline: central; font-variant-numeric: tabular-nums; }
svg .tick { fill: var(--soft); font-size: 11.5px; } svg .value { fill: var(--soft); font-size: 12.5px; }
svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
.grid { stroke: var(--grid); fill: none; } .track { fill: var(--track); } .over { stroke: var(--ink);
  stroke-width: 2; }
.bar.before { fill: var(--before); } .bar.after { fill: var(--after); }
.reference { stroke: var(--ink); stroke-width: 2; fill: none; }
.mark { stroke-width: 1.8; stroke: var(--after); fill: var(--after); } .interval { stroke-width: 2;
  stroke: var(--after); fill: none; }
.mark.before { fill: var(--card); stroke: var(--soft); } .interval.before { stroke: var(--before); }
.mark.a { stroke: var(--a); } .mark.after.a { fill: var(--a); } .interval.a { stroke: var(--a); }
.mark.b { stroke: var(--b); } .mark.after.b { fill: var(--b); } .interval.b { stroke: var(--b); }
.interval.before { opacity: .45; } .faint { opacity: .38; } .faint .interval { stroke-dasharray: 3 3; }
.segment { stroke: var(--card); stroke-width: .75; } .segment.gone { fill: var(--gone); }
.land { fill: var(--track); stroke: var(--card); stroke-width: .6; }
.land[class*="fill-"] { fill: var(--after); } .key i[class*="fill-"] { background: var(--after); }
.land.fill-1 { fill-opacity: var(--fill-1); } .land.fill-2 { fill-opacity: var(--fill-2); }
.land.fill-3 { fill-opacity: var(--fill-3); } .land.fill-4 { fill-opacity: var(--fill-4); }
.key i.fill-1 { opacity: var(--fill-1); } .key i.fill-2 { opacity: var(--fill-2); } .key i.fill-3 { opacity: var(--fill-3); }
.key i.fill-4 { opacity: var(--fill-4); } .key i.nothing { background: var(--track); }
.even { stroke: var(--soft); fill: none; stroke-dasharray: 4 4; } .curve { fill: none; stroke-width: 2.2;
  stroke: var(--after); }
.curve.before { stroke: var(--before); stroke-width: 4; }
.table { overflow-x: auto; margin: 12px 0; }
table { border-collapse: collapse; font-size: 14px; width: 100%; font-variant-numeric: tabular-nums; }
.keys { display: flex; flex-wrap: wrap; gap: 3px 16px; font-size: 13.5px; color: var(--soft); }
th { text-align: right; white-space: normal; font-weight: 600; color: var(--soft); font-size: 12.5px; line-height: 1.3;
  vertical-align: bottom; }
th, td { padding: 6px 8px; border-bottom: 1px solid var(--line); text-align: right; }
td { white-space: nowrap; vertical-align: baseline; }
tbody th { vertical-align: baseline; color: inherit; font-weight: inherit; font-size: inherit; white-space: nowrap; }
tbody th.wide { white-space: normal; }
th:first-child, td:first-child, td.words, th.words { text-align: left; } td.wide { min-width: 240px; white-space: normal;
  text-align: left; }
tr.total td, tr.total th { font-weight: 600; border-top: 2px solid var(--line); }
td small { color: var(--soft); font-size: 12px; } .stacked td small { display: block; line-height: 1.2; }
.few, .few small { color: var(--warn); }
.meter { width: 90px; height: 13px; vertical-align: -2px; margin-right: 8px; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 8px; }
.notice { background: var(--warn-paper); border-left: 3px solid var(--warn); padding: 10px 16px;
  border-radius: 0 8px 8px 0; }
.notice code, code { font: 13.5px ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
details { border: 1px solid var(--line); border-radius: 10px; background: var(--card); padding: 0 16px; margin: 8px 0; }
summary { cursor: pointer; padding: 10px 0; font-weight: 500; } details[open] { padding-bottom: 12px; }
ul { padding-left: 20px; max-width: 84ch; } li { margin: 5px 0; }
.hash { color: var(--soft); font: 12px ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
  overflow-wrap: anywhere; white-space: normal; }
@media (max-width: 640px) { main { padding: 24px 14px 60px; } h1 { font-size: 27px; } h2 { margin-top: 40px; }
  figure { padding: 12px 16px 10px 12px; } .odd { display: none; } nav dl { display: block; } nav dd { margin-bottom: 8px; }
  nav a { padding: 3px 0; }
  .row, .stack { grid-template-columns: minmax(0, 1fr) auto; padding-bottom: 5px; } .row.axis { padding: 0; }
  .row > .label { text-align: left; grid-area: 1 / 1; } .row > .value { grid-area: 1 / 2; }
  .row > svg.free { grid-area: 2 / 1 / 3 / 3; } .row > .label:empty { display: none; }
  .row.axis > .value { display: none; }
  caption { max-width: calc(100vw - 64px); }
  .stack > .falls { grid-area: 1 / 1 / 2 / 3; } .stack > svg.free { grid-area: 2 / 1 / 3 / 3; }
  .stack > .label { grid-area: 3 / 1; } .stack > .value { grid-area: 3 / 2; } .stack { padding: 0; }
  .columns { padding-left: 36px; } .claims { grid-template-columns: 1fr; }
  .table tbody th, .table td:first-child { white-space: normal; min-width: 92px; position: sticky; left: 0;
  background: var(--paper); border-bottom: 0; box-shadow: inset 0 -1px var(--line); }
  details .table tbody th, details .table td:first-child { background: var(--card); } }
@page { margin: 14mm 12mm 16mm; @bottom-right { content: counter(page) " of " counter(pages);
  font: 8pt system-ui, sans-serif; color: #5a6570; } }
@media print { :root { color-scheme: light;"""
    + _LIGHT
    + """ --paper: #fff; } body { font-size: 10pt; line-height: 1.45; } main { max-width: none; padding: 0; }
  nav, a.csv, .tip { display: none; } h1 { font-size: 20pt; } h2 { font-size: 14pt; margin-top: 26px; }
  h3 { font-size: 10.5pt; margin-top: 14px; } h4 { font-size: 9pt; margin-top: 12px; }
  .group-name { margin-top: 30px; font-size: 8.5pt; padding-top: 8px; }
  p { max-width: none; margin: 4px 0 8px; } .lead, .reading { font-size: 10.5pt; } .coverage, caption { font-size: 8pt; }
  .never { font-size: 9pt; max-width: none; } blockquote { font-size: 12pt; } figcaption, .keys { font-size: 8.5pt; }
  figure { padding: 10px 14px 8px 12px; margin: 8px 0 12px; } .row { font-size: 8.5pt; } svg .tick { font-size: 8pt; }
  .small { gap: 8px; } details { margin: 6px 0; } summary { padding: 6px 0; } .table { margin: 6px 0; }
  h2, h3, h4, .group-name, summary, caption, h2 + p, h3 + p, h4 + p { break-after: avoid; }
  .reading, .coverage { break-after: avoid; } p, blockquote { break-inside: avoid; orphans: 3; }
  .never { break-before: avoid; }
  .claims { grid-template-columns: repeat(2, 1fr); } .claim { padding: 8px 10px; } .claim h3 { font-size: 11pt; }
  .claim p { font-size: 9pt; } .claim .figure { font-size: 10pt !important; } .verdict { font-size: 8pt !important; }
  .tiles { grid-template-columns: repeat(5, 1fr); }
  .tile { padding: 8px 10px; } .tile b { font-size: 17pt; } .tile span { font-size: 8.5pt; }
  figure, .short, tr, thead, .tile, .claim, .row { break-inside: avoid; }
  .plot li.row > svg.free { height: 22px; } .plot li.stack > svg.free { height: 24px; }
  table { font-size: 8pt; } th { font-size: 7.5pt; } td small { font-size: 7.5pt; white-space: nowrap; }
  .stacked td small { white-space: normal; }
  /* A head is repeated on each sheet, which a button in it is not. */
  th button { display: contents; } th button::after { content: none; }
  .meter { width: 40px; margin-right: 4px; }
  tbody tr:last-child { break-before: avoid; }
  /* What is folded is printed, also where no script opens it. */
  details::details-content { content-visibility: visible; display: block; height: auto; }
  .table { overflow: visible; } th, td { padding: 2px 5px; } tbody th, .wide, td.words { white-space: normal; }
  td.wide { min-width: 0; } }
"""
    + "".join(
        f".row-{number}, .key i.row-{number} {{ fill: {colour}; background: {colour}; }}\n"
        for number, colour in enumerate(ROW_COLOURS)
    )
)
