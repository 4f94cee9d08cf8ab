"use strict";
{
  const form = document.getElementById("verdict-filters");
  const rows = [...document.querySelectorAll("#verdict-table tbody tr[data-status]")];
  const count = document.getElementById("verdict-count");

  const show = () => {
    const wanted = new FormData(form);
    const statuses = wanted.getAll("status");
    const matches = (row, name) => !wanted.get(name) || row.dataset[name] === wanted.get(name);
    let shown = 0;
    for (const row of rows) {
      row.hidden = row.nextElementSibling.hidden = !(statuses.includes(row.dataset.status) && matches(row, "model") && matches(row, "stance"));
      shown += !row.hidden;
    }
    count.textContent = shown === rows.length ? plural(shown, "claim") : `${shown} of ${plural(rows.length, "claim")}`;
  };
  /** A link to a claim shows it, whatever is filtered. */
  const follow = () => {
    const row = document.getElementById(location.hash.slice(1));
    if (!rows.includes(row) || !row.hidden) return;
    form.reset();
    show();
    row.scrollIntoView();
  };

  form.addEventListener("change", show);
  window.addEventListener("hashchange", follow);
  form.addEventListener("submit", (event) => event.preventDefault());
  show(); // a browser that goes back restores the boxes, not the rows
  follow();
}
