"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const number = (text) => (text === "" ? NaN : Number(String(text).replace("inf", "Infinity")));

  // Sliders: all elements of the two selected sources get the class of their side.
  function choose(section, side, source) {
    for (const element of all("[data-of]", section)) element.classList.toggle(side, element.dataset.of === source);
    select(section.querySelector(`select[data-side=${side}]`), source);
    describe(section);
  }

  // The reference keeps its own colour in the charts, and so does the key beside the list.
  function select(list, source) {
    list.value = source;
    list.parentElement.querySelector(".key").classList.toggle("ref", source === "reference");
  }

  function describe(section) {
    const range = section.querySelector("input[type=range]");
    const [left, right] = all("select[data-side]", section).map((list) => list.value);
    range.parentElement.style.setProperty("--at", `${range.value}%`);
    range.setAttribute("aria-valuetext", `${range.value} % ${left}, the rest ${right}`);
  }

  const sections = all("section.image");
  for (const section of sections) {
    section.querySelector("input[type=range]").addEventListener("input", () => describe(section));
    for (const list of all("select[data-side]", section)) {
      list.addEventListener("change", () => choose(section, list.dataset.side, list.value));
      choose(section, list.dataset.side, list.value); // a reloaded page may keep the selection
    }
  }
  for (const list of all("#choices select")) {
    list.addEventListener("change", () => {
      select(list, list.value);
      sections.forEach((s) => choose(s, list.dataset.side, list.value));
    });
  }

  // Tables: numbers are compared by data-v, other cells as text; missing values come last in either order.
  function compare(a, b, sign) {
    const [x, y] = [a, b].map((cell) => ("v" in cell.dataset ? number(cell.dataset.v) : cell.textContent));
    if (typeof x === "string") return sign * x.localeCompare(y, undefined, { numeric: true });
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return x === y ? 0 : sign * (x < y ? -1 : 1);
  }

  function sort(table, head, order) {
    const column = head.cellIndex;
    const body = table.tBodies[0];
    const sign = order === "ascending" ? 1 : -1;
    all("th[aria-sort]", table.tHead).forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    body.append(...[...body.rows].sort((a, b) => compare(a.cells[column], b.cells[column], sign)));
  }

  for (const button of all("table.sortable thead button")) {
    button.addEventListener("click", () => {
      const head = button.parentElement;
      const now = head.getAttribute("aria-sort");
      const reversed = now === "ascending" ? "descending" : "ascending";
      sort(button.closest("table"), head, now ? reversed : button.dataset.first);
    });
  }

  // The table of all images: a row for each image, filled again when another protocol is selected.
  const source = document.getElementById("data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const table = document.querySelector("#all table");
  const list = document.getElementById("protocol");

  function rowOf([name, group, anchor]) {
    const row = document.createElement("tr");
    const head = row.appendChild(document.createElement("th"));
    head.scope = "row";
    const place = anchor ? head.appendChild(document.createElement("a")) : head;
    if (anchor) place.href = `#${anchor}`;
    place.textContent = name;
    if (data.groups) row.insertCell().textContent = group ?? "";
    data.methods.forEach(() => row.insertCell());
    return row;
  }

  const rows = data.images.map(rowOf);
  table.tBodies[0].append(...rows);

  function fill() {
    const [, up, digits] = data.protocols[list.selectedIndex];
    const first = data.groups ? 2 : 1;
    data.images.forEach(([, , , scores], k) => {
      const values = scores[list.selectedIndex];
      const known = values.filter((v) => v !== null).map(number);
      const nearest = (a, b) => (Math.abs(b - 1) < Math.abs(a - 1) ? b : a);  // up is null: 1 is best
      const best = up === null ? known.length && known.reduce(nearest) : up ? Math.max(...known) : Math.min(...known);
      values.forEach((value, m) => {
        const cell = rows[k].cells[first + m];
        cell.dataset.v = value ?? "";
        cell.textContent = value === null ? "n/a" : typeof value === "string" ? value : value.toFixed(digits);
        cell.className = value === null ? "none" : number(value) === best ? "best" : "";
      });
    });
    all("thead button", table).slice(first).forEach((b) => (b.dataset.first = up ? "descending" : "ascending"));
    const sorted = table.querySelector("th[aria-sort]");
    if (sorted) sort(table, sorted, sorted.getAttribute("aria-sort"));
  }
  list.addEventListener("change", fill);
  fill();
})();
