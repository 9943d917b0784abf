'use strict';
// The page reads well without this: it sorts and filters tables, draws the figures, changes the
// theme, and, while a sweep goes on, loads the page anew and keeps its place.

const all = (selector, from = document) => [...from.querySelectorAll(selector)];

// Storage may be forbidden; then nothing is remembered.
const memory = {
  key: 'perturb:' + location.pathname,
  read() { try { return JSON.parse(sessionStorage.getItem(this.key)) ?? {}; } catch { return {}; } },
  write(state) { try { sessionStorage.setItem(this.key, JSON.stringify(state)); } catch { /* see above */ } },
};

// ---- tables

/** What a cell is sorted by: its first number in a column of numbers, else its text. */
function sortKey(cell, numeric) {
  const text = cell?.textContent.trim() ?? '';
  if (!numeric) return text;
  const number = parseFloat(text.replace(/^[^\d.+\-]+/, '').replace(/,/g, ''));
  return Number.isNaN(number) ? null : number;
}

const fileOrder = new WeakMap();

/** 'none' puts the rows back as they came. */
function sortBy(table, column, direction) {
  const heads = all('thead th', table);
  const body = table.tBodies[0];
  if (!fileOrder.has(table)) fileOrder.set(table, [...body.rows]);
  const rows = [...fileOrder.get(table)];
  if (direction !== 'none') {
    const numeric = heads[column].classList.contains('n');
    const sign = direction === 'descending' ? -1 : 1;
    const keys = new Map(rows.map((row) => [row, sortKey(row.cells[column], numeric)]));
    rows.sort((x, y) => {
      const [a, b] = [keys.get(x), keys.get(y)];
      if (a === null || b === null) return (a === null) - (b === null); // what has no number is last
      return sign * (numeric ? a - b : a.localeCompare(b, undefined, { numeric: true }));
    });
  }
  body.append(...rows);
  table.classList.toggle('sorted', direction !== 'none'); // groups are together no longer
  heads.forEach((head, i) => head.setAttribute('aria-sort', i === column ? direction : 'none'));
}

function filter(table, input, said) {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...table.tBodies[0].rows];
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += !row.hidden;
  }
  said.textContent = words.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
}

function prepare(table) {
  all('thead th', table).forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute('aria-sort', 'none');
    button.addEventListener('click', () => {
      const next = { none: 'ascending', ascending: 'descending', descending: 'none' };
      sortBy(table, column, next[head.getAttribute('aria-sort')]);
    });
  });
  if (!table.hasAttribute('data-filter')) return;
  const line = document.createElement('div');
  line.className = 'filter';
  const label = document.createElement('label');
  label.textContent = 'Filter ';
  const input = document.createElement('input');
  input.type = 'search';
  input.placeholder = 'words that a row has';
  label.append(input);
  const said = document.createElement('span');
  said.className = 'faint';
  said.setAttribute('role', 'status');
  line.append(label, said);
  table.parentElement.before(line);
  input.addEventListener('input', () => filter(table, input, said));
  filter(table, input, said);
}

// ---- theme

const root = document.documentElement;
const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const dark = () => root.dataset.theme === 'dark' || (root.dataset.theme !== 'light' && prefersDark.matches);

// ---- figures

const json = (id) => JSON.parse(document.getElementById(id).textContent);
// Figures have their data with them: whatever else one names is not loaded.
const refuse = (uri) => Promise.reject(new Error('refused: ' + uri));
let drawing = 0;

/** One after the other, and between them the page answers. */
async function draw() {
  const turn = ++drawing;
  if (!window.vegaEmbed) return;
  const config = json('figure-config')[dark() ? 'dark' : 'light'];
  for (const place of all('.drawing[data-figure]')) {
    await new Promise((done) => setTimeout(done));
    if (turn !== drawing) return; // the theme has changed meanwhile
    const spec = json(place.dataset.figure);
    try {
      const drawn = await vegaEmbed(place, spec, {
        mode: 'vega-lite', ast: true, config, renderer: 'svg', loader: { load: refuse, sanitize: refuse },
        actions: { export: true, source: false, compiled: false, editor: false },
        downloadFileName: place.dataset.figure, tooltip: true,
      });
      place.querySelector('summary')?.setAttribute('aria-label', 'Save this figure as SVG or PNG');
      drawn.view.description(place.getAttribute('aria-label'));
      place.dataset.drawn = 'yes';
      place.closest('figure').classList.add('drawn');
    } catch (error) {
      place.closest('figure').classList.remove('drawn');
      place.textContent = 'This figure could not be drawn: ' + error.message;
    }
  }
}

// ---- a sweep that goes on

function remember() {
  memory.write({
    theme: root.dataset.theme,
    scroll: scrollY,
    open: all('details').map((details) => details.open),
    filters: all('.filter input').map((input) => input.value),
    sorts: all('table.data').map((table) => all('thead th', table).map((head) => head.getAttribute('aria-sort'))),
    inner: all('.wide').map((box) => [box.scrollLeft, box.scrollTop]),
  });
}

function recall() {
  const was = memory.read();
  if (was.theme) root.dataset.theme = was.theme;
  all('.filter input').forEach((input, i) => {
    if (!was.filters?.[i]) return;
    input.value = was.filters[i];
    input.dispatchEvent(new Event('input'));
  });
  all('table.data').forEach((table, i) => {
    const column = was.sorts?.[i]?.findIndex((sort) => sort !== 'none') ?? -1;
    if (column >= 0 && column < all('thead th', table).length) sortBy(table, column, was.sorts[i][column]);
  });
  all('details').forEach((details, i) => { if (was.open?.[i]) details.open = true; });
  all('.wide').forEach((box, i) => { if (was.inner?.[i]) [box.scrollLeft, box.scrollTop] = was.inner[i]; });
  return was.scroll ?? 0;
}

function reloadWhenQuiet() {
  const busy = document.activeElement?.tagName === 'INPUT' || String(getSelection()) !== '' || document.hidden;
  if (busy) return void setTimeout(reloadWhenQuiet, 1000);
  location.reload();
}

all('table.data').forEach(prepare);
const scroll = recall();
addEventListener('pagehide', remember);
document.getElementById('theme').addEventListener('click', () => {
  root.dataset.theme = dark() ? 'light' : 'dark';
  draw();
});
document.getElementById('theme').hidden = false;
prefersDark.addEventListener('change', draw);
draw().then(() => {
  if (root.dataset.refresh) scrollTo(0, scroll);
  performance.mark('drawn');
  root.dataset.ready = 'yes';
});
if (root.dataset.refresh) setTimeout(reloadWhenQuiet, 1000 * root.dataset.refresh);
