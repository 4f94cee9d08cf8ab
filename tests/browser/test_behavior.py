"""Behavior: every prompt before and after, every training against every stance, and what the models wrote."""

from collections.abc import Sequence

import pytest
from playwright.sync_api import Locator, Page, expect

from stance_suite.schema.behavior import Response
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.findings import Findings
from stance_suite.schema.verdicts import Verdict
from tests.browser.acting import choose, number

pytestmark = pytest.mark.browser

SHOWN = 0.006
"""Three digits are shown: figures differ by less than this share."""


@pytest.fixture
def section(page: Page) -> Locator:
    return page.get_by_role("region", name="Behavior").first


def compared(findings: Findings) -> list[Verdict]:
    return [verdict for verdict in findings.verdicts if verdict.prompts]


def about(claim: Claim) -> dict[str, str]:
    return {"Model": claim.model, "Recipe": claim.recipe, "Measure": claim.metric, "Stance": claim.stance}


def texts(rows: Locator) -> list[list[str]]:
    """What the cells of a table's rows say, in one call."""
    return rows.evaluate_all("rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))")


def test_each_claim_has_its_prompts_figures_and_pictures(section, findings):
    form = section.get_by_role("form", name="Choose a training and a measure")
    for verdict in compared(findings):
        choose(form, **about(verdict.claim))
        panel = section.locator("#claim-panels article").filter(has_text=verdict.claim.id)
        expect(panel).to_have_count(1)
        expect(panel.locator(".chart svg")).to_have_count(2)
        dots = panel.locator(".chart svg").first.locator("g.mark-symbol.role-mark path")
        known = [
            score
            for one in verdict.prompts
            for score in (one.base, *one.controls.values(), one.tuned)
            if score is not None
        ]
        expect(dots).to_have_count(len(known))
        panel.get_by_text("Figures of").click()
        rows = panel.get_by_role("table").first.locator("tbody tr")
        expect(rows).to_have_count(len(verdict.prompts))
        for (prompt, *shown), scores in zip(texts(rows), verdict.prompts, strict=True):
            assert prompt == scores.prompt
            before, *_, after, change = map(number, shown)
            assert before == pytest.approx(scores.base, rel=SHOWN)
            assert after == pytest.approx(scores.tuned, rel=SHOWN)
            assert change == pytest.approx(scores.tuned - scores.base, rel=SHOWN, abs=1e-4)


def test_confusion_matrices_show_every_shift(section, findings):
    form = section.get_by_role("form", name="Choose a confusion matrix")
    for model, recipe, metric in dict.fromkeys((one.model, one.recipe, one.metric) for one in findings.shifts):
        choose(form, Model=model, Recipe=recipe, Measure=metric)
        matrix = section.get_by_role("region", name=f"{metric}, {model}, {recipe}", exact=True)
        expect(matrix).to_be_visible()
        heads = [name.removeprefix("toward ") for name in matrix.get_by_role("columnheader").all_inner_texts()[1:]]
        shown = {}
        for row in matrix.locator("tbody tr").all():
            figures = map(number, row.locator(".value").all_inner_texts())
            shown[row.get_by_role("rowheader").inner_text()] = dict(zip(heads, figures, strict=True))
        for shift in findings.shifts:
            if (shift.model, shift.recipe, shift.metric) == (model, recipe, metric):
                assert shown[shift.trained][shift.measured] == pytest.approx(shift.effect, rel=1e-3, abs=1e-4)


@pytest.fixture
def tuned(findings) -> CellRecord:
    return next(record for record in findings.cells if record.cell.treatment == "stance")


class TestResponses:
    @pytest.fixture
    def form(self, section, tuned) -> Locator:
        form = section.get_by_role("form", name="Choose responses")
        cell = tuned.cell
        choose(form, **{"Model": cell.model, "Recipe": cell.recipe, "Trained on": cell.stance, "Seed": str(cell.seed)})
        return form

    def test_stand_side_by_side_sample_by_sample(self, section, form, findings, tuned):
        asked = held_out(findings, tuned.cell.stance)
        for sample in sorted({one.sample for one in tuned.behavior.responses}):
            choose(form, Sample=str(sample + 1))
            for kind, record in (("base", findings.index.base(tuned)), ("tuned", tuned)):
                assert shown_texts(section, kind) == [one.text for one in said(record, asked, sample)]
        expect(section.get_by_role("status").filter(has_text="highlighted")).to_contain_text(f"sample {sample + 1}")

    def test_have_the_stances_markers_highlighted(self, section, form, findings, tuned):
        """And nothing else; there may be none: that depends on what the model said on this machine."""
        asked, stance = held_out(findings, tuned.cell.stance), tuned.cell.stance
        for sample in sorted({one.sample for one in tuned.behavior.responses}):
            choose(form, Sample=str(sample + 1), Markers=stance)
            found = section.locator("#response-list figure.tuned").evaluate_all(
                "figures => figures.map(figure => [...figure.querySelectorAll('mark')].map(mark => mark.textContent))"
            )
            responses = said(tuned, asked, sample)
            assert found == [[one.text[hit.start : hit.end] for hit in one.markers[stance]] for one in responses]


def held_out(findings: Findings, stance: str) -> Sequence[str]:
    return next(one.prompts for one in findings.stances if one.name == stance)


def said(record: CellRecord, prompts: Sequence[str], sample: int) -> list[Response]:
    by_prompt = {one.prompt: one for one in record.behavior.responses if one.sample == sample}
    return [by_prompt[prompt] for prompt in prompts]


def shown_texts(section: Locator, kind: str) -> list[str]:
    return section.locator(f"#response-list figure.{kind} .said").evaluate_all("all => all.map(one => one.textContent)")
