"""The pytest plugin's hooks. Work is done by the layers below, and imported only when a test asks for it."""

# hooks: https://docs.pytest.org/en/stable/reference/reference.html#hooks
from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from stance_suite.config import options
from stance_suite.errors import StanceSuiteError
from stance_suite.pytest_plugin import fixtures
from stance_suite.pytest_plugin.collector import USAGE_ERROR_OF_WORKER, VerdictCollector
from stance_suite.pytest_plugin.fixtures import STATE, VERDICT, RunState
from stance_suite.pytest_plugin.html import HtmlReport, fill_row

PARAMETERS = (
    "stance_model", "stance_recipe", "stance_seed", "stance", "stance_claim", "stance_record", "stance_statement"
)  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of `stance_suite.config.options`."""
    group = parser.getgroup("stance-suite", "stance-suite (what fine-tuning changed, judged against controls)")
    for option in options.OPTIONS:
        action = "append" if option.is_repeatable else "store_true" if option.value_type is bool else "store"
        group.addoption(
            f"--stance-{option.name}",
            dest=f"stance_{option.field}",
            action=action,
            default=None,
            help=option.help_with_default,
            **({"choices": option.choices} if option.choices else {}),
        )


def pytest_configure(config: pytest.Config) -> None:
    """Register fixtures, markers and the collector of verdicts."""
    config.addinivalue_line(
        "markers",
        "stance_metrics(*names): judge only claims about these metrics in this test; 'behavioral' and "
        "'structural' name all of a kind",
    )
    config.stash[STATE] = RunState(config)
    config.pluginmanager.register(fixtures, "stance-suite-fixtures")
    if not hasattr(config, "workerinput"):
        collector = VerdictCollector(config.stash[STATE])
        config.pluginmanager.register(collector, "stance-suite-collector")
        if page := config.getoption("htmlpath", None):
            config.pluginmanager.register(HtmlReport(collector, page), "stance-suite-html")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each model, recipe, stance or claim that its fixtures ask for."""
    wanted = [name for name in PARAMETERS if _is_ours(metafunc, name)]
    if not wanted:
        return
    state = metafunc.config.stash[STATE]
    try:
        catalog, run_plan = state.session.library, state.session.run_plan
        values: dict[str, list[Any]] = {
            "stance_model": list(run_plan.models),
            "stance_recipe": list(run_plan.recipes),
            "stance_seed": list(state.settings.seed),
            "stance": [catalog.stance(name) for name in run_plan.stances],
            "stance_claim": list(run_plan.claims),
            "stance_record": list(catalog.records),
            "stance_statement": [statement for statement in catalog.statements if statement.measured],
        }
    except StanceSuiteError as error:
        # raised from here it would be one test's collection error; it is told once collection has ended
        state.usage_error = error
        return
    marker = metafunc.definition.get_closest_marker("stance_metrics")
    if marker is not None:
        values["stance_claim"] = [
            claim
            for claim in values["stance_claim"]
            if {claim.metric, "behavioral" if claim.metric.is_behavioral else "structural"} & {*marker.args}
        ]
    for name in wanted:
        ids = [getattr(value, "id", getattr(value, "name", value)) for value in values[name]]
        if name == "stance_claim" and len(set(ids)) < len(ids):  # claims about any model, and several models
            ids = [f"{claim.id}-{claim.model}" if ids.count(claim.id) > 1 else claim.id for claim in values[name]]
        metafunc.parametrize(name, values[name], ids=ids, indirect=True, scope="session")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check all that can be checked before anything is trained, if any selected test needs the pipeline."""
    state = config.stash[STATE]
    needs_pipeline = any("stance_session" in getattr(item, "fixturenames", ()) for item in items)
    try:
        if state.usage_error is not None:
            raise state.usage_error
        if (needs_pipeline or state.is_gate) and not config.option.collectonly:
            from stance_suite.report.publish import rehearse_publishing

            state.session.preflight(getattr(config, "workerinput", {}).get("workercount", 1))
            if not hasattr(config, "workerinput"):  # workers write nothing, and would meet each other's attempts
                rehearse_publishing(state.settings.reports)
    except StanceSuiteError as error:
        if not hasattr(config, "workeroutput"):
            raise pytest.UsageError(f"stance-suite: {error}") from None
        # an xdist worker cannot end the run: it tells the controller, and runs nothing
        config.workeroutput[USAGE_ERROR_OF_WORKER] = str(error)
        items.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the verdict to the test's report as plain data, so that it travels from xdist's workers too."""
    report = yield
    verdict = item.stash.get(VERDICT, None)
    if verdict is not None and (report.when == "call" or report.skipped):
        vars(report)["stance_verdict"] = verdict.model_dump(mode="json")
        from stance_suite.report.junit import verdict_properties

        report.user_properties += [(f"stance.{name}", value) for name, value in verdict_properties(verdict)]
    if item.config.getoption("htmlpath", None) and (report.when == "call" or report.skipped):
        fill_row(item, report)
    cells = item.config.stash[STATE].cells_in_use if report.when == "teardown" else {}
    if cells:
        vars(report)["stance_cells"] = cells
    return report


def _is_ours(metafunc: pytest.Metafunc, name: str) -> bool:
    """Whether a test's fixture of this name is the plugin's, and not one of the test suite's own."""
    definitions = metafunc.definition._fixtureinfo.name2fixturedefs.get(name, ())
    return bool(definitions) and definitions[-1].func.__module__ == fixtures.__name__
