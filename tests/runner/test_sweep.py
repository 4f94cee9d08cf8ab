"""What a sweep hears of its engine."""

import pytest

from stance_suite.config.options import resolve_settings
from stance_suite.config.sweep_file import apply_sweep
from stance_suite.errors import StanceSuiteError
from stance_suite.progress import SilentProgress
from stance_suite.runner.engines.worker import JobOutcome
from stance_suite.runner.run_result import judge_claims
from stance_suite.runner.session import Session
from stance_suite.runner.sweep import lay_out, measure, measured_cells, without_damaged
from stance_suite.schema.recipes import Sweep
from stance_suite.schema.verdicts import Status


@pytest.fixture
def open_sweep(project, tiny_model):
    def build(*stances, **asked):
        sweep = Sweep(models=(str(tiny_model),), stances=stances, **asked)
        return Session(apply_sweep(sweep, resolve_settings({"cache": "cache"}, project, {})), SilentProgress(), 1)

    return build


@pytest.fixture
def session(open_sweep):
    return open_sweep("curious-uncertainty", samples=1)


def engine(*outcomes):
    """An engine that answers this to its first jobs."""

    def answer(jobs, context):
        for job, outcome in zip(jobs, outcomes, strict=False):
            yield outcome(job.key)

    return answer


def test_a_record_that_is_kept_where_nobody_else_sees_it_ends_the_sweep(session):
    with pytest.raises(StanceSuiteError, match="name a --store that all machines share"):
        list(measure(session, lay_out(session), engine(lambda key: JobOutcome(key, 1.0))))


def test_what_the_user_must_mend_ends_the_sweep_and_a_failure_does_not(session):
    cells = lay_out(session)
    failed, refused = (lambda key: JobOutcome(key, failure="broke")), (lambda key: JobOutcome(key, refusal="mend it"))
    heard = []
    with pytest.raises(StanceSuiteError, match=r"^mend it$"):
        heard.extend(measure(session, cells, engine(failed, refused)))
    assert session.cell_runner.failures == {cells[0].job.key: "broke"}


def test_records_are_read_once(finished, open_sweep, monkeypatch):
    first = open_sweep(samples=1)
    measured_cells(first, lay_out(first))  # what the first run had no need of
    session = open_sweep(samples=1)
    backend, read = session.cell_runner.store.backend, []
    monkeypatch.setattr(backend, "read", lambda name, kept=backend.read: read.append(name) or kept(name))
    cells = without_damaged(session, lay_out(session))
    assert all(one.is_stored for one in cells)
    found = measured_cells(session, cells)
    findings = session.findings(judge_claims(session, print), found, "the command")
    assert sorted(record.key for record in findings.cells) == sorted(name.partition(".")[0] for name in read)
    assert len(findings.cells) == len(cells) == 2 + 2 * 3
    assert {verdict.status for verdict in findings.verdicts} <= {Status.HOLDS, Status.FAILS, Status.INCONCLUSIVE}


def test_cells_of_a_sweep_are_those_of_every_stance_recipe_and_seed_each_once(open_sweep):
    cells = lay_out(open_sweep(samples=1, seeds=(0, 1), recipes=("documented", "lora")))
    assert len({one.job.key for one in cells}) == len(cells) == 2 * (1 + 2 * (1 + 2 * 3))
    seconds = [one.job.estimate.seconds for one in cells]
    assert seconds == sorted(seconds, reverse=True)
