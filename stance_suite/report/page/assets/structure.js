"use strict";
// Heat maps of layers, side by side on one scale. A layer that is chosen is told to spectra.js by the event "layer".
if (document.getElementById("layer-maps")) {
  const MODELS = readData("structure");
  const CHANGED = 1; // percent of alpha, for counting
  const PAGE = 5; // rows that page up and page down skip
  const STEPS = 8; // shades of a scale from low to high, as structure.css has them
  const LADDERS = [[1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]; // edges of bins in each power of ten, the finest first

  const ALPHA_SCALE = {
    edges: [-10, -1, -0.1, -0.01, 0.01, 0.1, 1, 10],
    classes: ["cold-4", "cold-3", "cold-2", "cold-1", "even", "warm-1", "warm-2", "warm-3", "warm-4"],
  };

  const form = document.getElementById("map-controls");
  const maps = document.getElementById("maps");
  const readout = document.getElementById("map-readout");
  const plain = (value) => showNumber(value, { sign: false });
  const percent = (value) => `${showNumber(value)} %`;

  const alphaFigure = (how) => ({
    title: `Change of alpha ${how}`, unit: "%", scale: ALPHA_SCALE, write: percent, say: (text) => `alpha ${text} ${how}`,
    counts: (value) => Math.abs(value) > CHANGED, counted: `changed by more than ${CHANGED} % ${how}`, short: `beyond ${CHANGED} %`,
  });
  const FIGURES = {
    total: { ...alphaFigure("as fitted"), say: (text) => `alpha ${text}` },
    spectrum: alphaFigure("with the tail held fixed"),
    norm: {
      title: "Norm of dW over that of W", unit: "%", scale: sizeScale("norm"),
      write: (value) => `${plain(value)} %`, say: (text) => `dW has ${text} of W’s norm`,
    },
    stable_rank: {
      title: "Stable rank of dW", unit: "", scale: sizeScale("stable_rank"),
      write: plain, say: (text) => `stable rank of dW ${text}`,
    },
    p_value: {
      title: "Smallest adjusted p-value against noise", unit: "", write: showPValue, say: (text) => `p ${text} against noise`,
      scale: { edges: [0.001, 0.01, 0.05, 0.1], classes: ["scale-7", "scale-5", "scale-3", "scale-1", "scale-0"] },
      counts: (value) => value <= 0.05, counted: "differ from noise at p ≤ 0.05", short: "at p ≤ 0.05",
    },
  };

  let shown = { model: null, about: "", trainings: [], cells: [] };

  // Scales: bins between edges, each with a class of structure.css.

  function sizeScale(name) {
    const values = MODELS.flatMap((model) => model.trainings.flatMap((training) => training[name]));
    const edges = niceEdges(values.filter((value) => value > 0).sort((one, other) => one - other));
    const shade = (place) => (edges.length ? Math.round((place * (STEPS - 1)) / edges.length) : STEPS / 2);
    return { edges, classes: [...edges, null].map((_, place) => `scale-${shade(place)}`) };
  }

  /** Round numbers between nearly the smallest and nearly the largest value, as many as there are shades. */
  function niceEdges(sorted) {
    if (!sorted.length) return [];
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    const [low, high] = [at(0.02), at(0.98)];
    const powers = Array.from({ length: 40 }, (_, place) => 10 ** (place - 20));
    const all = (ladder) => powers.flatMap((power) => ladder.map((rung) => Number((rung * power).toPrecision(2))));
    const within = LADDERS.map((ladder) => all(ladder).filter((edge) => low < edge && edge < high));
    return within.find((edges) => edges.length < STEPS) ?? [];
  }

  const binOf = (scale, value) => (value == null ? "missing" : scale.classes[scale.edges.filter((edge) => value > edge).length]);

  // Words

  const chosenFigure = () => new FormData(form).get("figure");

  function placeOf(model, layer) {
    const row = model.rows.find((one) => one.layers.includes(layer));
    return row.title ?? `layer ${row.block} ${model.columns[row.layers.indexOf(layer)]}`;
  }

  function say(name, training, layer) {
    const value = training[name][layer];
    if (value == null) return "no figure";
    const words = [FIGURES[name].say(FIGURES[name].write(value))];
    if (name === "total") {
      const [before, after] = [training.tail_before[layer], training.tail_after[layer]];
      words.push(before === after ? `tail ${before}` : `tail ${before} to ${after}`);
      if (training.flips.includes(layer)) words.push("tail flip");
    }
    return words.join(", ");
  }

  function readOut(cell) {
    const layer = Number(cell.dataset.layer);
    const name = chosenFigure();
    const own = shown.trainings[cell.dataset.training];
    const write = (value) => (value == null ? "no figure" : FIGURES[name].write(value));
    const others = shown.trainings.filter((one) => one !== own).map((one) => `${one.label} ${write(one[name][layer])}`);
    readout.replaceChildren(
      make("strong", {}, placeOf(shown.model, layer)), `, ${own.label}: ${say(name, own, layer)}`,
      ...(others.length ? [make("span", {}, ` · beside it: ${others.join(", ")}`)] : []),
    );
  }

  const span = (values, write) => {
    const [low, high] = [write(Math.min(...values)), write(Math.max(...values))];
    return low === high ? low : `${low} to ${high}`;
  };

  /** One number for a whole map, over the matrices that have a figure; null where none has one. */
  function gist(name, training) {
    const known = training[name].filter((value) => value != null).sort((one, other) => one - other);
    if (!known.length) return null;
    const { counts } = FIGURES[name];
    const median = (known[(known.length - 1) >> 1] + known[known.length >> 1]) / 2;
    return { value: counts ? known.filter(counts).length : median, known: known.length };
  }

  /** The numbers of some maps in words, and of how many matrices they are; null where no map has one. */
  function gather(name, trainings) {
    const { counts, write } = FIGURES[name];
    const all = shown.model.layers.length;
    const gists = trainings.map((training) => gist(name, training)).filter(Boolean);
    if (!gists.length) return null;
    const known = span(gists.map((one) => one.known), String);
    const which = gists.some((one) => one.known < all) ? " with a figure" : "";
    return {
      found: span(gists.map((one) => one.value), counts ? String : write),
      known, which, among: which && ` ${counts ? "of" : "among"} ${known}${which}`,
    };
  }

  function summarize(name) {
    const { title, counts, counted } = FIGURES[name];
    const [controls, tested] = [true, false].map((wanted) => shown.trainings.filter((one) => one.is_control === wanted));
    const all = gather(name, tested);
    const whole = all && (counts ? `${all.found} of ${all.known} matrices${all.which} ${counted}` : `${title}: median ${all.found}${all.among}`);
    const sentence = tested.length ? [whole ?? `${title}: no figure`, ...flipsAmong(name, tested)] : [];
    for (const kind of new Set(controls.map((one) => one.kind))) {
      const beside = gather(name, controls.filter((one) => one.kind === kind));
      sentence.push(`the ${kind}: ${beside ? `${beside.found}${beside.among}` : "no figure"}`);
    }
    return `${shown.about}: ${sentence.join("; ")}.`;
  }

  function flipsAmong(name, trainings) {
    if (name !== "total") return [];
    const { counts } = FIGURES[name];
    const changed = trainings.flatMap((one) => one.total.flatMap((value, layer) => (counts(value) ? [one.flips.includes(layer)] : [])));
    const flips = changed.filter(Boolean).length;
    if (!changed.length) return [];
    return [flips === changed.length ? "every one of them is a tail flip" : `${flips} of ${changed.length} changes are tail flips`];
  }

  // Maps

  function buildMap(model, training, number) {
    const cells = [];
    const cell = (layer, column) => {
      if (layer == null) return make("td");
      cells[layer] = make("td", { tabindex: -1, "data-layer": layer, "data-column": column, "data-training": number });
      return cells[layer];
    };
    const row = ({ title, block, layers }) => make("tr", { class: title && "outside" },
      title ? make("td") : make("th", { scope: "row", class: block % PAGE ? "quiet" : "" }, String(block)),
      ...layers.map(cell),
      title ? make("th", { scope: "row", colspan: Math.max(model.columns.length - 1, 1) }, title) : null);
    const head = make("tr", {}, make("td"), ...model.columns.map((title) => make("th", { scope: "col" }, make("span", {}, title))));
    const table = make("table", { role: "grid", "aria-readonly": "true", class: "map" },
      make("caption"), make("thead", {}, head), make("tbody", {}, ...model.rows.map(row)));
    table.querySelector("[data-layer]").tabIndex = 0;
    return { table, cells };
  }

  function paint() {
    const name = chosenFigure();
    const figure = FIGURES[name];
    shown.trainings.forEach((training, number) => {
      const { table, cells } = shown.cells[number];
      const whole = gather(name, [training]);
      const note = whole && (figure.counts ? `${whole.found}${whole.among} ${figure.short}` : `median ${whole.found}${whole.among}`);
      table.caption.replaceChildren(make("strong", {}, training.label), make("span", { class: "soft" }, note ?? "no figure"));
      cells.forEach((cell, layer) => {
        const flips = name === "total" && training.flips.includes(layer);
        cell.className = binOf(figure.scale, training[name][layer]) + (flips ? " flip" : "");
        cell.setAttribute("aria-label", `${placeOf(shown.model, layer)}, ${training.label}: ${say(name, training, layer)}`);
      });
    });
    document.getElementById("map-legend").replaceChildren(...legend(name));
    document.getElementById("map-summary").textContent = summarize(name);
    readout.textContent = "Point at a cell to read it; choose it to see its spectra.";
  }

  function legend(name) {
    const { title, unit, scale } = FIGURES[name];
    const bin = (kind, place) => {
      const [low, high] = [place - 1, place].map((at) => (at in scale.edges ? plain(scale.edges[at]) : null));
      const range = low && high ? `${low} to ${high}` : low ? `above ${low}` : high ? `up to ${high}` : "all";
      return make("li", {}, make("span", { class: `swatch ${kind}` }),
        make("span", { class: "unseen" }, `${range} ${unit}`), high && make("span", { class: "edge", "aria-hidden": "true" }, high));
    };
    const key = (kind, words) => make("span", { class: "key" }, make("span", { class: `swatch ${kind}` }), words);
    return [
      make("p", {}, unit ? `${title}, ${unit}` : title),
      make("ol", { class: "bins" }, ...scale.classes.map(bin)),
      make("p", { class: "keys soft" },
        name === "total" ? key("even flip", "tail flip: another tail was fitted, the spectrum hardly moved") : null,
        key("missing", "no figure")),
    ];
  }

  // Moving about

  function neighbor(cell, { key, ctrlKey }) {
    const rows = [...cell.closest("tbody").rows].map((row) => [...row.querySelectorAll("[data-layer]")]).filter((row) => row.length);
    const at = rows.findIndex((row) => row.includes(cell));
    const column = Number(cell.dataset.column);
    const nearest = (row) => row.reduce((best, one) =>
      Math.abs(one.dataset.column - column) < Math.abs(best.dataset.column - column) ? one : best);
    const down = (by) => nearest(rows[Math.min(Math.max(at + by, 0), rows.length - 1)]);
    const along = (by) => rows[at][rows[at].indexOf(cell) + by];
    const moves = {
      ArrowLeft: () => along(-1), ArrowRight: () => along(1), ArrowUp: () => down(-1), ArrowDown: () => down(1),
      PageUp: () => down(-PAGE), PageDown: () => down(PAGE),
      Home: () => (ctrlKey ? rows[0] : rows[at])[0], End: () => (ctrlKey ? rows.at(-1) : rows[at]).at(-1),
    };
    return moves[key]?.();
  }

  const cellAt = (element) => element.closest("[data-layer]");

  function press(event) {
    const cell = cellAt(event.target);
    if (!cell) return;
    const isChoice = event.key === "Enter" || event.key === " ";
    const next = neighbor(cell, event);
    if (isChoice) choose(cell, cell);
    if (isChoice || next) event.preventDefault();
    next?.focus();
  }

  /** Show what a cell says, and where the same matrix is in the other maps; the tab key comes back to it. */
  function notice(event) {
    const cell = cellAt(event.target);
    if (!cell) return;
    for (const twin of maps.querySelectorAll(".twin")) twin.classList.remove("twin");
    for (const { cells } of shown.cells) cells[cell.dataset.layer].classList.add("twin");
    readOut(cell);
    if (event.type !== "focusin") return;
    for (const one of cell.closest("table").querySelectorAll("[tabindex='0']")) one.tabIndex = -1;
    cell.tabIndex = 0;
  }

  function choose(cell, opener) {
    for (const current of maps.querySelectorAll("[aria-current]")) current.removeAttribute("aria-current");
    cell.setAttribute("aria-current", "true");
    const layer = Number(cell.dataset.layer);
    const training = shown.trainings[cell.dataset.training];
    const detail = {
      layer, training, opener, model: shown.model, place: placeOf(shown.model, layer),
      modelNumber: MODELS.indexOf(shown.model), number: shown.model.trainings.indexOf(training),
    };
    history.replaceState(null, "", `#spectrum-${detail.modelNumber}-${detail.number}-${layer}`);
    document.dispatchEvent(new CustomEvent("layer", { detail }));
  }

  // What is shown

  const offerAll = (name, values, chosen) =>
    offer(form.elements[name], distinct(values).map((value) => [String(value), String(value)]), String(chosen));

  function show(model, { recipe, seed }) {
    const ofRecipe = model.trainings.filter((one) => one.recipe === recipe);
    const seeds = distinct(ofRecipe.map((one) => one.seed));
    const chosenSeed = seeds.find((one) => String(one) === String(seed)) ?? seeds[0];
    offerAll("model", MODELS.map((one) => one.name), model.name);
    offerAll("recipe", model.trainings.map((one) => one.recipe), recipe);
    offerAll("seed", seeds, chosenSeed);
    const trainings = ofRecipe.filter((one) => one.seed === chosenSeed);
    const about = [model.name, recipe, ...(seeds.length > 1 || chosenSeed ? [`seed ${chosenSeed}`] : [])].join(", ");
    shown = { model, about, trainings, cells: trainings.map((training, number) => buildMap(model, training, number)) };
    maps.replaceChildren(...shown.cells.map(({ table }) => make("div", { class: "scroll" }, table)));
    paint();
  }

  function change({ target }) {
    if (target.name === "figure") return paint();
    const wanted = Object.fromEntries(new FormData(form));
    const model = MODELS.find((one) => one.name === wanted.model);
    show(model, target.name === "model" ? model.shown : wanted);
  }

  /** Open the layer that the address names. */
  function follow() {
    const [, ...numbers] = location.hash.match(/^#spectrum-(\d+)-(\d+)-(\d+)$/) ?? [];
    const [model, number, layer] = numbers.map(Number);
    const training = MODELS[model]?.trainings[number];
    if (!training || !(layer in MODELS[model].layers)) return;
    if (!shown.trainings.includes(training)) show(MODELS[model], training);
    const cell = shown.cells[shown.trainings.indexOf(training)].cells[layer];
    choose(cell, document.activeElement === document.body ? cell : document.activeElement);
  }

  form.addEventListener("change", change);
  form.addEventListener("submit", (event) => event.preventDefault());
  maps.addEventListener("keydown", press);
  maps.addEventListener("focusin", notice);
  maps.addEventListener("pointerover", notice);
  maps.addEventListener("click", ({ target }) => cellAt(target) && choose(cellAt(target), cellAt(target)));
  window.addEventListener("hashchange", follow);
  document.getElementById("layer-maps").hidden = false;
  show(MODELS[0], MODELS[0].shown);
  window.addEventListener("load", follow);
}
