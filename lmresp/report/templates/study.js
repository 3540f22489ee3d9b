"use strict";
(() => {
  const controls = document.getElementById("query-controls");
  if (!controls) return;
  const text = document.getElementById("query-text");
  const severity = document.getElementById("query-severity");
  const count = document.getElementById("query-count");
  const rows = Array.from(document.querySelectorAll("#query-rows tr"));
  controls.hidden = false;
  const show = () => {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !(row.textContent.toLowerCase().includes(wanted) && (!severity.value || row.dataset.severity === severity.value));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${rows.length} queries`;
  };
  text.addEventListener("input", show);
  severity.addEventListener("change", show);
})();
