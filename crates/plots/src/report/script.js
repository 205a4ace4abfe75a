"use strict";
// The page is complete without this script; it adds sorting, copying and the place in the table of contents.
(() => {
  const words = new Intl.Collator("en", { numeric: true });

  function compare(a, b) {
    if (a.missing || b.missing) return a.missing - b.missing;
    const bothNumbers = a.number !== null && b.number !== null;
    return bothNumbers ? a.number - b.number : words.compare(a.text, b.text);
  }

  function entry(row, index) {
    const cell = row.cells[index];
    const number = "sort" in cell.dataset ? Number(cell.dataset.sort) : null;
    return { row, number, text: cell.textContent, missing: cell.classList.contains("missing") };
  }

  function sort(table, header, rows) {
    const next = { none: "ascending", ascending: "descending", descending: "none" }[header.ariaSort ?? "none"];
    for (const other of table.tHead.rows[0].cells) other.ariaSort = other === header ? next : "none";
    let entries = rows.map((row) => entry(row, header.cellIndex));
    // Missing values stay last in both directions.
    const sign = next === "descending" ? -1 : 1;
    if (next !== "none") {
      entries = entries.sort((a, b) => (a.missing || b.missing ? compare(a, b) : sign * compare(a, b)));
    }
    table.tBodies[0].append(...entries.map((item) => item.row));
  }

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 2) continue;
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      header.ariaSort = "none";
      button.addEventListener("click", () => sort(table, header, rows));
    }
  }

  for (const code of document.querySelectorAll(".command code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(code);
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    code.after(button);
  }

  const links = new Map();
  for (const link of document.querySelectorAll("nav a")) links.set(link.hash.slice(1), link);
  const headings = [...document.querySelectorAll("main h2[id]")];
  function mark() {
    const passed = headings.filter((heading) => heading.getBoundingClientRect().top < innerHeight / 3);
    for (const link of links.values()) link.removeAttribute("aria-current");
    const current = passed.length > 0 ? links.get(passed[passed.length - 1].id) : undefined;
    current?.setAttribute("aria-current", "true");
  }
  addEventListener("scroll", () => requestAnimationFrame(mark), { passive: true });
  mark();
})();
