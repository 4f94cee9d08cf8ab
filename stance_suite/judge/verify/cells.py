"""Whether a cell's figures agree with each other, its texts and its spectra: what an editor would have to fake, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from math import isclose

import numpy as np

from stance_suite.judge.verify.differences import Discrepancy, differences, show
from stance_suite.measure.behavior.text_statistics import (
    count_words,
    distinct_bigrams,
    is_copied,
    repetition,
    words_of,
)
from stance_suite.schema.behavior import Behavior
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.controls import SHAM, SHUFFLED
from stance_suite.schema.findings import StanceSummary
from stance_suite.schema.replicates import CellIndex
from stance_suite.schema.spectra import CURVE_DIGITS, AlphaChange, LayerSpectrum
from stance_suite.spectra.power_law import alpha_change, fit_power_law, is_tail_flip
from stance_suite.spectra.spectrum_curve import curve_at

CHANGE_OF_FITS = ("total", "tail_choice", "tail_before", "tail_after", "tail_flip")
"""What a change of alpha can be recomputed from two fits alone."""
FIGURES_OF_A_FIT = ("alpha", "xmin", "ks_distance", "sigma", "tail_size")
RESOLUTION_OF_CURVES = 10.0 ** (1 - CURVE_DIGITS)
"""Figures of a curve are exact to this share of them."""


def check_cells(records: Sequence[CellRecord], stances: Mapping[str, StanceSummary]) -> Iterator[Discrepancy]:
    """Check that all figures of every cell follow from what they are made of, in it and in its controls."""
    index = CellIndex(records)
    for record in records:
        subject = name_of(record)
        yield from _check_responses(subject, record.behavior)
        yield from _check_fluency(subject, record.behavior)
        yield from _check_training_texts(record, stances)
        for layer in record.spectra:
            yield from _check_spectrum(subject, layer, f"spectra[{layer.name}]")
        base = index.base(record)
        if record.cell.recipe is not None and base is not None:
            yield from _check_changes(subject, record, base)
            for field in ("weights_sha256", "embedder_sha256"):
                ours, theirs = (getattr(one.provenance, field) for one in (record, base))
                yield from differences(subject, ours, theirs, f"provenance.{field}")
    yield from _check_controls(index)


def name_of(record: CellRecord) -> str:
    """Name a cell for a message."""
    return f"cell {record.cell.model}, {record.cell.label} [{record.key[:12]}]"


def _check_responses(subject: str, behavior: Behavior) -> Iterator[Discrepancy]:
    for kind, responses in (("responses", behavior.responses), ("resampled", behavior.resampled)):
        for one in responses:
            where = f"{kind}[{one.prompt}, sample {one.sample}]"
            if one.prompt not in behavior.prompt_texts:
                yield Discrepancy(subject, f"{where}.prompt", one.prompt, "no such prompt was asked")
            yield from differences(subject, one.words, count_words(one.text), f"{where}.words")
            for stance, hits in one.markers.items():
                ends = [0, *(position for hit in hits for position in (hit.start, hit.end)), len(one.text)]
                inside = all(start <= end for start, end in pairwise(ends)) and all(hit.start < hit.end for hit in hits)
                if not inside:
                    shown = ", ".join(f"{hit.start} to {hit.end}" for hit in hits)
                    expected = f"ascending positions within {len(one.text)} characters"
                    yield Discrepancy(subject, f"{where}.markers.{stance}", shown, expected)


def _check_fluency(subject: str, behavior: Behavior) -> Iterator[Discrepancy]:
    """Recompute the guards that come from responses; the perplexity comes from weights that are not kept."""
    if not behavior.responses:
        return
    texts = [response.text for response in behavior.responses]
    recomputed = {
        "distinct_bigrams": distinct_bigrams(texts),
        "repetition": sum(map(repetition, texts)) / len(texts),
        "words": sum(map(count_words, texts)) / len(texts),
        "copied": sum(is_copied(response.copied) for response in behavior.responses) / len(texts),
    }
    recorded = behavior.fluency.model_dump(include=set(recomputed))
    yield from differences(subject, recorded, recomputed, "fluency")


def unexpected_texts(
    record: CellRecord, is_expected: Callable[[str], bool], expected: str, shown: slice = slice(80)
) -> Iterator[Discrepancy]:
    """Name the texts that a cell was trained on and that are none of those expected."""
    for place, text in enumerate(() if record.training is None else record.training.texts):
        if not is_expected(text):
            yield Discrepancy(name_of(record), f"training.texts[{place}]", repr(text[shown]), expected)


def _check_training_texts(record: CellRecord, stances: Mapping[str, StanceSummary]) -> Iterator[Discrepancy]:
    """Check that texts trained on open with a training prompt, as the model was asked it when it was measured."""
    if record.training is None and record.cell.is_trained_here:
        yield Discrepancy(name_of(record), "training", "nothing", "what was trained on")
    behavior = record.behavior
    own = stances.get(record.cell.stance or "")
    prompts = behavior.seen_prompts if own is None else own.seen_prompts
    openings = tuple(behavior.prompt_texts[prompt] for prompt in prompts if prompt in behavior.prompt_texts)
    yield from unexpected_texts(record, lambda text: text.startswith(openings), "a training prompt of the family")


def _check_controls(index: CellIndex) -> Iterator[Discrepancy]:
    """Check that shams saw no answer of a stance, and controls of shuffled words the words of their stance."""
    for record in index.records:
        if record.training is None or not record.cell.is_on_stance:
            continue
        controls, own = index.controls(record), record.training.texts
        if SHAM in controls:
            yield from unexpected_texts(controls[SHAM], partial(_is_none_of, own), "no answer of a stance")
        if SHUFFLED in controls:
            expected = "the words of an answer of its stance"
            yield from unexpected_texts(controls[SHUFFLED], partial(_has_words_of, own), expected)


def _is_none_of(texts: Sequence[str], text: str) -> bool:
    return text not in texts


def _has_words_of(texts: Sequence[str], text: str) -> bool:
    return any(sorted(words_of(text)) == sorted(words_of(one)) for one in texts)


def _check_spectrum(subject: str, layer: LayerSpectrum, where: str) -> Iterator[Discrepancy]:
    """Hold curve and fit against each other; where the eigenvalues are kept, compute both once more."""
    yield from _check_lowest(subject, layer, where)
    if layer.eigenvalues is None:
        return
    values = np.array(layer.eigenvalues)
    if layer.fit is not None:
        fit = fit_power_law(values)
        recorded, recomputed = (
            None if one is None else one.model_dump(include=set(FIGURES_OF_A_FIT)) for one in (layer.fit, fit)
        )
        yield from differences(subject, recorded, recomputed, f"{where}.fit")
    if layer.curve is not None:
        # which points were chosen is nothing to verify
        curve = curve_at(values, layer.curve.sizes)
        yield from differences(subject, layer.curve.model_dump(), curve and curve.model_dump(), f"{where}.curve")


def _check_lowest(subject: str, layer: LayerSpectrum, where: str) -> Iterator[Discrepancy]:
    """Check that the fit is the lowest point of the curve, to the curve's digits."""
    curve, fit = layer.curve, layer.fit
    if curve is None or fit is None:
        return
    if fit.tail_size not in curve.sizes:
        yield Discrepancy(subject, f"{where}.fit.tail_size", str(fit.tail_size), "a size on the curve")
        return
    place = curve.sizes.index(fit.tail_size)
    lowest = min((one for one in curve.ks_distances if one is not None), default=None)
    for field, recorded, on_curve in (
        ("xmin", fit.xmin, curve.eigenvalues[place]),
        ("ks_distance", fit.ks_distance, curve.ks_distances[place]),
        ("ks_distance", fit.ks_distance, lowest),
    ):
        if on_curve is None or not isclose(recorded, on_curve, rel_tol=RESOLUTION_OF_CURVES):
            yield Discrepancy(subject, f"{where}.fit.{field}", show(recorded), show(on_curve))


def _check_changes(subject: str, record: CellRecord, base: CellRecord) -> Iterator[Discrepancy]:
    before, after = ({layer.name: layer for layer in one.spectra} for one in (base, record))
    for change in record.changes:
        if change.alpha_change is None or change.name not in before or change.name not in after:
            continue
        expected = _change(change.alpha_change, before[change.name], after[change.name])
        recorded = change.alpha_change.model_dump(include=set(expected))
        yield from differences(subject, recorded, expected, f"changes[{change.name}].alpha_change")


def _change(recorded: AlphaChange, before: LayerSpectrum, after: LayerSpectrum) -> dict[str, object]:
    if before.fit is None or after.fit is None:
        return dict.fromkeys(CHANGE_OF_FITS)
    if after.eigenvalues is not None:
        return alpha_change(before.fit, after.fit, np.array(after.eigenvalues)).model_dump()
    total = 100 * (after.fit.alpha / before.fit.alpha - 1)
    tails = before.fit.tail_size, after.fit.tail_size
    return {
        "total": total,
        "tail_choice": total - recorded.spectrum,
        "tail_before": tails[0],
        "tail_after": tails[1],
        "tail_flip": is_tail_flip(total, recorded.spectrum, *tails),
    }
