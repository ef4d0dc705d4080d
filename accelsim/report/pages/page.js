"use strict";
// A column's cells are numbers where they carry data-v, else text; what is not there stays last.
function key(row, column) {
  const cell = row.cells[column], text = cell.textContent.trim();
  return cell.dataset.v !== undefined ? Number(cell.dataset.v) : text === "—" || text === "" ? null : text;
}
function order(a, b) {
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
}
function sort(th) {
  const table = th.closest("table"), column = th.cellIndex, numbers = th.classList.contains("r");
  const down = th.ariaSort === "descending" || (!th.ariaSort && !numbers) ? 1 : -1;
  for (const other of th.parentNode.cells) other.ariaSort = null;
  th.ariaSort = down > 0 ? "ascending" : "descending";
  const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
  rows.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : down * order(a, b)));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}
const heads = [...document.querySelectorAll("table")].map((table) => [...(table.tHead ? table.tHead.rows[0].cells : [])]);
for (const th of heads.flat()) {
  th.tabIndex = 0;
  th.title = "sort by this column";
  th.addEventListener("click", () => sort(th));
  th.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(th); });
}
const tip = document.body.appendChild(Object.assign(document.createElement("div"), { id: "tip" }));
function show(event) {
  const mark = event.target.closest ? event.target.closest("[data-tip]") : null;
  tip.style.display = mark ? "block" : "none";
  if (!mark) return;
  tip.textContent = mark.dataset.tip;
  const box = mark.getBoundingClientRect(), x = event.clientX || box.left, y = event.clientY || box.bottom;
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 8)) + "px";
  tip.style.top = (y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 10 : y + 18) + "px";
}
for (const name of ["pointermove", "pointerdown", "focusin"]) document.addEventListener(name, show);
document.addEventListener("scroll", () => { tip.style.display = "none"; }, true);
// page.html#sort=1.4 sorts the second table by its fifth column, #colour=1 colours the network by its second figure.
for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
  const [table, column] = value.split(".").map(Number);
  if (name === "sort" && heads[table] && heads[table][column]) heads[table][column].click();
  const choice = name === "colour" ? document.querySelectorAll(".network input")[table] : null;
  if (choice) choice.checked = true;
}
