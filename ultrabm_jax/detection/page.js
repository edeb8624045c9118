"use strict";
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const [label, range, value, truth] = ["class", "confidence", "value", "truth"].map((id) => document.getElementById(id));

  function show() {
    value.textContent = (range.value / 100).toFixed(2);
    document.body.classList.toggle("no-truth", !truth.checked);
    for (const box of all(".boxes g")) {
      const other = label.value !== "" && box.dataset.class !== label.value;
      const weak = "score" in box.dataset && Number(box.dataset.score) < range.value / 100;
      box.classList.toggle("hidden", other || weak);
    }
  }
  for (const control of [label, range, truth]) control.addEventListener("input", show);
  show();
})();
