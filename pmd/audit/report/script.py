"""The page's one script: it sorts tables, takes them along as CSV, and opens what is folded before the page is printed.

It also takes the tables that are shown whole out of the order of the keyboard's stops.

Nothing on the page needs it. It asks nobody for anything, which the page's policy also forbids: no address but the page's own
script and style, told by digest.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

SCRIPT: Final = """
(() => {
  'use strict';
  const sizes = {k: 1e3, M: 1e6, B: 1e9};
  const text = (cell) => cell ? cell.textContent.replace(/\\u00a0/g, ' ').trim() : '';
  const number = (said) => {
    const plain = said.replace(/,(?=\\d{3})/g, '').replace(/\\u2212/g, '-');
    const odds = plain.match(/^1 in ([\\d.]+)([kMB]?)/);
    if (odds) return 1 / (parseFloat(odds[1]) * (sizes[odds[2]] || 1));
    const found = plain.match(/^[<>+\\u2248\\u2265]?\\s*(-?\\d+(?:\\.\\d+)?)([kMB])?/);
    return found ? parseFloat(found[1]) * (sizes[found[2]] || 1) : null;
  };
  const compare = (one, other) => {
    const a = number(one), b = number(other);
    if (a !== null && b !== null && a !== b) return a - b;
    if ((a === null) !== (b === null)) return a === null ? 1 : -1;
    return one.localeCompare(other, 'en');
  };
  const csv = (table) => [...table.rows].map((row) => [...row.cells].map((cell) => {
    const parts = cell.querySelector('small') && cell.firstChild.nodeType === 3
      ? [cell.firstChild.textContent.trim(), text(cell.querySelector('small'))].join(' ') : text(cell);
    // Words of others, a caption or a host, are no formula to a spreadsheet; figures may have a sign.
    const safe = cell.matches('th, .words, .wide') && /^[=+\\-@\\uff1d\\uff0b\\uff0d\\uff20]/.test(parts) ? "'" + parts : parts;
    return /[",\\n]/.test(safe) ? '"' + safe.replace(/"/g, '""') + '"' : safe;
  }).join(',')).join('\\r\\n') + '\\r\\n';
  const named = (table) => {
    const frame = table.closest('section');
    const heading = frame && frame.querySelector('h2');
    return (heading ? heading.id : 'table') + '-' + ([...document.querySelectorAll('table')].indexOf(table) + 1) + '.csv';
  };
  for (const table of document.querySelectorAll('.table > table')) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    if (rows.length > 2 && rows.every((row) => [...row.cells].every((cell) => cell.colSpan === 1))) {
      [...table.tHead.rows[0].cells].forEach((head, place) => {
        if (!head.textContent.trim()) return;
        const button = document.createElement('button');
        button.type = 'button';
        button.append(...head.childNodes);
        head.append(button);
        button.addEventListener('click', () => {
          const up = head.getAttribute('aria-sort') === 'descending' || (!head.hasAttribute('aria-sort')
            && head.classList.contains('words'));
          for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
          head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
          const last = rows.filter((row) => row.classList.contains('total'));
          const some = rows.filter((row) => !row.classList.contains('total'));
          // Of figures, what is none stands last: a dash, "too few".
          const words = !rows.some((row) => number(text(row.cells[place])) !== null) || head.classList.contains('words');
          const none = (said) => said === '' || said === '\\u2013' || (!words && number(said) === null);
          some.sort((one, other) => {
            const a = text(one.cells[place]), b = text(other.cells[place]);
            if (none(a) || none(b)) return none(a) - none(b);
            return compare(a, b) * (up ? 1 : -1);
          });
          body.append(...some, ...last);
        });
      });
    }
    const link = document.createElement('a');
    link.className = 'csv';
    link.textContent = 'CSV';
    link.download = named(table);
    link.setAttribute('aria-label', 'This table as CSV: ' + link.download);
    link.href = 'data:text/csv;charset=utf-8,' + encodeURIComponent('\\ufeff' + csv(table));
    table.parentElement.after(link);
  }
  // A stop for the keyboard is only where there is something to scroll.
  const frames = [...document.querySelectorAll('.table')];
  const reach = () => {
    const wide = frames.filter((frame) => frame.scrollWidth > frame.clientWidth);
    for (const frame of frames) frame.removeAttribute('tabindex');
    for (const frame of wide) frame.tabIndex = 0;
  };
  reach();
  addEventListener('resize', reach);
  document.addEventListener('toggle', reach, true);
  let opened = [];
  addEventListener('beforeprint', () => {
    opened = [...document.querySelectorAll('details:not([open])')];
    for (const one of opened) one.open = true;
  });
  addEventListener('afterprint', () => { for (const one of opened) one.open = false; });
})();
"""

#: What the page may load and run: nothing but its own style, its script, and tables as files.
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
)
