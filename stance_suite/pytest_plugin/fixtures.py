"""The fixtures that tests ask for, and the state of a run; pytest always loads this, so heavy imports are inside."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stance_suite.config import options
from stance_suite.config.options import Settings, resolve_settings
from stance_suite.errors import StanceSuiteError

if TYPE_CHECKING:
    from stance_suite.judge.statistics import PairedEffect
    from stance_suite.progress import OnStep
    from stance_suite.runner.session import Session
    from stance_suite.schema.cells import CellRecord
    from stance_suite.schema.claims import Claim
    from stance_suite.schema.controls import Control
    from stance_suite.schema.findings import Triangulation
    from stance_suite.schema.metrics import Metric
    from stance_suite.schema.replicates import Replicate
    from stance_suite.schema.spectra import LayerChange
    from stance_suite.schema.stances import Stance
    from stance_suite.schema.statements import RecordedVerdict, Statement, StatementVerdict
    from stance_suite.schema.verdicts import Verdict


USAGE_ERROR = 4
VERDICT = pytest.StashKey["Verdict"]()
JUDGED = pytest.StashKey["StatementVerdict | RecordedVerdict"]()


class RunState:
    """The settings and the session of one pytest run; made when a test first asks for them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.usage_error: StanceSuiteError | None = None

    @cached_property
    def settings(self) -> Settings:
        """The options, resolved."""
        given = {option.field: self._config.getoption(f"stance_{option.field}") for option in options.OPTIONS}
        return resolve_settings(given, _repository(self._config))

    @property
    def is_gate(self) -> bool:
        """Whether models are held against a policy; runs that have nothing to do with models do not resolve options."""
        asked = self._config.getoption("stance_gate") or os.environ.get("STANCE_SUITE_GATE")
        return (bool(asked) or "settings" in vars(self)) and self.settings.gate

    @cached_property
    def session(self) -> Session:
        """The run: declarations, weights and measured cells."""
        from stance_suite.runner.session import Session

        # under xdist every worker computes; sharing the cores beats fighting for them
        workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        threads = max(1, (os.cpu_count() or 1) // workers) if workers > 1 else None
        return Session(self.settings, UncapturedProgress(self._config), threads)

    @property
    def cells_in_use(self) -> dict[str, Any]:
        """The cells that tests have used so far, by key, as plain data."""
        if "session" not in vars(self) or "cell_runner" not in vars(self.session):
            return {}
        return {key: cell.model_dump(mode="json") for key, cell in self.session.cell_runner.cells.items()}


def _repository(config: pytest.Config) -> Path:
    # Before it knows our options, pytest takes the value in `--stance-model FOLDER` for a test path and looks for its
    # root from there; without a configuration file of the user's that is some folder above both.
    started_in = config.invocation_params.dir
    if config.getoption("rootdir"):
        return config.rootpath
    return config.rootpath if config.inipath and started_in.is_relative_to(config.rootpath) else started_in


STATE = pytest.StashKey[RunState]()


class UncapturedProgress:
    """Progress that pytest's capturing does not swallow."""

    def __init__(self, config: pytest.Config) -> None:
        self._capture = config.pluginmanager.getplugin("capturemanager")

    @contextmanager
    def stage(self, label: str) -> Iterator[OnStep]:
        """Open a stage with capturing suspended."""
        from stance_suite.progress import choose_progress

        with self._capture.global_and_fixture_disabled():
            sys.stderr.write("\n")
            with choose_progress().stage(label) as on_step:
                yield on_step


@contextmanager
def usage_errors_end_the_run() -> Iterator[None]:
    """Turn an error that the user can mend into one message and exit code 4."""
    try:
        yield
    except StanceSuiteError as error:
        pytest.exit(f"stance-suite: {error}", returncode=USAGE_ERROR)


@dataclass(frozen=True)
class StanceRun:
    """A model fine-tuned on a stance, beside its controls."""

    stance: Stance
    """The stance."""
    tuned: CellRecord
    """Trained on the stance."""
    base: CellRecord
    """Not trained."""
    controls: Mapping[Control, CellRecord]
    """The controls that are trainings of their own; none if the model was trained elsewhere."""
    rivals: Mapping[str, CellRecord]
    """The trainings on the other stances that are measured on the same items, by the stance."""

    @property
    def sham(self) -> CellRecord | None:
        """Trained on plain answers to the same prompts; None if the model was trained elsewhere."""
        from stance_suite.schema.controls import SHAM

        return self.controls.get(SHAM)

    @property
    def replicate(self) -> Replicate:
        """The trained model beside its controls, as it is judged."""
        from stance_suite.schema.replicates import Replicate

        return Replicate(self.tuned, self.base, self.controls, self.rivals)


@dataclass(frozen=True)
class BehaviorShift:
    """How far behavior moved toward a stance, against each control."""

    versus_base: PairedEffect
    """Tuned minus base."""
    versus_sham: PairedEffect | None
    """Tuned minus sham; None if the model was trained elsewhere."""
    versus: Mapping[str, PairedEffect]
    """Tuned minus what stands in for the sham, by its name; empty where there is a sham."""


def effects_toward_stance(run: StanceRun, metric: Metric) -> dict[str, PairedEffect]:
    """Measure how far a training moved behavior toward its stance, against each control by name."""
    from stance_suite.judge.behavior.scores import control_scores, tuned_scores
    from stance_suite.judge.statistics import paired_effect

    scored = metric, run.stance.name, [run.replicate], run.stance.prompts
    tuned = tuned_scores(*scored)
    return {
        name: paired_effect(tuned - scores, metric.largest_difference)
        for name, scores in control_scores(*scored).items()
    }


@pytest.fixture(scope="session")
def stance_session(pytestconfig: pytest.Config) -> Session:
    """Give access to the pipeline: declarations, weights and measured cells."""
    return pytestconfig.stash[STATE].session


def _in_turn(values: str) -> Any:
    """Make a fixture of what the hook `pytest_generate_tests` lists."""

    def parameter(request: pytest.FixtureRequest) -> Any:
        return request.param

    parameter.__doc__ = f"Give {values} in turn."
    return pytest.fixture(scope="session")(parameter)


stance = _in_turn("every declared stance")
stance_recipe = _in_turn("the name of every recipe of the profile")
stance_model = _in_turn("every model asked for")
stance_seed = _in_turn("every seed asked for")
stance_claim = _in_turn("every declared claim")
stance_record = _in_turn("every claim with published figures, and every statement built on such,")
stance_statement = _in_turn("every statement that rests on claims")


@pytest.fixture(scope="session")
def stance_run(
    stance: Stance, stance_recipe: str, stance_model: str, stance_seed: int, stance_session: Session
) -> StanceRun:
    """Give the model fine-tuned on the stance with the recipe, beside its controls; trained once, then cached."""
    with usage_errors_end_the_run():
        (replicate,) = stance_session.replicates(stance_model, stance.name, stance_recipe, (stance_seed,))
        return StanceRun(stance, replicate.tuned, replicate.base, replicate.controls, replicate.rivals)


@pytest.fixture(scope="session")
def behavior_shift(stance_run: StanceRun) -> Callable[[str], BehaviorShift]:
    """Give a function from a behavioral metric's name to the shift toward the stance, against base and sham."""
    from stance_suite.errors import UnknownNameError, nearest_names
    from stance_suite.schema.controls import BASE, SHAM
    from stance_suite.schema.metrics import Metric

    toward_a_stance = [one for one in Metric.behavioral() if one.is_directed]

    def shift(metric: str) -> BehaviorShift:
        if metric not in toward_a_stance:
            raise UnknownNameError(
                f"no metric of a shift toward a stance is called {metric!r}; {nearest_names(metric, toward_a_stance)}"
            )
        effects = effects_toward_stance(stance_run, Metric.named(metric))
        return BehaviorShift(versus_base=effects.pop(BASE), versus_sham=effects.pop(SHAM, None), versus=effects)

    return shift


@pytest.fixture(scope="session")
def triangulation(stance_run: StanceRun) -> Triangulation:
    """Give what several measures of behavior say together of the training."""
    from stance_suite.judge.behavior.triangulation import triangulate

    return triangulate(stance_run.stance.name, [stance_run.replicate])


@pytest.fixture(scope="session")
def spectral_delta(stance_run: StanceRun) -> Mapping[str, LayerChange]:
    """Give what fine-tuning did to every weight matrix, by the layer's long name."""
    return {change.name: change for change in stance_run.tuned.changes}


@pytest.fixture
def statement_verdict(
    stance_statement: Statement, stance_session: Session, request: pytest.FixtureRequest
) -> StatementVerdict:
    """Judge a statement by its claims: skips if one is not run; fails as expected if it is not HOLDS, as on record."""
    with usage_errors_end_the_run():
        judged = stance_session.judge_statement(stance_statement)
    request.node.stash[JUDGED] = judged
    _end_as_judged(judged)
    return judged


@pytest.fixture
def recorded_verdict(
    stance_record: Claim | Statement, stance_session: Session, request: pytest.FixtureRequest
) -> RecordedVerdict:
    """Judge whether a record agrees with itself, or bears out what was said of it; expected to fail if known not to."""
    from stance_suite.judge.statements import judge_published

    judged = judge_published(stance_record, [declared.claim for declared in stance_session.library.claims])
    request.node.stash[JUDGED] = judged
    if judged.status == judged.expected and judged.status != "HOLDS":
        pytest.xfail(f"{judged.status}, as known: {judged.reason}")
    return judged


@pytest.fixture
def verdict(stance_claim: Claim, stance_session: Session, request: pytest.FixtureRequest) -> Verdict:
    """Judge the claim: skips if it is not run; an expected failure if it is not HOLDS and that is on record."""
    with usage_errors_end_the_run():
        judged = stance_session.judge(stance_claim)
    request.node.stash[VERDICT] = judged
    _end_as_judged(judged)
    return judged


def _end_as_judged(judged: Verdict | StatementVerdict) -> None:
    if judged.status == "NOT_RUN":
        pytest.skip(judged.reason)
    if judged.as_expected and judged.status != "HOLDS":
        pytest.xfail(f"{judged.status}, as on record: {judged.reason}")
