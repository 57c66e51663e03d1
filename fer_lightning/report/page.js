"use strict";

// What a cell is sorted by: its figure, or its text; a dash comes last either way.
function sortKey(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
  return cell.textContent === "-" ? null : cell.textContent;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sortBy(table, head) {
  const column = head.cellIndex;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => [sortKey(row, column), row]);
  const figures = rows.some(([key]) => typeof key === "number");
  const before = head.getAttribute("aria-sort");
  const first = figures ? "descending" : "ascending";
  const second = figures ? "ascending" : "descending";
  const order = before === first ? second : first;
  const sign = order === "ascending" ? 1 : -1;
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return sign * compare(a, b);
  });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  body.append(...rows.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (head) sortBy(table, head);
  });
}

const runs = document.getElementById("all-runs");
if (runs) {
  const words = document.getElementById("filter");
  const status = document.getElementById("status");
  const shown = document.getElementById("shown");
  const names = Array.from(runs.tHead.rows[0].cells, (cell) => cell.textContent);
  const rows = Array.from(runs.tBodies[0].rows, (row) => ({
    row,
    text: Array.from(row.cells, (cell) => cell.textContent).join(" ").toLowerCase(),
    status: row.cells[names.indexOf("Status")].textContent.split(" ")[0],
  }));

  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { row, text, status: is } of rows) {
      const fits = (!status.value || is === status.value) && wanted.every((w) => text.includes(w));
      row.hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} runs`;
  };

  words.addEventListener("input", filter);
  status.addEventListener("change", filter);
  words.form.addEventListener("submit", (event) => event.preventDefault());
  filter();
}
