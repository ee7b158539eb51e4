"use strict";
// Clicking a column header sorts a table. Tables with data-filter get a field that keeps the rows containing all of its
// terms; tables with data-page show that many rows at a time, read from the JSON element named by data-lines.
(function () {
  const collator = new Intl.Collator("en", { numeric: true });

  function element(name, text, more) {
    const made = Object.assign(document.createElement(name), more || {});
    made.textContent = text;
    return made;
  }

  // Numbers are compared by their value before the interval, missing numbers come last; everything else is text.
  function order(column, numeric, descending) {
    return function (a, b) {
      const x = a.cells[column], y = b.cells[column];
      const p = numeric ? parseFloat(x) : NaN, q = numeric ? parseFloat(y) : NaN;
      if (isNaN(p) !== isNaN(q)) { return isNaN(p) ? 1 : -1; }
      const found = isNaN(p) ? collator.compare(x, y) : p - q;
      return descending ? -found : found;
    };
  }

  function enhance(table) {
    const body = table.tBodies[0], heads = Array.from(table.tHead.rows[0].cells);
    const page = Number(table.dataset.page || 0);
    const numeric = heads.map(function (head) { return head.classList.contains("number"); });
    const lines = page
      ? JSON.parse(document.getElementById(table.dataset.lines).textContent).map(function (cells) { return { cells: cells }; })
      : Array.from(body.rows).map(function (row) {
        return { row: row, cells: Array.from(row.cells).map(function (cell) { return cell.textContent; }) };
      });
    let sorted = lines, start = 0, terms = [], report = function () {};

    function rowOf(line) {
      if (!line.row) {
        line.row = document.createElement("tr");
        line.cells.forEach(function (text, i) {
          line.row.appendChild(element("td", text, { className: numeric[i] ? "number" : "" }));
        });
      }
      return line.row;
    }

    function show() {
      const found = sorted.filter(function (line) {
        const text = line.cells.join(" ").toLowerCase();
        return terms.every(function (term) { return text.includes(term); });
      });
      if (start >= found.length) { start = 0; }
      const end = page ? Math.min(start + page, found.length) : found.length;
      body.replaceChildren(...found.slice(start, end).map(rowOf));
      report(found.length, end);
    }

    heads.forEach(function (head, column) {
      const button = element("button", head.textContent, { type: "button" });
      head.replaceChildren(button);
      button.addEventListener("click", function () {
        const descending = head.getAttribute("aria-sort") === "ascending";
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sorted = lines.slice().sort(order(column, numeric[column], descending));
        start = 0;
        show();
      });
    });

    if (!table.dataset.filter) { return; }
    const tools = element("div", "", { className: "tools" });
    const label = element("label", "Filter " + table.dataset.filter + " ");
    const field = element("input", "", { type: "search", placeholder: table.dataset.example });
    const status = element("span", "");
    status.setAttribute("role", "status");
    label.appendChild(field);
    tools.append(label, status);
    field.addEventListener("input", function () {
      terms = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      start = 0;
      show();
    });
    const turn = [["previous", -page], ["next", page]].map(function (entry) {
      const button = element("button", entry[0], { type: "button" });
      button.addEventListener("click", function () { start = Math.max(0, start + entry[1]); show(); });
      if (page) { tools.appendChild(button); }
      return button;
    });
    report = function (count, end) {
      status.textContent = (page && count ? (start + 1) + "–" + end + " of " : "") + count
        + (count < lines.length ? " (" + lines.length + " in total)" : "");
      turn[0].disabled = start === 0;
      turn[1].disabled = end >= count;
    };
    table.parentElement.before(tools);
    show();
  }

  document.querySelectorAll("table.sortable").forEach(enhance);
}());
