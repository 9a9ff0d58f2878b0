"use strict";
// Tables that sort by a click on a heading and filter by words; without this script they stand as they are.
(() => {
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent.trim();
    const number = Number(text);
    return text !== "" && !Number.isNaN(number) ? number : text.toLowerCase();
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === "number") return -1;
    if (typeof b === "number") return 1;
    return a.localeCompare(b, undefined, { numeric: true });
  };
  const sort = (table, column) => {
    const heads = [...table.tHead.rows[0].cells];
    const down = heads[column].getAttribute("aria-sort") === "ascending";
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].map((row) => [value(row, column), row]);
    rows.sort((a, b) => (down ? compare(b[0], a[0]) : compare(a[0], b[0])));
    table.tBodies[0].append(...rows.map((pair) => pair[1]));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column));
      head.append(button);
    });
  }
  for (const field of document.querySelectorAll("[data-filters]")) {
    const table = document.getElementById(field.dataset.filters);
    const told = document.getElementById(field.dataset.filters + "-count");
    const rows = [...table.tBodies[0].rows];
    const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent.trim().toLowerCase()).join("\n"));
    const filter = () => {
      // Words are looked for as they stand, "false negative", and each by itself where no row has them so.
      const phrase = field.value.trim().toLowerCase();
      const parts = texts.some((text) => text.includes(phrase)) ? [phrase] : phrase.split(/\s+/);
      let shown = 0;
      rows.forEach((row, place) => {
        row.hidden = !parts.every((part) => texts[place].includes(part));
        shown += row.hidden ? 0 : 1;
      });
      told.textContent = `${shown} of ${rows.length} shown`;
    };
    field.closest(".filter").hidden = false;
    field.addEventListener("input", filter);
    filter();
  }
})();
