"""Pictures as SVG text, drawn by Vega-Lite; no script and no font leaves the file."""

from __future__ import annotations

import re
from typing import Any

from stance_suite.judgments import Verdict
from stance_suite.metrics import Metric
from stance_suite.records import CellRecord, Findings
from stance_suite.spectrum_records import LayerSpectrum

BEFORE, AFTER = "#4c6a92", "#d1752b"  # distinguishable with the common kinds of color blindness
CONTROL = "#8a8a8a"
PAIRED_COLORS = {"base": BEFORE, "sham": CONTROL, "tuned": AFTER}
LARGEST_SHOWN_PERCENT = 30
SHOWN_ABOVE_MINIMUM = 1.6  # tails that fit worse by this factor would squeeze the two minima
LEFT_OUT_OF_SPECTRA = 0.5  # the smaller half of the eigenvalues never reaches a tail and would squeeze the picture


def split_layer_name(name: str) -> tuple[int | None, str]:
    """Split a layer's long name into its depth and its role.

    Parameters
    ----------
    name : str
        Such as ``model.layers.15.self_attn.v_proj``.

    Returns
    -------
    depth : int or None
        Index of the block; None outside of blocks.
    role : str
        Rest of the name after the block; the last part outside of blocks.
    """
    found = re.search(r"\.(\d+)\.(.+)", name)
    return (int(found[1]), found[2]) if found else (None, name.rsplit(".", 1)[-1])


def alpha_map(findings: Findings) -> str | None:
    """Draw the change of alpha of every layer in every trained cell, as fitted and with the tail held fixed.

    Parameters
    ----------
    findings : Findings
        The findings.

    Returns
    -------
    str or None
        SVG; None if nothing was trained.
    """
    import altair as alt

    rows: list[dict[str, Any]] = [
        {"cell": _lines(record), "block": depth, "role": role, "kind": kind, "change": figure}
        for record in findings.cells
        for change in record.changes
        if change.alpha_change is not None
        for depth, role in [split_layer_name(change.name)]
        for kind, figure in (
            ("as fitted", change.alpha_change.total),
            ("tail held fixed", change.alpha_change.spectrum),
        )
        if depth is not None
    ]
    if not rows:
        return None
    roles: list[str] = list(dict.fromkeys(row["role"] for row in rows))
    cells: list[str] = list(dict.fromkeys(row["cell"] for row in rows))
    scale = alt.Scale(
        type="symlog",
        constant=0.1,
        scheme="blueorange",
        domain=[-LARGEST_SHOWN_PERCENT, LARGEST_SHOWN_PERCENT],
        domainMid=0,
        clamp=True,
    )
    chart = (
        alt.Chart(_data(rows))
        .mark_rect()
        .encode(
            x=alt.X("role:N", sort=roles, title=None, axis=alt.Axis(labelAngle=-90)),
            y=alt.Y("block:O", title="layer", axis=alt.Axis(values=list(range(0, 200, 5)))),
            color=alt.Color(
                "change:Q",
                scale=scale,
                title="change of alpha (%)",
                legend=alt.Legend(orient="bottom", gradientLength=300),
            ),
        )
        .properties(width=14 * len(roles), height=190)
        .facet(
            row=alt.Row("kind:N", title=None, header=alt.Header(labelFontWeight="bold")),
            column=alt.Column("cell:N", title=None, sort=cells, header=alt.Header(labelExpr="split(datum.label, '|')")),
            spacing=6,
        )
    )
    return _svg(chart)


