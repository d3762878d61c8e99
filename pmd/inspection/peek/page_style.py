"""The page's style and its one script. Both are inline, and named by their digests in the page's security policy."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from pmd import flow

#: What is left of the pairs, on a light page and on a dark one; the stages' hues stand in their rows of the flow.
_LEFT: Final = ("#009e73", "#1fb98c")
_HUES: Final = {"left": _LEFT} | {stage.name: stage.hues for stage in flow.JUDGING if stage.hues is not None}


def _of_stages() -> str:
    """Return the part of the style that the stages bring: their hues, and what is drawn in them."""
    light, dark = (" ".join(f"--{name}: {hues[page]};" for name, hues in _HUES.items()) for page in (0, 1))
    drawn = (
        f".f-{name} {{ fill: var(--{name}); }} .swatch.{name} {{ background: var(--{name}); }}\n" for name in _HUES
    )
    return f"""
:root {{ {light} }}
@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}
{"".join(drawn)}"""


_OF_THE_PAGE: Final = """
:root {
  color-scheme: light dark;
  --page: #f5f5f1; --card: #ffffff; --sunk: #ecece6; --line: #dcdcd3; --ink: #1b1d22; --soft: #5a5e68;
  --accent: #0b6b5f; --accent-ink: #ffffff; --tint: #e2f0ed; --warn: #a03c12; --warn-tint: #fbeae1;
  --shadow: 0 1px 2px rgb(20 20 30 / .06), 0 4px 14px rgb(20 20 30 / .05);
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #131519; --card: #1c1f25; --sunk: #15171c; --line: #30343d; --ink: #e9eaee; --soft: #a3a8b4;
    --accent: #5fd3bf; --accent-ink: #0c1513; --tint: #16312d; --warn: #ffa77e; --warn-tint: #38221a;
    --shadow: none;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 4rem; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
}
main, .bar > *, header > * , footer > * { max-width: 88rem; margin-inline: auto; }
header, main, footer { padding: 0 clamp(.9rem, 3vw, 2.5rem); }
header { padding-top: 2.2rem; }
h1 { font-size: clamp(1.6rem, 4vw, 2.3rem); line-height: 1.15; letter-spacing: -.02em; margin: 0 auto .4rem; }
h1 code { font: inherit; color: var(--accent); overflow-wrap: anywhere; }
h2 { font-size: 1.45rem; letter-spacing: -.01em; margin: 2.6rem 0 .3rem; }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .7rem; display: flex; align-items: center; gap: .55rem; }
h3 small { font-weight: 400; color: var(--soft); font-size: .88rem; }
p { margin: 0 0 .8rem; }
.lead { color: var(--soft); max-width: 62rem; margin-inline: 0; }
header .lead { margin-inline: auto; max-width: 88rem; }
a { color: var(--accent); text-underline-offset: .15em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
code, pre { font-family: var(--mono); font-size: .9em; }
.totals { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .7rem;
  margin: 1.2rem auto; padding: 0; }
.totals div { background: var(--card); border: 1px solid var(--line); border-radius: .7rem;
  padding: .65rem .9rem; box-shadow: var(--shadow); }
.totals dt { color: var(--soft); font-size: .84rem; }
.totals dd { margin: 0; font-size: 1.5rem; font-weight: 650; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.panel { background: var(--card); border: 1px solid var(--line); border-radius: .8rem; box-shadow: var(--shadow); }
.scroll { overflow-x: auto; position: relative; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
.about { padding: .8rem 1rem .2rem; margin: 0; color: var(--soft); font-size: .9rem; }
th, td { padding: .34rem .7rem; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 1rem; }
th:last-child, td:last-child { padding-right: 1rem; }
thead th { color: var(--soft); font-weight: 600; font-size: .82rem; border-bottom: 1px solid var(--line); }
tbody th { font-weight: 600; }
tbody wbr { display: none; }
tbody tr:nth-child(even) { background: color-mix(in srgb, var(--sunk) 45%, transparent); }
tfoot th, tfoot td { border-top: 1px solid var(--line); font-weight: 650; }
td.nil { color: var(--soft); opacity: .6; }
th.share { text-align: left; }
td.share { width: 24%; min-width: 9rem; }
svg.share { display: block; width: 100%; height: .72rem; border-radius: .2rem; background: var(--sunk); }
.swatch { display: inline-block; width: .72em; height: .72em; border-radius: .18em; margin-right: .4em; }
.more { margin: 1.1rem auto; padding: .8rem 1rem; }
.more p { margin: 0 0 .4rem; }
.more pre { margin: 0; overflow-x: auto; line-height: 1.65; }
.more pre i { color: var(--soft); font-style: normal; }
.bar { position: sticky; top: 0; z-index: 5; background: color-mix(in srgb, var(--page) 92%, transparent);
  backdrop-filter: blur(6px); border-bottom: 1px solid var(--line);
  padding: .55rem clamp(.9rem, 3vw, 2.5rem); margin-top: 1.4rem; }
.chips { list-style: none; display: flex; flex-wrap: wrap; gap: .35rem; padding: 0; margin: 0; font-size: .85rem; }
.bar .chips { margin-inline: auto; }
.chips li, .chips button { border-radius: 99px; }
.chips li { border: 1px solid var(--line); background: var(--card); padding: .12rem .62rem; }
.chips li:has(button) { padding: 0; border: 0; background: none; }
.chips button { font: inherit; color: inherit; background: var(--card);
  border: 1px solid var(--line); padding: .12rem .62rem; cursor: pointer; }
.chips button:hover { border-color: var(--accent); }
.chips button[aria-pressed=true] { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); }
.chips small { opacity: .72; font-variant-numeric: tabular-nums; margin-left: .3em; font-size: .92em; }
.reasons { margin: .9rem 0 0; }
.status { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19.5rem), 1fr)); gap: 1.1rem; margin-top: 1rem; }
.card { display: flex; flex-direction: column; overflow: hidden; min-width: 0; }
.card[hidden], section[hidden] { display: none; }
.look { margin: 0; }
.view { height: 15rem; background: var(--sunk); display: grid; grid-template: minmax(0, 1fr) / minmax(0, 1fr);
  border-bottom: 1px solid var(--line); }
