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
    shorten(table);
  }

  // A long table shows its first rows until all are asked for.
  const ROWS = 40;
  const whole = new Set();
  function shorten(table) {
    [...table.tBodies[0].rows].forEach((row, at) => { row.hidden = at >= ROWS && !whole.has(table); });
  }
  function lengthen(table) {
    whole.add(table);
    shorten(table);
    table.closest(".table").querySelector(".more")?.remove();
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
    shorten(table);
    if (rows.length > ROWS) {
      const all = element("button", { type: "button", className: "more", textContent: `Show all ${rows.length} rows` });
      all.addEventListener("click", () => lengthen(table));
      table.closest(".scroll").after(all);
    }
    for (const header of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      header.ariaSort = "none";
      button.addEventListener("click", () => sort(table, header, rows));
    }
  }

  // A table that is wider than its frame is set closer, and closer still.
  function fit() {
    for (const frame of document.querySelectorAll(".table .scroll")) {
      frame.classList.remove("tight", "tighter");
      for (const closer of ["tight", "tighter"]) {
        if (frame.clientWidth > 0 && frame.scrollWidth > frame.clientWidth) frame.classList.add(closer);
      }
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
    if (target?.closest("tr[hidden]")) lengthen(target.closest("table"));
    if (target) target.scrollIntoView();
  }
  addEventListener("hashchange", unfold);
  unfold();
  addEventListener("beforeprint", () => {
    for (const chapter of document.querySelectorAll("details.chapter")) chapter.open = true;
    for (const table of document.querySelectorAll("table[data-sortable]")) lengthen(table);
  });

  // Beside the text the contents stand open; above it they would push it down.
  const contents = document.querySelector("nav details");
  const beside = matchMedia("(min-width: 70rem)");
  const place = () => { contents.open = beside.matches; };
  beside.addEventListener("change", place);
  place();

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
    let choose = null;
    const start = () => { choose ??= browse(browser, JSON.parse(data.textContent)); };
    browser.addEventListener("toggle", start, { once: true });
    // A link about a model's prompts shows these, those that detectors disagree on first.
    for (const link of document.querySelectorAll("a[data-model]")) {
      link.addEventListener("click", () => {
        browser.open = true;
        start();
        choose(link.dataset.model);
      });
    }
  }

  function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function mean(values) {
    return values.length > 0 ? values.reduce((sum, value) => sum + value, 0) / values.length : NaN;
  }

  // For every prompt the share of the other prompts that score lower.
  function percentiles(values) {
    const order = values.map((value, index) => [value, index]).sort((a, b) => a[0] - b[0]);
    const shares = new Array(values.length);
    let lower = 0;
    order.forEach(([value, index], at) => {
      if (at === 0 || value !== order[at - 1][0]) lower = at;
      shares[index] = lower / Math.max(values.length - 1, 1);
    });
    return shares;
  }

  function written(value, digits) {
    return String(Number(value.toPrecision(digits))).replaceAll("-", "\u2212");
  }

  // Fills the list of prompts; gives a function that shows the prompts of a model.
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
    frame.setAttribute("role", "group");
    frame.setAttribute("aria-label", "Table: the prompts");
    const count = element("p", { className: "count" });
    count.setAttribute("role", "status");
    const more = element("button", { type: "button", className: "more", textContent: "Show 100 more" });
    place.append(bar, count, frame, more);

    const DISAGREEMENT = "Disagreement";
    // The detectors that are shown with their mean scores and percentiles; columns have one value a prompt.
    let prompts = [], detectors = [], columns = [], order = { column: null, sign: -1 }, shown = 100;

    function load() {
      const chosen = models[model.value];
      const size = Number(n.options[n.selectedIndex]?.text);
      prompts = chosen.prompts;
      detectors = chosen.detectors.map((detector, at) => ({ ...detector, at })).filter((detector) => detector.n === size);
      for (const detector of detectors) {
        detector.means = prompts.map((prompt) => mean(prompt.scores[detector.at]));
        detector.shares = percentiles(detector.means);
      }
      const apart = (at) => {
        const shares = detectors.map((detector) => detector.shares[at]);
        return shares.length > 1 ? Math.max(...shares) - Math.min(...shares) : null;
      };
      const words = (name, of) => ({ name, isNumber: false, values: prompts.map(of) });
      const numbers = (name, values) => ({ name, isNumber: true, values });
      columns = [
        words("Prompt", (prompt) => prompt.prompt),
        numbers(DISAGREEMENT, prompts.map((_, at) => apart(at))),
        words("Class", (prompt) => prompt.class),
        words("Set", (prompt) => prompt.set),
        numbers("Weight", prompts.map((prompt) => prompt.weight ?? null)),
        numbers("Reproduction rate", prompts.map((prompt) => prompt.reproduction_rate ?? null)),
        ...detectors.map((detector) => numbers(detector.name, detector.means)),
      ].filter((column) => !column.isNumber || column.values.some((value) => value !== null));
      order = { column: null, sign: -1 };
      shown = 100;
      draw();
    }

    function selected() {
      const wanted = search.value.toLowerCase();
      const only = ["", "memorized", "non-memorized"][kind.value];
      const fits = (prompt) => (!only || prompt.class === only) && prompt.prompt.toLowerCase().includes(wanted);
      const found = prompts.map((_, at) => at).filter((at) => fits(prompts[at]));
      if (!order.column) return found;
      const { values, isNumber } = order.column;
      return found.sort((a, b) => {
        if (values[a] === null || values[b] === null) return (values[a] === null) - (values[b] === null);
        return order.sign * (isNumber ? values[a] - values[b] : words.compare(values[a], values[b]));
      });
    }

    function draw() {
      const found = selected();
      count.textContent = `${found.length} of ${prompts.length} prompts`;
      const head = element("tr", {}, ...columns.map((column) => {
        const button = element("button", { type: "button", textContent: column.name });
        const isOrder = order.column === column;
        button.addEventListener("click", () => {
          order = isOrder ? { column, sign: -order.sign } : { column, sign: column.isNumber ? -1 : 1 };
          draw();
        });
        const cell = element("th", { scope: "col", className: column.isNumber ? "num" : "" }, button);
        cell.setAttribute("aria-sort", !isOrder ? "none" : order.sign > 0 ? "ascending" : "descending");
        return cell;
      }));
      const body = found.slice(0, shown).map((at) => {
        const line = element("tr");
        const [first, ...others] = columns;
        const open = element("button", { type: "button", className: "open", textContent: first.values[at] });
        open.setAttribute("aria-expanded", "false");
        open.addEventListener("click", () => toggle(open, line, at));
        line.append(element("th", { scope: "row" }, open));
        for (const { values, isNumber } of others) {
          const text = values[at] === null ? "–" : isNumber ? written(values[at], 3) : values[at];
          line.append(element("td", { className: isNumber ? "num" : "", textContent: text }));
        }
        return line;
      });
      table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...body));
      more.hidden = found.length <= shown;
    }

    function toggle(button, line, at) {
      if (line.nextSibling?.classList.contains("inside")) {
        line.nextSibling.remove();
        button.setAttribute("aria-expanded", "false");
        return;
      }
      button.setAttribute("aria-expanded", "true");
      const prompt = prompts[at];
      const inner = element("div");
      for (const figure of pictures.get(prompt.prompt) ?? []) {
        const title = figure.closest(".sheet")?.querySelector("h3")?.textContent ?? "";
        inner.append(element("p", { textContent: title }), figure.querySelector("ul").cloneNode(true));
      }
      if (!pictures.has(prompt.prompt)) {
        inner.append(element("p", { className: "none", textContent: "This page has no picture of the prompt." }));
      }
      const scores = detectors.map((detector) => {
        const each = prompt.scores[detector.at].map((score, s) => `seed ${detector.seeds[s]}: ${written(score, 5)}`);
        const share = `above ${Math.round(100 * detector.shares[at])} % of the model’s prompts`;
        const name = element("strong", { textContent: detector.name });
        return element("li", {}, name, `: ${written(detector.means[at], 3)}, ${share} (${each.join("; ")})`);
      });
      const heading = element("summary", { textContent: "Scores: mean, rank among the prompts, and each seed" });
      inner.append(element("details", { open: true }, heading, element("ol", {}, ...scores)));
      const cell = element("td", { colSpan: columns.length, className: "inner" }, inner);
      line.after(element("tr", { className: "inside" }, cell));
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

    return (name) => {
      const at = models.findIndex((one) => one.model === name);
      if (at < 0) return;
      [model.value, kind.value, search.value] = [at, 0, ""];
      sizes();
      load();
      const column = columns.find((one) => one.name === DISAGREEMENT);
      order = { column: column ?? null, sign: -1 };
      draw();
    };
  }
})();
