"use strict";
{
  const data = readData("behavior");

  /** Offer in each named select of a form only what goes with those before it; returns the entries that are left. */
  function narrow(form, names, entries, preferred = {}) {
    let left = entries;
    for (const name of names) {
      const select = form.elements[name];
      const choices = distinct(left.map((entry) => String(entry[name]))).map((value) => [value, value]);
      if (name === "stance" && choices.length > 1) choices.unshift(["", "all stances"]);
      offer(select, choices, select.value, preferred[name]);
      if (select.value) left = left.filter((entry) => String(entry[name]) === select.value);
    }
    return left;
  }

  /** Show a form, and call what it governs now and whenever it changes. */
  function govern(form, update) {
    form.hidden = false;
    form.addEventListener("change", update);
    form.addEventListener("submit", (event) => event.preventDefault());
    update();
  }

  const say = (id, text) => {
    document.getElementById(id).textContent = text;
  };
  const measured = (name) => {
    const { unit, meaning } = data.measures[name];
    return `${name}: ${meaning}, ${unit}`;
  };

  // Prompt by prompt

  const words = (claim) => [
    make(
      "p",
      { class: "finding" },
      make("span", { class: `status ${claim.status}` }, claim.status),
      ...claim.figures.map((part, place) => make("span", { class: place ? "soft" : "value" }, part)),
      ...claim.caveats.map((caveat) => make("span", { class: "caveat" }, caveat)),
    ),
    make("p", {}, claim.statement, " ", make("span", { class: "soft" }, claim.reason)),
    make("p", { class: "soft" }, "In the table of verdicts: ", make("a", { href: `#${claim.anchor}` }, claim.id)),
    claim.compared
      ? make("p", { class: "soft" }, "Two trainings are compared: the dots are this one's, effects are less the other's.")
      : null,
  ];

  const floorOf = (claim) =>
    claim.floor.map(({ low, high }) =>
      make("p", { class: "soft" }, `Gray band: the noise floor, ${showNumber(low)} to ${showNumber(high)}.`),
    );

  function figures(claim, prompts) {
    const unit = data.measures[claim.measure].unit;
    const controls = data.controls.filter((name) => prompts.some((one) => one[name] !== null));
    const change = ({ base, tuned }) => (base === null || tuned === null ? null : tuned - base);
    const rows = prompts.map((one) => [one.prompt, one.base, ...controls.map((name) => one[name]), one.tuned, change(one)]);
    return make(
      "details",
      {},
      make("summary", {}, `Figures of ${plural(prompts.length, "prompt")}`),
      table(
        `${claim.stance}: ${claim.measure} (${unit}), averaged over samples and seeds`,
        ["Prompt", claim.baseline, ...controls, "tuned", `tuned − ${claim.baseline}`],
        rows,
      ),
      table(
        `${claim.stance}: mean effect and its 95 % interval (${unit})`,
        ["Against", "effect", "from", "to"],
        claim.effects.map(({ versus, effect, low, high }) => [versus, effect, low, high]),
      ),
    );
  }

  /** The height of a picture whose rows are declared to have one each; Vega-Lite fits no width beside those. */
  const heightOf = (name, rows) => ({ height: rows.length * CHARTS[name].height.step });

  function showClaim(claim, holder) {
    const prompts = claim.prompts.map(([place, ...scores]) => ({
      prompt: data.prompts[place],
      ...Object.fromEntries(["base", ...data.controls, "tuned"].map((name, at) => [name, scores[at]])),
    }));
    const datasets = { prompts, effects: claim.effects, floor: claim.floor, bounds: claim.bounds };
    const drawn = ["prompts", "effects"].filter((kind) => datasets[kind].length);
    const pictures = drawn.map((kind) => [kind, make("div", { class: "chart" })]);
    holder.append(
      make(
        "article",
        { class: "panel" },
        make("h4", {}, claim.stance),
        ...words(claim),
        ...pictures.map(([, chart]) => chart),
        ...floorOf(claim),
        figures(claim, prompts),
      ),
    );
    for (const [kind, chart] of pictures) {
      const name = `${kind}-${claim.measure}`;
      drawChart(chart, name, datasets, heightOf(name, datasets[kind]));
    }
  }

  function showClaims(form) {
    const holder = document.getElementById("claim-panels");
    const { stance, ...preferred } = data.first; // of stances all are shown first
    govern(form, () => {
      const claims = narrow(form, ["model", "recipe", "measure", "stance"], data.claims, preferred);
      const { model, recipe, measure } = claims[0];
      say("claim-count", `${plural(claims.length, "claim")} about ${model} (${recipe}) by ${measured(measure)}.`);
      holder.replaceChildren();
      for (const claim of claims) showClaim(claim, holder);
    });
  }

  // Trained against measured

  function showMatrices(form) {
    const matrices = [...document.querySelectorAll(".matrix")];
    const entries = matrices.map((element) => ({ ...element.dataset, element }));
    govern(form, () => {
      const shown = narrow(form, ["model", "recipe", "measure"], entries, data.first).map(({ element }) => element);
      for (const matrix of matrices) matrix.hidden = !shown.includes(matrix);
      say("matrix-count", `${measured(form.elements.measure.value)}.`);
    });
  }

  // Epoch by epoch

  function showEpochs(holder) {
    for (const { model, rows } of data.epochs) {
      const pictures = ["preference", "alphas"].map((name) => [name, make("div", { class: "chart" })]);
      holder.append(make("h4", {}, model), make("div", { class: "panels" }, ...pictures.map(([, chart]) => chart)));
      for (const [name, chart] of pictures) drawChart(chart, name, { epochs: rows });
    }
  }

  // Responses

  const LONG = 1200; // characters; longer texts scroll within a box of their own

  const pairs = (ends) => Array.from({ length: ends.length / 2 }, (_, place) => ends.slice(2 * place, 2 * place + 2));

  /** Mark parts of a text. Places count code points, as in Python; a string's own count is of UTF-16 units. */
  function highlighted(text, hits) {
    const points = Array.from(text);
    const parts = [];
    let position = 0;
    for (const [start, end] of hits) {
      if (start < position) continue; // stances may share words
      parts.push(points.slice(position, start).join(""), make("mark", {}, points.slice(start, end).join("")));
      position = end;
    }
    return [...parts, points.slice(position).join("")];
  }

  const written = (text, hits, name) =>
    make(
      "div",
      text.length > LONG ? { class: "said", tabindex: 0, role: "region", "aria-label": name } : { class: "said" },
      ...highlighted(text, hits),
    );

  function showResponse(kind, name, response, marked) {
    if (!response) return make("figure", { class: kind }, make("figcaption", {}, `${name} · not asked`));
    const [text, count, ends] = response;
    const hits = marked.flatMap((place) => pairs(ends[place] ?? [])).sort(([one], [other]) => one - other);
    const rate = showNumber(count ? (100 * hits.length) / count : 0, { sign: false });
    return make(
      "figure",
      { class: kind },
      make("figcaption", {}, make("b", {}, name), ` · ${plural(count, "word")} · ${rate} markers per 100 words`),
      text
        ? written(text, hits, `What ${name} wrote`)
        : make("p", { class: "soft" }, count ? "The text was not kept." : "Nothing was written."),
    );
  }

  function showPrompt(place, prompt, cells, samples, marked) {
    const asked = ({ cell }, sample) => cell.responses[place]?.[sample];
    const rows = samples
      .filter((sample) => cells.some((one) => asked(one, sample)))
      .map((sample) => {
        const numbered = (name) => (samples.length > 1 ? `${name}, sample ${sample + 1}` : name);
        return make(
          "div",
          { class: "pair" },
          ...cells.map((one) => showResponse(one.kind, numbered(one.name), asked(one, sample), marked)),
        );
      });
    return rows.length ? make("article", {}, make("h4", {}, prompt), ...rows) : null;
  }

  function showResponses(form) {
    const { cells, prompts, stances, asked, controls } = readData("responses");
    const TRAINING = ["model", "recipe", "trained", "seed"];
    const { asked: whose, marked: markers, sample } = form.elements;
    const isChecked = (name) => form.elements[name].checked;
    const first = { ...data.first, trained: data.first.stance };
    const trainings = cells.filter(({ recipe }) => recipe !== null);
    if (!trainings.length) {
      say("response-count", "Nothing was trained, so there is nothing to set side by side.");
      return;
    }
    let shown = null;

    const samplesOf = (cell) => distinct(Object.values(cell.responses).flatMap(Object.keys)).map(Number).sort((a, b) => a - b);

    /** Another training is read by its own stance's prompts and markers. */
    function follow(cell) {
      const everything = (label) => ["", label];
      const about = [whose, markers].map((select) => (shown && cell.trained === shown.trained ? select.value : cell.trained));
      offer(whose, [everything("of all stances"), ...Object.keys(asked).map((name) => [name, `of ${name}`])]);
      offer(markers, [everything("of all stances"), ...stances.map((name) => [name, `of ${name}`])]);
      [whose, markers].forEach((select, place) => {
        select.value = about[place];
        if (select.selectedIndex < 0) select.value = "";
      });
      const numbers = samplesOf(cell).map((number) => [String(number), String(number + 1)]);
      if (numbers.length > 1) numbers.push(["all", "all samples"]);
      offer(sample, numbers, sample.value);
      for (const name of controls) form.elements[name].closest("label").hidden = !(name in cell.controls);
      shown = cell;
    }

    govern(form, () => {
      const [cell] = narrow(form, TRAINING, trainings, first);
      follow(cell);
      const beside = [
        { kind: "base", name: "base", cell: cells[cell.base] },
        ...controls.filter(isChecked).map((name) => ({ kind: "control", name, cell: cells[cell.controls[name]] })),
        { kind: controls.includes(cell.treatment) ? "control" : "tuned", name: cell.label, cell },
      ].filter((one) => one.cell);
      const samples = sample.value === "all" ? samplesOf(cell) : [Number(sample.value)];
      const marked = stances.flatMap((name, place) => (!markers.value || markers.value === name ? [place] : []));
      const places = whose.value ? asked[whose.value] : prompts.map((_, place) => place);
      const articles = places.map((place) => showPrompt(place, prompts[place], beside, samples, marked)).filter(Boolean);
      document.getElementById("response-list").replaceChildren(...articles);
      say(
        "response-count",
        `${cell.model}: ${beside.map(({ name }) => name).join(" beside ")}; ${plural(articles.length, "prompt")}, ` +
          `${sample.value === "all" ? "all samples" : `sample ${Number(sample.value) + 1}`}; ` +
          `highlighted: markers of ${markers.value || "all stances"}.`,
      );
    });
  }

  const start = (id, show) => {
    const element = document.getElementById(id);
    if (element) show(element);
  };
  start("claim-choice", showClaims);
  start("matrix-choice", showMatrices);
  start("epochs", showEpochs);
  start("response-choice", (form) => setTimeout(() => showResponses(form))); // the page is painted first
}
