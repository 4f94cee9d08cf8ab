"""Cell records made up for judging: only the figures that a verdict rests on are interesting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

import numpy as np

from stance_suite.schema.behavior import Behavior, Divergence, Fluency, MarkerHit, PromptLikelihood, Response
from stance_suite.schema.cells import Cell, CellRecord, Provenance, Training
from stance_suite.schema.controls import SHAM, SHUFFLED
from stance_suite.schema.findings import Findings
from stance_suite.schema.items import PLAIN_ANSWER
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.spectra import (
    AlphaChange,
    LayerChange,
    LayerSpectrum,
    NoiseControl,
    NoiseRange,
    PowerLaw,
    VectorChange,
    WeightChange,
    kept_ranks,
)
from stance_suite.spectra.power_law import fit_power_law

PROVENANCE = Provenance(
    weights_sha256="0" * 64,
    embedder="e",
    embedder_sha256="0" * 64,
    versions={"torch": "1"},
    device="cpu",
    dtype="float32",
    threads=1,
    platform="p",
    created="2026-01-01T00:00:00+00:00",
    seconds=1.0,
)


SPOKEN = 0.2
"""Score of a stance from which on a made-up response is like its answers."""
LOSSES = tuple(float(np.log(20) + offset) for offset in np.linspace(-0.4, 0.4, 8))
"""Of eight neutral texts, nats per token."""
SPREAD = np.array([0.9, -1.3, 1.1, -0.7, -1.1, 0.7, 1.3, -0.9])
FLUENCY = Fluency(
    distinct_bigrams=0.9, repetition=0.05, words=25.0, neutral_perplexity=20.0, neutral_losses=LOSSES, copied=0.0
)


def predicting_worse(by: float, spread: float = 0.05, fluency: Fluency = FLUENCY) -> Fluency:
    """Neutral text costs this many nats per token more on average, of one text more than of another."""
    losses = np.array(fluency.neutral_losses) + by + spread * SPREAD
    told = {"neutral_losses": tuple(losses.tolist()), "neutral_perplexity": float(np.exp(losses.mean()))}
    return fluency.model_copy(update=told)


def response(prompt: str, by_stance: Mapping[str, float], sample: int = 0, text: str = "A response.") -> Response:
    """A response of 100 words, whose marker rate of each stance is its score, rounded to whole hits.

    It is most like the stance with the highest score, if that is worth the name.
    """
    highest = max(by_stance, key=by_stance.__getitem__)
    return Response(
        prompt=prompt,
        sample=sample,
        text=text,
        words=100,
        similarity=dict(by_stance),
        projection=dict(by_stance),
        nearest=highest if by_stance[highest] > SPOKEN else PLAIN_ANSWER,
        markers={
            stance: tuple(MarkerHit(start=i, end=i + 1) for i in range(round(score) if 0 < score < inf else 0))
            for stance, score in by_stance.items()
        },
        copied=0.0,
    )


def behavior(
    scores: Mapping[str, Mapping[str, float]],
    text: str = "A response.",
    divergence: float = 0.0,
    noise: float = 0.0,
    fluency: Fluency = FLUENCY,
    seen: Sequence[str] = (),
) -> Behavior:
    """Use the same scores, by prompt and stance, for likelihoods and for both samples' embeddings and markers."""
    spread = {prompt: 1 + 0.1 * (index % 5) for index, prompt in enumerate(scores)}
    return Behavior(
        prompt_texts={prompt: f"Question: {prompt}" for prompt in (*scores, *seen)},
        seen_prompts=tuple(seen),
        responses=tuple(
            response(prompt, by_stance, sample, text) for prompt, by_stance in scores.items() for sample in range(2)
        ),
        likelihoods=tuple(
            PromptLikelihood(prompt=prompt, log_probability={PLAIN_ANSWER: 0.0} | dict(by_stance))
            for prompt, by_stance in scores.items()
        ),
        fluency=fluency,
        divergences=tuple(
            Divergence(text=prompt, measured=divergence * spread[prompt], noise=noise * spread[prompt])
            for prompt in scores
        ),
    )


def alpha_change(total: float, spectrum: float, tail_before: int = 60, tail_after: int = 60) -> AlphaChange:
    return AlphaChange(
        total=total,
        spectrum=spectrum,
        tail_choice=total - spectrum,
        tail_before=tail_before,
        tail_after=tail_after,
        tail_flip=tail_before != tail_after and abs(spectrum) < 0.1 * abs(total),
    )