def spectrum_picture(before: LayerSpectrum, after: LayerSpectrum) -> str:
    """Draw one layer's spectrum before and after, with both fitted tails.

    Parameters
    ----------
    before, after : LayerSpectrum
        The layer's spectra, with eigenvalues.

    Returns
    -------
    str
        SVG: share of eigenvalues at or above each eigenvalue, both axes logarithmic; a power law is a straight line.
    """
    import altair as alt

    points: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for when, layer in (("before", before), ("after", after)):
        values = [value for value in layer.eigenvalues or () if value > 0]
        count = len(values)
        points += [
            {"when": when, "eigenvalue": value, "share": (count - rank) / count}
            for rank, value in enumerate(values)
            if rank >= count * LEFT_OUT_OF_SPECTRA
        ]
        if layer.fit is not None:
            label = f"{when}: alpha {layer.fit.alpha:.3f} on {layer.fit.tail_size} eigenvalues"
            start = layer.fit.tail_size / count
            for value in (layer.fit.xmin, values[-1]):
                share = start * (value / layer.fit.xmin) ** (1 - layer.fit.alpha)
                lines.append({"when": when, "eigenvalue": value, "share": share, "fit": label})
    color = alt.Color("when:N", scale=alt.Scale(domain=["before", "after"], range=[BEFORE, AFTER]), title=None)
    fits = list(dict.fromkeys(line["fit"] for line in lines))
    x = alt.X("eigenvalue:Q", scale=alt.Scale(type="log", nice=False, padding=8), title="eigenvalue of WᵀW")
    y = alt.Y("share:Q", scale=alt.Scale(type="log"), title="share at or above")
    chart = alt.layer(
        alt.Chart(_data(points)).mark_point(size=18, filled=True, opacity=0.6).encode(x=x, y=y, color=color),
        alt.Chart(_data(lines))
        .mark_line(strokeWidth=2)
        .encode(
            x=x,
            y=y,
            color=color,
            detail="fit:N",
            strokeDash=alt.StrokeDash("when:N", sort=["before", "after"], legend=None),
        ),
    ).properties(width=430, height=260, title=alt.Title(before.name, subtitle=fits))
    return _svg(chart)


def tail_choice_picture(before: LayerSpectrum, after: LayerSpectrum) -> str:
    """Draw the KS distance over xmin before and after, with the chosen tails: why a tail flipped.

    Parameters
    ----------
    before, after : LayerSpectrum
        The layer's spectra, with eigenvalues and KS distances.

    Returns
    -------
    str
        SVG: the lowest point of each curve is the fit, the open point its runner-up.
    """
    import altair as alt

    curves: list[dict[str, Any]] = []
    chosen: list[dict[str, Any]] = []
    for when, layer in (("before", before), ("after", after)):
        distances, values = layer.ks_distances or (), layer.eigenvalues or ()
        starts = values[len(values) - len(distances) - 1 : -1]
        curves += [
            {"when": when, "xmin": start, "distance": distance}
            for start, distance in zip(starts, distances, strict=True)
            if distance < SHOWN_ABOVE_MINIMUM * min(distances)
        ]
        for kind, fit in (("fit", layer.fit), ("runner-up", layer.runner_up)):
            if fit is not None:
                label = f"{when}: {kind} alpha {fit.alpha:.3f} on {fit.tail_size}, D {fit.ks_distance:.4f}"
                point = {"when": when, "xmin": fit.xmin, "distance": fit.ks_distance}
                chosen.append(point | {"kind": kind, "label": label})
    color = alt.Color("when:N", scale=alt.Scale(domain=["before", "after"], range=[BEFORE, AFTER]), title=None)
    x = alt.X(
        "xmin:Q", scale=alt.Scale(type="log", nice=False, padding=8), title="xmin: the tail starts at this eigenvalue"
    )
    y = alt.Y("distance:Q", title="KS distance between tail and fit", scale=alt.Scale(zero=False))
    chart = alt.layer(
        alt.Chart(_data(curves))
        .mark_line(strokeWidth=1.5)
        .encode(
            x=x,
            y=y,
            color=color,
            strokeDash=alt.StrokeDash("when:N", sort=["before", "after"], legend=None),
        ),
        alt.Chart(_data([point for point in chosen if point["kind"] == "fit"]))
        .mark_point(size=70, filled=True, opacity=1)
        .encode(x=x, y=y, color=color),
        alt.Chart(_data([point for point in chosen if point["kind"] == "runner-up"]))
        .mark_point(size=160, strokeWidth=2)
        .encode(x=x, y=y, color=color),
    ).properties(
        width=430, height=220, title=alt.Title(before.name, subtitle=[str(point["label"]) for point in chosen])
    )
    return _svg(chart)


