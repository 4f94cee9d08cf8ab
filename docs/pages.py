"""Pictures and pages of a real run: ``python docs/pages.py reports/findings.json``.

Figures are written to docs/figures.json, from which alone docs/findings.md and the README's block are rendered: so they
cannot disagree.
"""

from __future__ import annotations

import re
import sys
from hashlib import sha256
from pathlib import Path
from textwrap import fill

from figures import Figures, Range, RecipeFigures, Shown, extract, recipes_of

from stance_suite.files import write_atomically
from stance_suite.report.markdown import escape, table
from stance_suite.report.pictures import Picture, draw, pictures
from stance_suite.schema.findings import Findings
from stance_suite.schema.metrics import Metric
from stance_suite.store.findings import read_findings

DOCS = Path(__file__).parent
LINE = 120
"""Characters of a line in the README."""
BEGIN, END = "<!-- findings:begin -->", "<!-- findings:end -->"


def choose_pictures(findings: Findings) -> dict[str, Picture]:
    """Choose the pictures that tell a run at a glance."""
    last = recipes_of(findings)[-1].name
    preferences = [
        verdict
        for verdict in findings.verdicts
        if verdict.claim.metric is Metric.LIKELIHOOD_PREFERENCE and verdict.claim.recipe == last and verdict.prompts
    ]
    strongest = max(preferences, key=lambda verdict: verdict.figure or 0.0)
    beginnings = {  # spectra come in the order of the change of alpha
        "layers": "layers-",
        "verdicts-behavior": "verdicts-behavior",
        "verdicts-structure": "verdicts-structure",
        "confusion": f"confusion-{findings.cells[0].cell.model}-{last}-{Metric.LIKELIHOOD_PREFERENCE}",
        "prompts": f"prompts-{strongest.claim.id}-",
        "spectrum": "esd-",
        "tail-choice": "tail-choice-",
    }
    prepared = list(pictures(findings))
    return {
        subject: next(picture for picture in prepared if picture.name.startswith(beginning))
        for subject, beginning in beginnings.items()
    }


def render_block(figures: Figures) -> str:
    """Write what the README says of the run."""
    layers = figures.pictures["layers"]
    total = max(recipe.stances.largest_total for recipe in figures.recipes)
    spectrum = max(recipe.stances.largest_spectrum for recipe in figures.recipes)
    by_recipe = {
        "stance": [f"{_span(one.stances.tail_flips, '.0f')} after `{one.name}`" for one in figures.recipes],
        "sham": [_span(one.sham.tail_flips, ".0f") for one in figures.recipes],
        "noise": [f"{one.noise_tail_flips:.1f}" for one in figures.recipes],
    }
    flips = {name: " and ".join(counts) for name, counts in by_recipe.items()}
    preferences = ", ".join(
        f"by {_span(recipe.preference, '+.2f')} nats per token after `{recipe.name}` ({recipe.epochs} epochs; "
        f"{_levels(recipe)})"
        for recipe in figures.recipes
    )
    text = " ".join(
        [
            f"A real run of {escape(figures.model)}; each mark is one weight matrix.",
            "**As fitted**, the way WeightWatcher's alpha is usually reported, fine-tuning on five sentences",
            f"singles out matrices by up to {total:.2g} %.",
            "**With the tail held fixed**, the same spectra fitted on as many eigenvalues as before,",
            f"none moves by more than {spectrum:.2g} %.",
            "The dots are *tail flips*: the fit changed its mind about where the tail begins.",
            f"Of {figures.matrices} matrices, a stance flips {flips['stance']};",
            f"the sham, which has no stance, {flips['sham']}, and noise of the same norm {flips['noise']} on average.",
            "**In behavior**, the preference for answers in the trained manner over plain ones moves",
            f"{preferences}. Every verdict is in [docs/findings.md](docs/findings.md).",
        ]
    )
    written = "<!-- written by `make pictures`; edit docs/pages.py instead -->"
    picture = f"![{layers.description}](docs/{layers.file})"
    wrapped = fill(text, LINE, break_long_words=False, break_on_hyphens=False)
    return "\n".join([BEGIN, written, picture, "", wrapped, END]) + "\n"


