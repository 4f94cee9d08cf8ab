"use strict";
// One layer's spectra, drawn when structure.js tells that it was chosen.
if (document.getElementById("spectrum")) {
  const section = document.getElementById("spectrum");
  const [title, words, tables, charts, missing] = ["title", "words", "tables", "charts", "missing"].map(
    (part) => document.getElementById(`spectrum-${part}`),
  );
  let spectra = null; // parsed when first asked for: most of the page's bytes
  let opener = null;
  let drawn = [];

  const plain = (value, digits = 4) => showNumber(value, { sign: false, digits });
  const percent = (value) => (value == null ? "–" : `${showNumber(value)} %`);
  const range = (low, high) => `${showNumber(low, { sign: false })} to ${showNumber(high, { sign: false })}`;

  function fitsTable(columns) {
    const layers = Object.values(columns);
    const alpha = ({ fit, interval }) => `${plain(fit?.alpha)}${interval ? ` [${interval.map((end) => plain(end, 3)).join(", ")}]` : ""}`;
    const row = (name, write) => [name, ...layers.map((layer) => (layer ? write(layer) : "–"))];
    return table("The fitted tail, and the next best that is not nearly the same", ["", ...Object.keys(columns)], [
      row("alpha [95 % interval]", alpha),
      row("eigenvalues in the tail", ({ fit }) => plain(fit?.tail_size)),
      row("xmin", ({ fit }) => plain(fit?.xmin)),
      row("KS distance", ({ fit }) => plain(fit?.ks_distance, 6)),
      row("runner-up: alpha", ({ runner_up }) => plain(runner_up?.alpha)),
      row("runner-up: eigenvalues", ({ runner_up }) => plain(runner_up?.tail_size)),
      row("runner-up: KS distance", ({ runner_up }) => plain(runner_up?.ks_distance, 6)),
    ]);
  }

  function figuresOf(training, change, layer) {
    const [total, spectrum] = [training.total[layer], training.spectrum[layer]];
    return {
      total, spectrum, choice: total == null || spectrum == null ? null : total - spectrum,
      norm: training.norm[layer], stable_rank: training.stable_rank[layer], energy: change?.energy,
    };
  }

  function changesTable(own, controls, noise) {
    const row = (name, figure, write) => [
      name, write(own[figure]), ...Object.values(controls).map((figures) => write(figures[figure])),
      noise?.[figure] ? `${range(noise[figure].low, noise[figure].high)}${write === plain ? "" : " %"}` : "–",
      noise?.[figure] ? showPValue(noise[figure].p_value) : "–",
    ];
    const share = (value) => (value == null ? "–" : `${plain(value, 3)} %`);
    const caption = noise ? `What changed, beside ${noise.draws} draws of Gaussian noise of the same norm` : "What changed";
    return table(caption, ["", "measured", ...Object.keys(controls), "noise (95 %)", "adjusted p"], [
      row("alpha as fitted", "total", percent),
      row("= spectrum, tail held fixed", "spectrum", percent),
      row("+ choice of the tail", "choice", percent),
      row("norm of dW over that of W", "norm", share),
      row("stable rank of dW", "stable_rank", plain),
      row("energy in dW’s ten leading directions", "energy", share),
    ]);
  }

  /** Rows of one side for both charts. */
  function rowsOf(when, { curve, fit, runner_up }) {
    const count = curve.sizes[0];
    const largest = curve.eigenvalues.at(-1);
    const fits = Object.entries({ fit, "runner-up": runner_up }).filter(([, one]) => one);
    return {
      spectrum: curve.sizes.map((size, place) => (
        { when, size, count, eigenvalue: curve.eigenvalues[place], ks: curve.ks_distances[place] })),
      fits: fits.map(([kind, one]) => ({ when, kind, ...one, largest, count })),
    };
  }

  async function draw(before, after) {
    for (const one of drawn) one.finalize();
    drawn = [];
    const known = Boolean(before?.curve && after?.curve);
    charts.hidden = !known;
    missing.hidden = known;
    if (!known) return;
    const [old, now] = [rowsOf("before", before), rowsOf("after", after)];
    const datasets = { spectrum: [...old.spectrum, ...now.spectrum], fits: [...old.fits, ...now.fits] };
    const holders = { esd: "chart-esd", tail_choice: "chart-tail-choice" };
    drawn = await Promise.all(Object.entries(holders).map(([name, id]) => drawChart(document.getElementById(id), name, datasets)));
  }

  function explain(change, after, training, layer) {
    const failure = change?.failure ?? after?.failure;
    if (failure) return `No figure: ${failure}.`;
    if (change?.words) return change.words;
    const tail = training.tail_after[layer];
    return tail == null ? "" : `The fitted tail kept its ${tail} eigenvalues: all of the change of alpha is the spectrum’s.`;
  }

  function open({ detail: { model, modelNumber, training, number, layer, place, opener: from } }) {
    spectra ??= readData("spectra");
    opener = from;
    const { before, trainings } = spectra[modelNumber];
    const own = trainings[number];
    const ofControls = (figure) => Object.fromEntries(Object.entries(training.controls).map(([name, at]) => [name, figure(at)]));
    const after = own.after[layer];
    const change = own.changes[layer];
    const details = [model.name, training.label, training.recipe, ...(training.seed ? [`seed ${training.seed}`] : [])];
    title.replaceChildren(make("span", {}, place), make("span", { class: "plain soft" }, make("code", {}, model.layers[layer]), ` · ${details.join(", ")}`));
    words.textContent = explain(change, after, training, layer);
    tables.replaceChildren(
      fitsTable({ before: before[layer], after, ...ofControls((at) => trainings[at].after[layer]) }),
      changesTable(
        figuresOf(training, change, layer),
        ofControls((at) => figuresOf(model.trainings[at], trainings[at].changes[layer], layer)),
        change?.noise,
      ),
    );
    section.hidden = false;
    title.focus({ preventScroll: true });
    section.scrollIntoView({ block: "start" });
    draw(before[layer], after);
  }

  function close() {
    section.hidden = true;
    history.replaceState(null, "", "#structure");
    // other maps may be shown by now
    (opener?.isConnected ? opener : document.querySelector("#maps [tabindex='0']"))?.focus();
  }

  document.addEventListener("layer", open);
  document.getElementById("spectrum-close").addEventListener("click", close);
  section.addEventListener("keydown", ({ key }) => key === "Escape" && close());
}