def paired_picture(verdict: Verdict) -> str:
    """Draw each held-out prompt's score under base, sham and fine-tuning.

    Parameters
    ----------
    verdict : Verdict
        A behavioral verdict.

    Returns
    -------
    str
        SVG: a line a prompt.
    """
    import altair as alt

    claim = verdict.claim
    shown = {"base": "noise" if claim.metric is Metric.DIVERGENCE else "base", "sham": "sham", "tuned": "tuned"}
    rows = [
        {"cell": shown[name], "prompt": scores.prompt, "score": getattr(scores, name)}
        for scores in verdict.prompts
        for name in PAIRED_COLORS
        if getattr(scores, name) is not None  # there is no sham if the model was trained elsewhere
    ]
    drawn = {row["cell"] for row in rows}
    names = [name for name in shown.values() if name in drawn]
    colors = [PAIRED_COLORS[name] for name in shown if shown[name] in drawn]
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("cell:N", sort=names, title=None, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("score:Q", title=f"{claim.metric} ({claim.metric.unit})", scale=alt.Scale(zero=False)),
    )
    color = alt.Color("cell:N", scale=alt.Scale(domain=names, range=colors), legend=None)
    chart = alt.layer(
        base.mark_line(color=CONTROL, opacity=0.5).encode(detail="prompt:N"),
        base.mark_point(filled=True, size=40, opacity=1).encode(color=color),
    ).properties(width=300, height=220, title=alt.Title(claim.stance, subtitle=f"{claim.recipe}, a line a prompt"))
    return _svg(chart)


def verdict_picture(verdict: Verdict, findings: Findings) -> str | None:
    """Draw what a verdict rests on.

    Parameters
    ----------
    verdict : Verdict
        The verdict.
    findings : Findings
        Findings that hold its cells.

    Returns
    -------
    str or None
        SVG; None if there is nothing to draw.
    """
    if verdict.prompts:
        return paired_picture(verdict)
    cells = {record.key: record for record in findings.cells}
    if verdict.layer is None or any(key not in cells for key in verdict.cells):
        return None
    tuned, base = (_spectrum(cells[key], verdict.layer) for key in verdict.cells[:2])
    return None if base is None or tuned is None else spectrum_picture(base, tuned)


def most_changed_spectra(findings: Findings) -> list[tuple[CellRecord, str, tuple[str, str]]]:
    """Draw the layer whose alpha changed most, for every cell under test.

    Parameters
    ----------
    findings : Findings
        The findings.

    Returns
    -------
    list of (CellRecord, str, (str, str))
        Cell, name of the layer, and as SVG its spectrum and its choice of the tail; the largest change first.
    """
    bases = {record.provenance.weights_sha256: record for record in findings.cells if record.cell.treatment == "base"}
    drawn = []
    for record in findings.cells:
        top = record.most_changed_layer
        base = bases.get(record.provenance.weights_sha256)
        if top is None or top.alpha_change is None or base is None or not record.cell.is_under_test:
            continue
        before, after = _spectrum(base, top.name), _spectrum(record, top.name)
        if before is not None and after is not None:
            pictures = spectrum_picture(before, after), tail_choice_picture(before, after)
            drawn.append((abs(top.alpha_change.total), record, top.name, pictures))
    drawn.sort(key=lambda entry: -entry[0])
    return [(record, name, svgs) for _, record, name, svgs in drawn]


def _spectrum(record: CellRecord, layer: str | None) -> LayerSpectrum | None:
    found = (spectrum for spectrum in record.spectra if spectrum.name == layer and spectrum.eigenvalues is not None)
    return next(found, None)


def _lines(record: CellRecord) -> str:
    """Name a cell in lines that Vega splits at the bar."""
    cell = record.cell
    seed = [f"seed {cell.seed}"] if cell.seed else []
    what = (
        "trained elsewhere" if cell.treatment == "elsewhere" else f"{cell.stance or cell.treatment}|{cell.recipe or ''}"
    )
    return "|".join([cell.model, what, *seed])


def _data(rows: list[dict[str, Any]]) -> Any:
    return {"values": rows}


def _svg(chart: Any) -> str:
    import vl_convert

    styled = chart.configure(font="sans-serif", background="white").configure_view(stroke=None)
    svg: str = vl_convert.vegalite_to_svg(styled.to_json())
    return svg