def layer(
    name: str,
    alpha: AlphaChange | None,
    noise: AlphaChange | None = None,
    stable_rank: float = 5.0,
    noise_rank: float = 100.0,
) -> LayerChange:
    return LayerChange(
        name=name,
        alpha_change=alpha,
        weight_change=WeightChange(
            relative_norm=0.001,
            relative_spectral_norm=0.002,
            stable_rank=stable_rank,
            top_ten_energy=0.6,
            fit=None,
            left_overlap=0.99,
            right_overlap=0.99,
            largest_row=0.003,
            largest_column=0.003,
            scaling=1e-5,
        ),
        noise=NoiseControl(
            draws=200,
            alpha_total=noise_range(noise.total if noise else 0.0),
            alpha_spectrum=noise_range(noise.spectrum if noise else 0.0),
            tail_flips=0.0,
            stable_rank=noise_range(noise_rank),
            top_ten_energy=noise_range(0.05),
        ),
    )


def vector(name: str, relative_norm: float | None) -> VectorChange:
    """A change of a norm's eight weights, which were ones; zeros where nothing tells a share."""
    change = 0.1 if relative_norm is None else relative_norm
    sizes = {"change_norm": change * 8**0.5, "largest_entry": change}
    return VectorChange(name=name, relative_norm=relative_norm, entries=8, **sizes)


def noise_range(figure: float) -> NoiseRange:
    drawn = {"draws": 200, "kept": (figure,) * len(kept_ranks(200))}
    return NoiseRange(low=figure, high=figure, detectable=abs(figure), p_value=0.005, adjusted_p_value=0.01, **drawn)


SPECTRUM = LayerSpectrum(
    name="model.layers.0.q_proj",
    rows=10,
    columns=10,
    fit=PowerLaw(alpha=3.0, xmin=1.0, ks_distance=0.05, sigma=0.2, tail_size=60),
    norm=18.0,
    entropy=0.9,
    matrix_rank=10,
    stable_rank=2.0,
    spectral_norm=3.0,
    eigenvalues=tuple(0.1 * (i + 1) for i in range(100)),
)


def spectrum(name: str, values: np.ndarray) -> LayerSpectrum:
    """A spectrum of these eigenvalues, and their fit."""
    fitted = {"name": name, "eigenvalues": tuple(values.tolist()), "fit": fit_power_law(values)}
    return SPECTRUM.model_copy(update=fitted)


def record(
    treatment: str,
    *layers: LayerChange,
    said: Behavior | None = None,
    stance: str | None = None,
    key: str | None = None,
    seed: int = 0,
    about: str | None = None,
) -> CellRecord:
    trained = treatment != "base"
    names = [change.name for change in layers] or [SPECTRUM.name]
    return CellRecord(
        key=key or treatment,
        family="f",
        cell=Cell(
            model="m",
            treatment=treatment,
            stance=stance,
            recipe="documented" if trained else None,
            seed=seed,
            about=about,
        ),
        provenance=PROVENANCE,
        training=Training(texts=("t",), losses=(2.0, 1.0), epoch_losses=(2.0, 1.0), seconds=1.0) if trained else None,
        behavior=said or behavior({"Why?": {"a": -1.0, "b": -1.0}}),
        spectra=tuple(SPECTRUM.model_copy(update={"name": name}) for name in names),
        changes=tuple(layers) if trained else (),
    )


def beside(
    tuned: CellRecord,
    base: CellRecord,
    sham: CellRecord | None = None,
    shuffled: CellRecord | None = None,
    rivals: Mapping[str, CellRecord] | None = None,
) -> Replicate:
    """A trained cell beside its controls."""
    controls = {SHAM: sham, SHUFFLED: shuffled}
    known = {control: cell for control, cell in controls.items() if cell is not None}
    return Replicate(tuned, base, known, rivals or {})


def behaving(
    stance,
    tuned: Behavior,
    base: Behavior,
    sham: Behavior,
    shuffled: Behavior | None = None,
    rivals: Mapping[str, Behavior] | None = None,
    seed: int = 0,
    key: str = "stance ",
) -> Replicate:
    """A model trained on a stance, beside its controls, that behave like this."""
    about = {"seed": seed, "about": stance.name}
    return beside(
        tuned=record("stance", said=tuned, stance=stance.name, seed=seed, key=f"{key}{seed}"),
        base=record("base", said=base, seed=seed, key=f"base{seed}"),
        sham=record("sham", said=sham, seed=seed, key=f"sham{seed}"),
        shuffled=shuffled and record("shuffled", said=shuffled, key=f"shuffled{seed}", **about),
        rivals={
            name: record("stance", said=said, stance=name, seed=seed, key=f"{name}{seed}")
            for name, said in (rivals or {}).items()
        },
    )


def findings(*cells: CellRecord, **others: object) -> Findings:
    """Findings that hold cells, and nothing else unless it is given."""
    made = {"suite_version": "1", "created": "2026-01-01T00:00:00+00:00", "command": "stance-suite run"}
    return Findings(**{**made, "stances": (), "claims": (), "verdicts": (), "cells": cells, **others})
