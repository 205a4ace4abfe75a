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

  // On narrow screens a row is a card of labelled cells.
  document.documentElement.classList.add("cards");
  function label(table) {
    const labels = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    for (const cell of table.tBodies[0].querySelectorAll("td")) cell.dataset.label = labels[cell.cellIndex] ?? "";
  }

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    label(table);
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

  // A table that is wider than its frame is set closer.
  function fit() {
    for (const frame of document.querySelectorAll(".table .scroll")) {
      frame.classList.remove("tight");
      if (frame.clientWidth > 0 && frame.scrollWidth > frame.clientWidth) frame.classList.add("tight");
    }
  }
  addEventListener("toggle", fit, { capture: true });
  addEventListener("resize", fit);
  for (const box of document.querySelectorAll(".show input")) box.addEventListener("change", fit);
  fit();

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

  // A link into a folded chapter opens it.
  function unfold() {
    const target = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
    for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    if (target) target.scrollIntoView();
  }
  addEventListener("hashchange", unfold);
  unfold();
  addEventListener("beforeprint", () => {
    for (const chapter of document.querySelectorAll("details.chapter")) chapter.open = true;
  });

  const links = new Map();
  for (const link of document.querySelectorAll("nav a")) links.set(link.hash.slice(1), link);
  const headings = [...document.querySelectorAll("main h2[id]")];
  let current = null;
  function mark() {
    const passed = headings.filter((heading) => heading.getBoundingClientRect().top < innerHeight / 3);
    const link = passed.length > 0 ? links.get(passed[passed.length - 1].id) : undefined;
    if (link === current) return;
    current?.removeAttribute("aria-current");
    current = link;
    link?.setAttribute("aria-current", "true");
    // Only the list of contents moves, not the page.
    const nav = link?.closest("nav");
    if (nav && nav.scrollHeight > nav.clientHeight) nav.scrollTop = link.offsetTop - nav.clientHeight / 2;
  }
  addEventListener("scroll", () => requestAnimationFrame(mark), { passive: true });
  mark();

  const data = document.getElementById("prompts-data");
  const browser = document.getElementById("browser");
  if (data && browser) {
    browser.addEventListener("toggle", () => browse(browser, JSON.parse(data.textContent)), { once: true });
  }

  function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function mean(values) {
    return values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : NaN;
  }

  // For every prompt the share of prompts that score lower.
  function percentiles(values) {
    const order = values.map((value, index) => [value, index]).sort((a, b) => a[0] - b[0]);
    const shares = new Array(values.length);
    order.forEach(([, index], rank) => { shares[index] = rank / Math.max(values.length - 1, 1); });
    return shares;
  }

  function browse(place, models) {
    const pictures = new Map();
    for (const figure of document.querySelectorAll("[data-prompt]")) {
      const list = pictures.get(figure.dataset.prompt) ?? [];
      list.push(figure);
      pictures.set(figure.dataset.prompt, list);
    }
    const choice = (label, entries) => {
      const select = element("select", {}, ...entries.map((text, i) => element("option", { value: i, textContent: text })));
      return [select, element("label", {}, `${label} `, select)];
    };
    const [model, modelLabel] = choice("Model", models.map((m) => m.model));
    const [n, nLabel] = choice("n", []);
    const [kind, kindLabel] = choice("Class", ["all", "memorized", "non-memorized"]);
    const search = element("input", { type: "search" });
    const bar = element("div", { className: "browse" }, modelLabel, nLabel, kindLabel, element("label", {}, "Find ", search));
    const table = element("table", { className: "browsed" });
    const frame = element("div", { className: "scroll", tabIndex: 0 }, table);
    frame.setAttribute("role", "region");
    frame.setAttribute("aria-label", "All prompts");
    const count = element("p", { className: "count" });
    count.setAttribute("role", "status");
    const more = element("button", { type: "button", className: "more", textContent: "Show 100 more" });
    place.append(bar, count, frame, more);

    let rows = [], columns = [], order = { column: -1, sign: -1 }, shown = 100;

    function load() {
      const chosen = models[model.value];
      const size = Number(n.options[n.selectedIndex]?.text);
      const used = chosen.detectors.map((detector, i) => [detector, i]).filter(([detector]) => detector.n === size);
      const scores = used.map(([, i]) => chosen.prompts.map((prompt) => mean(prompt.scores[i])));
      const ranks = scores.map(percentiles);
      rows = chosen.prompts.map((prompt, p) => {
        const own = ranks.map((rank) => rank[p]);
        return {
          prompt, used, detectors: chosen.detectors,
          cells: [prompt.prompt, prompt.class, prompt.set, prompt.weight ?? null, prompt.reproduction_rate ?? null,
            ...scores.map((score) => score[p]), own.length > 1 ? Math.max(...own) - Math.min(...own) : null],
        };
      });
      columns = ["Prompt", "Class", "Set", "Weight", "Reproduction rate", ...used.map(([detector]) => detector.name), "Disagreement"];
      const kept = columns.map((_, c) => c < 3 || rows.some((row) => row.cells[c] !== null));
      columns = columns.map((name, c) => ({ name, c })).filter(({ c }) => kept[c]);
      order = { column: -1, sign: -1 };
      shown = 100;
      draw();
    }

    function selected() {
      const words = search.value.toLowerCase();
      const wanted = ["", "memorized", "non-memorized"][kind.value];
      const found = rows.filter((row) => (!wanted || row.cells[1] === wanted) && row.cells[0].toLowerCase().includes(words));
      if (order.column < 0) return found;
      const key = (row) => row.cells[order.column];
      return found.sort((a, b) => {
        if (key(a) === null || key(b) === null) return (key(a) === null) - (key(b) === null);
        return order.sign * (typeof key(a) === "number" ? key(a) - key(b) : words_compare(key(a), key(b)));
      });
    }
    const words_compare = (a, b) => words.compare(a, b);

    function draw() {
      const found = selected();
      count.textContent = `${found.length} of ${rows.length} prompts`;
      const head = element("tr", {}, ...columns.map(({ name, c }) => {
        const button = element("button", { type: "button", textContent: name });
        button.addEventListener("click", () => {
          order = order.column === c ? { column: c, sign: -order.sign } : { column: c, sign: c < 3 ? 1 : -1 };
          draw();
        });
        const cell = element("th", { scope: "col", className: c > 2 ? "num" : "" }, button);
        cell.setAttribute("aria-sort", order.column !== c ? "none" : order.sign > 0 ? "ascending" : "descending");
        return cell;
      }));
      const body = found.slice(0, shown).map((row) => {
        const line = element("tr");
        for (const { c } of columns) {
          const value = row.cells[c];
          if (c === 0) {
            const open = element("button", { type: "button", className: "open", textContent: value });
            open.setAttribute("aria-expanded", "false");
            open.addEventListener("click", () => toggle(open, line, row));
            line.append(element("th", { scope: "row" }, open));
          } else {
            const text = value === null ? "–" : typeof value === "number" ? String(Number(value.toPrecision(3))) : value;
            line.append(element("td", { className: c > 2 ? "num" : "", textContent: text }));
          }
        }
        return line;
      });
      table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...body));
      more.hidden = found.length <= shown;
    }

    function toggle(button, line, row) {
      if (line.nextSibling?.classList.contains("inside")) {
        line.nextSibling.remove();
        button.setAttribute("aria-expanded", "false");
        return;
      }
      button.setAttribute("aria-expanded", "true");
      const scores = row.used.map(([detector, i]) => {
        const each = row.prompt.scores[i].map((score, s) => `seed ${detector.seeds[s]}: ${score}`);
        return element("li", { textContent: `${detector.name}: ${each.join("; ")}` });
      });
      const inner = element("td", { colSpan: columns.length, className: "inner" });
      for (const figure of pictures.get(row.prompt.prompt) ?? []) {
        const title = figure.closest(".sheet")?.querySelector("h3")?.textContent ?? "";
        inner.append(element("p", { textContent: title }), figure.querySelector("ul").cloneNode(true));
      }
      const list = element("details", { open: true }, element("summary", { textContent: "Scores by seed" }), element("ol", {}, ...scores));
      inner.append(list);
      line.after(element("tr", { className: "inside" }, inner));
    }

    function sizes() {
      const known = [...new Set(models[model.value].detectors.map((detector) => detector.n))].sort((a, b) => a - b);
      n.replaceChildren(...known.map((size, i) => element("option", { value: i, textContent: size })));
    }

    model.addEventListener("change", () => { sizes(); load(); });
    n.addEventListener("change", load);
    kind.addEventListener("change", () => { shown = 100; draw(); });
    search.addEventListener("input", () => { shown = 100; draw(); });
    more.addEventListener("click", () => { shown += 100; draw(); });
    sizes();
    load();
  }
})();
