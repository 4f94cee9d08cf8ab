"use strict";
// Shared by the scripts of all sections, which run after this one.

/** Data of one section, as Python wrote it. */
const readData = (section) => JSON.parse(document.getElementById(`data-${section}`).textContent);

/** Make an element. Strings among the children become text, never markup: what models say is hostile. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

const distinct = (values) => [...new Set(values)];

/** Offer choices, [value, label] each; the first of those wanted that is among them is chosen, else the first of all. */
function offer(select, choices, ...wanted) {
  const chosen = wanted.find((value) => value && choices.some(([known]) => known === value));
  select.replaceChildren(...choices.map(([value, label]) => make("option", { value }, label)));
  select.value = chosen ?? choices[0]?.[0] ?? "";
  select.closest(".field").hidden = choices.length < 2;
}

/** A table that scrolls within itself; each row is its name and then figures, numbers or what is written of them. */
function table(caption, head, rows) {
  const write = (figure) => (typeof figure === "string" ? figure : showNumber(figure));
  const title = (name, place) => (name ? make("th", { scope: "col", class: place ? "number" : null }, name) : make("td"));
  const row = ([name, ...figures]) =>
    make("tr", {}, make("th", { scope: "row" }, name), ...figures.map((figure) => make("td", { class: "number" }, write(figure))));
  return make("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": caption }, make("table", {},
    make("caption", {}, caption), make("thead", {}, make("tr", {}, ...head.map(title))), make("tbody", {}, ...rows.map(row))));
}

/** Write a number with its sign, a true minus and as many digits as matter; a dash where there is none. */
function showNumber(value, { digits = 3, sign = true } = {}) {
  if (value == null || !Number.isFinite(value)) return "–";
  const text = Number(value.toPrecision(digits)).toString().replace("-", "−");
  return sign && value > 0 ? `+${text}` : text;
}

/** Write a p-value; below 0.0001 it matters no more how small it is. */
const showPValue = (value) => (value < 0.0001 && value != null ? "< 0.0001" : showNumber(value, { digits: 2, sign: false }));

const plural = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;

const CHARTS = readData("charts");

/** Draw a picture that Python declared, with data of its own. The interpreter needs no eval, which the page forbids. */
async function drawChart(holder, name, datasets, size = {}) {
  const spec = { ...CHARTS[name], ...size, datasets };
  holder.replaceChildren();
  return vegaEmbed(holder, spec, {
    actions: false,
    ast: true,
    defaultStyle: false,
    logLevel: 1, // errors only: it warns of data without rows, such as a noise floor that is not known
    renderer: "svg",
    tooltip: { disableDefaultStyle: true },
  });
}

// paper cannot be clicked
const unfolded = [];
addEventListener("beforeprint", () => {
  unfolded.push(...document.querySelectorAll("details.on-paper:not([open])"));
  for (const one of unfolded) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of unfolded.splice(0)) one.open = false;
});
