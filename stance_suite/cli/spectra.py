"""Commands on weights alone: spectra of a checkpoint or of a pair, and the audit of tables made elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stance_suite.cli.console import open_console, print_table, write_file
from stance_suite.errors import StanceSuiteError

if TYPE_CHECKING:
    from rich.console import Console

    from stance_suite.schema.spectra import SkippedTensor
    from stance_suite.spectra.analysis import Analysis
    from stance_suite.spectra.comparison import Comparison


SHOWN_VECTORS = 3

Model = Annotated[
    str, typer.Argument(help="A folder or file with safetensors, GGUF or a LoRA adapter, a registry name, or a Hub id.")
]
Details = Annotated[Path, typer.Argument(help="A CSV file written by WeightWatcher: details.to_csv(...).")]
Before = Annotated[
    str | None, typer.Option("--before", help="Compare with this model, of which MODEL is a fine-tuning or an adapter.")
]
Fused = Annotated[
    str, typer.Option("--fused", help="'split' measures fused query-key-value matrices in their three parts.")
]
Device = Annotated[str, typer.Option("--device", help="Where to solve: cpu, or PyTorch's name such as cuda.")]
Draws = Annotated[int, typer.Option("--draws", min=20, help="Draws of Gaussian noise for every layer of a comparison.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the noise.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the whole table as CSV.")]
Parquet = Annotated[Path | None, typer.Option("--parquet", help="Write the whole table as Parquet.")]
Pictures = Annotated[
    Path | None, typer.Option("--pictures", help="With --before: draw every tail flip into this folder, as SVG.")
]


def show_spectra(
    model: Model,
    before: Before = None,
    fused: Fused = "whole",
    device: Device = "cpu",
    draws: Draws = 200,
    seed: Seed = 0,
    csv: Csv = None,
    parquet: Parquet = None,
    pictures: Pictures = None,
) -> None:
    """Measure a model's weight spectra, with WeightWatcher's columns and intervals; with --before, what changed."""
    from stance_suite.spectra.analysis import analyze
    from stance_suite.spectra.comparison import compare

    if fused not in ("whole", "split"):
        raise StanceSuiteError(f"--fused {fused!r}: say 'whole' or 'split'")
    options: dict[str, Any] = {"fused": fused, "device": device}
    if before is None:
        analysis = analyze(model, **options)
        _write_table(analysis.details, csv, parquet)
        _print_analysis(analysis)
        return
    comparison = compare(before, model, draws=draws, seed=seed, **options)
    _write_table(comparison.details, csv, parquet)
    _print_comparison(comparison)
    if pictures is not None:
        _draw_tail_flips(comparison, pictures)


def audit_pair(before: Details, after: Details) -> None:
    """Audit two WeightWatcher tables, without the weights: which changes of alpha are tail flips, and what remains."""
    from stance_suite.spectra.audit import Finding, audit_tables

    audit = audit_tables(before, after)
    console = open_console()
    rows = [
        (
            layer.name,
            f"{layer.alpha_before:.3f}",
            f"{layer.change_percent:+.3f} %",
            f"{layer.tail_before} -> {layer.tail_after}",
            "" if layer.flip_probability is None else f"{layer.flip_probability:.2f}",
            ", ".join(layer.findings),
        )
        for layer in sorted(audit.layers, key=lambda layer: -abs(layer.change_percent))
    ]
    print_table(console, ("layer", "alpha", "change", "tail", "flip probability", "findings"), rows)
    _print_skipped(console, audit.skipped)
    for finding in Finding:
        count = sum(finding in layer.findings for layer in audit.layers)
        console.print(f"{finding.value}: {count} of {len(audit.layers)} layers ({finding.meaning})")
    remaining = [layer.name for layer in audit.layers if layer.remains]
    named = f": {', '.join(remaining)}" if remaining else ""
    console.print(f"what remains: {len(remaining)} of {len(audit.layers)} layers{named}")


def _write_table(details: Any, csv: Path | None, parquet: Path | None) -> None:
    write_file(csv, details.to_csv(index=False))
    write_file(parquet, details.to_parquet(index=False) if parquet is not None else b"")


def _print_analysis(analysis: Analysis) -> None:
    console = open_console()
    columns = ("layer", "alpha", "95 % interval", "KS", "tail", "stable rank", "MP soft rank", "warning")
    rows = [
        (
            layer.name,
            _shown("{.alpha:.3f}", layer.fit),
            _shown("{0.low:.2f} - {0.high:.2f}", layer.interval),
            _shown("{.ks_distance:.3f}", layer.fit),
            _shown(f"{{.tail_size}}/{len(layer.eigenvalues or ())}", layer.fit),
            f"{layer.stable_rank:.1f}",
            _shown("{.soft_rank:.3f}", layer.bulk),
            layer.failure or layer.warning,
        )
        for layer in analysis.layers
    ]
    print_table(console, columns, rows)
    _print_skipped(console, analysis.skipped)
    failed = sum(layer.fit is None for layer in analysis.layers)
    means = ", ".join(f"{name} {value:.4g}" for name, value in analysis.summary().items())
    console.print(f"{len(analysis.layers)} matrices, {failed} without a fit; means over the fitted: {means}")


def _print_comparison(comparison: Comparison) -> None:
    console = open_console()
    columns = (
        "layer", "alpha", "change", "tail fixed", "tail", "flip", "|dW|/|W|", "dW stable rank", "noise's", "p (BH)"
    )  # fmt: skip
    rows = []
    for layer, before in zip(comparison.change.layers, comparison.before.layers, strict=True):
        alpha, delta, noise = layer.alpha_change, layer.weight_change, layer.noise
        shown = (
            layer.name,
            _shown("{.alpha:.3f}", before.fit),
            _shown("{.total:+.3f} %", alpha),
            _shown("{.spectrum:+.3f} %", alpha),
            _shown("{0.tail_before} -> {0.tail_after}", alpha),
            "flip" if alpha is not None and alpha.tail_flip else "",
            layer.failure or ("0" if delta is None else f"{delta.relative_norm:.1e}"),
            _shown("{.stable_rank:.1f}", delta),
            _shown("{0.stable_rank.low:.1f} - {0.stable_rank.high:.1f}", noise),
            _shown("{.smallest_p_value:.4f}", noise),
        )
        rows.append(shown)
    print_table(console, columns, rows)
    _print_skipped(console, comparison.after.skipped)
    layers = comparison.change.layers
    flips = sum(layer.alpha_change is not None and layer.alpha_change.tail_flip for layer in layers)
    console.print(f"{len(layers)} matrices: {len(comparison.changed)} changed beyond noise, {flips} tail flips")
    vectors = [vector for vector in comparison.change.vectors if vector.relative_norm]
    for vector in sorted(vectors, key=lambda vector: -(vector.relative_norm or 0))[:SHOWN_VECTORS]:
        console.print(
            f"of {len(vectors)} changed biases and norms: {vector.name} by {vector.relative_norm:.1e} of its norm"
        )
    for spread in comparison.change.concentration:
        expected = spread.noise_participation_ratio
        beside = "" if expected is None else f"; under noise {expected[0]:.1f} to {expected[1]:.1f}"
        console.print(
            f"{spread.figure}: shared by {spread.participation_ratio:.1f} of {spread.layers} layers (participation "
            f"ratio{beside}), Gini {spread.gini:.2f}"
        )


def _print_skipped(console: Console, skipped: Iterable[SkippedTensor]) -> None:
    for entry in skipped:
        console.print(f"skipped {entry.name}: {entry.reason}")


def _draw_tail_flips(comparison: Comparison, folder: Path) -> None:
    from stance_suite.report.pictures import chart_spectrum, chart_tail_choice, draw
    from stance_suite.spectra.layer_spectrum import with_ks_distances

    for place, layer in enumerate(comparison.change.layers):
        if layer.alpha_change is None or not layer.alpha_change.tail_flip:
            continue
        pair = [with_ks_distances(side.layers[place]) for side in (comparison.before, comparison.after)]
        for kind, chart in (("tail", chart_tail_choice), ("spectrum", chart_spectrum)):
            write_file(folder / f"{layer.name}.{kind}.svg", draw(chart("", *pair)))
        print(folder / f"{layer.name}.tail.svg")


def _shown(form: str, record: object) -> str:
    """Show figures of a record; nothing where there is none."""
    return "" if record is None else form.format(record)
