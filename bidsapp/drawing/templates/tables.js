"use strict";
// Tables that sort by a click on a heading and filter by words; without this script they stand as they are.
(() => {
  // Rows that show at once, in style.css as well: to lay out ten thousand takes a browser seconds.
  const most = 1000;
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
  const text = (row) => [...row.cells].map((cell) => cell.textContent.trim().toLowerCase()).join("\n");
  const button = (words, css, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = css;
    made.append(...words);
    made.addEventListener("click", act);
    return made;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const field = document.querySelector(`[data-filters="${table.id}"]`);
    const told = document.getElementById(`${table.id}-count`);
    const texts = new Map();
    let limit = most;
    // Rows that wait as text until one of them may be needed.
    let rest = document.getElementById(`${table.id}-rest`);
    const count = () => (rest ? Number(table.dataset.rows) : body.rows.length);
    const complete = () => {
      if (!rest) return;
      const parsed = document.createElement("template");
      parsed.innerHTML = rest.textContent;
      body.append(...parsed.content.querySelectorAll("tr"));
      rest.remove();
      rest = null;
    };
    const tell = (shown, found) => {
      const more = found > shown && found < count() ? `, ${found} fit` : "";
      if (told) told.textContent = `${shown} of ${count()} shown${more}`;
      all.hidden = found <= shown;
    };
    const show = () => {
      // Words are looked for as they stand, "false negative", and each by itself where no row has them so.
      const phrase = field ? field.value.trim().toLowerCase() : "";
      complete();
      const rows = [...body.rows];
      if (phrase && !texts.size) for (const row of rows) texts.set(row, text(row));
      const whole = !phrase || rows.some((row) => texts.get(row).includes(phrase));
      const parts = whole ? [phrase] : phrase.split(/\s+/);
      let found = 0;
      for (const row of rows) {
        const fits = !phrase || parts.every((part) => texts.get(row).includes(part));
        found += fits ? 1 : 0;
        row.hidden = !fits || found > limit;
      }
      table.classList.add("whole");
      tell(Math.min(found, limit), found);
    };
    const all = button(["Show all"], "more", () => {
      limit = Infinity;
      show();
    });
    window.addEventListener("beforeprint", complete);
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.append(
        button(head.childNodes, "sort", () => {
          complete();
          sort(table, column);
          if (body.rows.length > limit) show();
        }),
      );
    });
    if (field) {
      field.closest(".filter").append(all);
      field.closest(".filter").hidden = false;
      field.addEventListener("input", show);
      if (field.value) show();
      else tell(Math.min(count(), limit), count());
    } else if (count() > limit) {
      table.before(all);
    }
  }
})();