.view img { width: 100%; height: 100%; object-fit: contain; display: block; }
.view:has(.none) { height: 6rem; }
.view .none { align-self: center; justify-self: center; }
.none { color: var(--soft); font-size: .9rem; text-align: center; overflow-wrap: anywhere;
  border: 1px dashed var(--line); border-radius: .6rem; padding: .5rem .9rem; margin: 1rem; }
.from { display: flex; gap: .8rem; align-items: center; font-size: .84rem; color: var(--soft);
  padding: .6rem .9rem; border-bottom: 1px solid var(--line); }
.from img { max-width: 7.5rem; max-height: 6rem; width: auto; height: auto; border-radius: .25rem; display: block; flex: none; }
.body { padding: .75rem .95rem .9rem; display: flex; flex-direction: column; gap: .55rem; flex: 1; min-width: 0; }
.tags { display: flex; flex-wrap: wrap; gap: .4rem; align-items: center; font-size: .8rem; }
.tag { border-radius: .35rem; padding: .08rem .5rem; font-weight: 600; overflow-wrap: anywhere;
  background: var(--tint); color: var(--accent); }
.tag.why { background: var(--warn-tint); color: var(--warn); font-family: var(--mono); }
.tag.plain { background: var(--sunk); color: var(--soft); font-weight: 500; }
.caption { font-size: 1.04rem; line-height: 1.42; margin: 0; max-height: 11.4em; overflow: auto; overflow-wrap: anywhere; }
.caption.quiet { font-size: .95rem; color: var(--soft); }
.meaning { margin: 0; font-size: .92rem; }
details { font-size: .88rem; }
summary { cursor: pointer; color: var(--accent); width: fit-content; }
details ul { margin: .4rem 0 0; padding: 0; list-style: none; max-height: 16rem; overflow: auto; }
details li { padding: .35rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
details li div { color: var(--soft); font-size: .8rem; }
.facts { font-size: .8rem; line-height: 1.4; display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .16rem .7rem;
  margin: auto 0 0; padding-top: .6rem; border-top: 1px solid var(--line); }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
.clamp { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.id { cursor: copy; border-radius: .2rem; background: var(--sunk); padding: 0 .25em; user-select: all; overflow-wrap: anywhere; }
.id .rest { font-size: 0; }
.id .head::after { content: "…"; }
.id:focus .rest { font-size: inherit; }
.id:focus .head::after { content: ""; }
.id.copied { background: var(--tint); color: var(--accent); }
.empty { padding: 1.4rem; color: var(--soft); }
footer { color: var(--soft); font-size: .86rem; padding-block: 2.2rem 3rem; }
@media (max-width: 68rem) {
  th, td { padding-inline: .4rem; }
  td.share { width: auto; min-width: 6rem; }
}
@media (max-width: 40rem) {
  .grid { gap: .8rem; }
  tbody wbr { display: inline; }
  tbody th { white-space: normal; overflow-wrap: anywhere; min-width: 9rem; font-size: .85rem; }
  .bar { position: static; }
}
@media print { .bar, .more { display: none; } .card { break-inside: avoid; } }
"""
STYLE: Final = _of_stages() + _OF_THE_PAGE

#: Turns the lists of sources and reasons into switches, and lets an id be copied with one click. Nothing hangs on it.
SCRIPT: Final = """
(() => {
  const cards = [...document.querySelectorAll("[data-source]")];
  const blocks = [...document.querySelectorAll("[data-block]")];
  const status = document.querySelector(".status");
  const chosen = { source: null, reason: null };
  const apply = () => {
    for (const card of cards) {
      const byReason = chosen.reason === null || !("reason" in card.dataset) || card.dataset.reason === chosen.reason;
      card.hidden = !(byReason && (chosen.source === null || card.dataset.source === chosen.source));
    }
    for (const block of blocks) {
      block.hidden = ![...block.querySelectorAll("[data-source]")].some((card) => !card.hidden);
    }
    const shown = cards.filter((card) => !card.hidden).length;
    status.textContent = `${shown} of ${cards.length} rows shown`;
    for (const button of document.querySelectorAll(".chips button")) {
      button.setAttribute("aria-pressed", String(chosen[button.dataset.by] === (button.dataset.value ?? null)));
    }
  };
  for (const item of document.querySelectorAll("[data-by]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.by = item.dataset.by;
    if ("value" in item.dataset) button.dataset.value = item.dataset.value;
    if (item.title) button.title = item.title;
    button.append(...item.childNodes);
    item.append(button);
    item.removeAttribute("title");
    button.addEventListener("click", () => {
      const value = button.dataset.value ?? null;
      chosen[button.dataset.by] = chosen[button.dataset.by] === value ? null : value;
      apply();
    });
  }
  const copy = async (id) => {
    try {
      await navigator.clipboard.writeText(id.title);
      id.classList.add("copied");
      status.textContent = "copied";
      setTimeout(() => id.classList.remove("copied"), 900);
    } catch {
      getSelection().selectAllChildren(id);
    }
  };
  for (const id of document.querySelectorAll(".id")) {
    id.addEventListener("click", () => copy(id));
    id.addEventListener("keydown", (event) => { if (event.key === "Enter") copy(id); });
  }
  apply();
})();
"""


def policy() -> str:
    """Return the content security policy: this style, this script, pictures that stand in the page, and nothing else."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(STYLE)}'; script-src '{_digest(SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}"