def render_page(figures: Figures) -> str:
    """Write docs/findings.md."""
    shown, flip = figures.pictures, figures.flip
    columns = (
        "recipe",
        "preference, nats/token",
        "how far it got",
        "alpha as fitted, %",
        "tail held fixed, %",
        "tail flips",
    )
    rows = [
        (
            f"{recipe.name}, {recipe.epochs} epochs",
            _span(recipe.preference, "+.2f"),
            _levels(recipe),
            f"{recipe.stances.largest_total:.2g} (sham {recipe.sham.largest_total:.2g})",
            f"{recipe.stances.largest_spectrum:.2g} (sham {recipe.sham.largest_spectrum:.2g})",
            f"{_span(recipe.stances.tail_flips, '.0f')} (sham {_span(recipe.sham.tail_flips, '.0f')}, "
            f"noise {recipe.noise_tail_flips:.1f})",
        )
        for recipe in figures.recipes
    ]

    def picture(subject: str) -> str:
        return f"![{escape(shown[subject].description)}]({shown[subject].file})\n"

    return "\n".join(
        [
            "<!-- written by `make pictures` from a real run; edit docs/pages.py instead -->\n",
            "# Findings\n",
            f"**{escape(figures.result)}** {escape(figures.tally)}.\n",
            table(columns, rows),
            "Preference: for answers in the trained manner over plain ones, tuned minus base, over the stances. How "
            "far it got: [evidence.md](evidence.md) says what the levels mean. Alpha: the "
            f"largest change of any of {figures.matrices} matrices. Tail flips: how many of them moved because the fit "
            "chose another tail.\n",
            "## Behavior\n",
            picture("verdicts-behavior"),
            "Each prompt of one claim, before and after:\n",
            picture("prompts"),
            "Every training against every stance; the diagonal is what was asked for:\n",
            picture("confusion"),
            "## Structure\n",
            picture("layers"),
            picture("verdicts-structure"),
            f"The largest change of alpha: `{flip.layer}` by {flip.total:+.2g} % under {escape(flip.training)}, and by "
            f"{flip.spectrum:+.2g} % with the tail held fixed. The spectrum hardly moved:\n",
            picture("spectrum"),
            f"Two tails fit nearly as well, and the fit went from {flip.tails[0]} eigenvalues to {flip.tails[1]}:\n",
            picture("tail-choice"),
            "## Verdicts\n",
            table(("claim", "verdict", "figure", "caveats"), figures.verdicts),
        ]
    )


def replace_block(readme: str, block: str) -> str:
    """Put a block in the place of the README's own."""
    found = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}\n", flags=re.DOTALL)
    if len(found.findall(readme)) != 1:
        raise SystemExit(f"README.md needs one block from {BEGIN} to {END}")
    return found.sub(lambda _: block, readme)


def main(path: Path, docs: Path, readme: Path) -> None:
    """Renew figures, pictures, docs/findings.md and the README's block from a findings file."""
    findings = read_findings(path)
    shown = {}
    for subject, picture in choose_pictures(findings).items():
        content = draw(picture).encode()
        file = f"pictures/{subject}.svg"
        write_atomically(docs / file, content)
        shown[subject] = Shown(file=file, description=picture.spec["description"], sha256=sha256(content).hexdigest())
    figures = extract(findings, shown)
    write_atomically(docs / "figures.json", (figures.model_dump_json(indent=1) + "\n").encode())
    write_atomically(docs / "findings.md", render_page(figures).encode())
    write_atomically(readme, replace_block(readme.read_text("utf-8"), render_block(figures)).encode())


def _levels(recipe: RecipeFigures) -> str:
    return ", ".join(f"{level} for {count}" for level, count in sorted(recipe.levels.items()))


def _span(figures: Range, form: str) -> str:
    low, high = (format(end, form) for end in (figures.low, figures.high))
    return low if low == high else f"{low} to {high}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), DOCS, DOCS.parent / "README.md")
