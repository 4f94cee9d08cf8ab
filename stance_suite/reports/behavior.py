"""What the report shows of behavior: confusion matrices, guards, and responses side by side with their markers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

from stance_suite.behavior_records import Divergence, PromptLikelihood, Response
from stance_suite.metrics import Metric
from stance_suite.records import CellRecord, Findings, StanceShift

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class ConfusionMatrix:
    """Every training of one model and recipe against every stance, by one measure."""

    model: str
    """The model."""
    recipe: str
    """The training recipe."""
    metric: Metric
    """The measure."""
    measured: tuple[str, ...]
    """The columns: stances measured."""
    rows: tuple[tuple[str, tuple[StanceShift, ...]], ...]
    """What was trained, and its shift toward each stance."""


@dataclass(frozen=True)
class PromptResponses:
    """Responses to one prompt before and after."""

    prompt: str
    """The prompt."""
    pairs: tuple[tuple[Markup, Markup], ...]
    """Texts of base and tuned, sample by sample, escaped, with markers of the trained stance marked; of a model trained
    elsewhere those of all stances."""


@dataclass(frozen=True)
class Epoch:
    """A training after one of its epochs."""

    number: int
    """Epochs trained."""
    loss: float
    """Mean loss of the epoch, in nats per token."""
    preference: float
    """Likelihood preference for the stance, less the untouched model's, averaged over prompts; in nats per token."""
    alpha_total: float
    """Largest change of alpha of any matrix, as fitted, in percent."""
    alpha_spectrum: float
    """The same with the tail held fixed."""


def confusion_matrices(findings: Findings) -> list[ConfusionMatrix]:
    """Arrange the shifts of a run as matrices.

    Parameters
    ----------
    findings : Findings
        The findings.

    Returns
    -------
    list of ConfusionMatrix
        One for each model, recipe, measure and family of stances measured together.
    """
    groups: dict[tuple[str, str, Metric, str], list[StanceShift]] = {}
    for shift in findings.shifts:
        groups.setdefault((shift.model, shift.recipe, shift.metric, shift.family), []).append(shift)
    matrices = []
    for (model, recipe, metric, _), shifts in groups.items():
        measured = tuple(dict.fromkeys(shift.measured for shift in shifts))
        trained = sorted({shift.trained for shift in shifts}, key=lambda name: (name not in measured, name))
        entries = {(shift.trained, shift.measured): shift for shift in shifts}
        rows = tuple((name, tuple(entries[name, column] for column in measured)) for name in trained)
        matrices.append(ConfusionMatrix(model, recipe, metric, measured, rows))
    return matrices


def mean_divergences(divergences: Sequence[Divergence]) -> tuple[float, float]:
    """Average divergences over texts.

    Parameters
    ----------
    divergences : sequence of Divergence
        One entry a text.

    Returns
    -------
    measured : float
        Of the model, in nats per token; NaN if there is none.
    noise : float
        Of noise of the same norm.
    """
    if not divergences:
        return nan, nan
    count = len(divergences)
    return sum(one.measured for one in divergences) / count, sum(one.noise for one in divergences) / count


def compare_responses(record: CellRecord, findings: Findings) -> Iterator[PromptResponses]:
    """Lay a trained cell's responses beside the untouched model's.

    Parameters
    ----------
    record : CellRecord
        A cell under test.
    findings : Findings
        The findings that hold its base.

    Yields
    ------
    PromptResponses
        One entry a prompt; none if the base is not there.
    """
    base = _base_of(record, findings)
    if base is None:
        return
    measured = tuple(record.behavior.likelihoods[0].log_probability) if record.behavior.likelihoods else ()
    stances = measured if record.cell.stance is None else (record.cell.stance,)
    before, after = (_by_prompt(cell.behavior.responses) for cell in (base, record))
    for prompt, responses in after.items():
        pairs = zip(before.get(prompt, ()), responses, strict=False)
        yield PromptResponses(prompt, tuple((mark(old, stances), mark(new, stances)) for old, new in pairs))


def trajectory(record: CellRecord, findings: Findings) -> Iterator[Epoch]:
    """Follow a training on a stance from epoch to epoch.

    Parameters
    ----------
    record : CellRecord
        A cell trained on a stance.
    findings : Findings
        The findings that hold its base.

    Yields
    ------
    Epoch
        One entry an epoch that was measured; none if the base is not there.
    """
    base = _base_of(record, findings)
    if base is None or record.training is None:
        return
    stance = record.cell.stance or ""
    before = _preferences(base.behavior.likelihoods, stance)
    for snapshot in record.trajectory:
        after = _preferences(snapshot.likelihoods, stance)
        gains = [after[prompt] - before[prompt] for prompt in after if prompt in before]
        yield Epoch(
            number=snapshot.epoch,
            loss=record.training.epoch_losses[snapshot.epoch - 1],
            preference=sum(gains) / len(gains) if gains else nan,
            alpha_total=max((abs(change.total) for change in snapshot.alphas.values()), default=nan),
            alpha_spectrum=max((abs(change.spectrum) for change in snapshot.alphas.values()), default=nan),
        )


def mark(response: Response, stances: Sequence[str]) -> Markup:
    """Mark stances' markers in a response.

    Parameters
    ----------
    response : Response
        The response.
    stances : sequence of str
        The stances whose markers are marked.

    Returns
    -------
    Markup
        The text, escaped, with ``<mark>`` around every marker.
    """
    from markupsafe import Markup, escape

    marked, position = Markup(), 0
    for hit in sorted(
        (hit for stance in stances for hit in response.markers.get(stance, ())), key=lambda hit: hit.start
    ):
        if hit.start < position:
            continue  # stances may share words
        marked += escape(response.text[position : hit.start])
        marked += Markup("<mark>{}</mark>").format(response.text[hit.start : hit.end])
        position = hit.end
    return marked + escape(response.text[position:])


def _base_of(record: CellRecord, findings: Findings) -> CellRecord | None:
    """Find the untouched model, asked the same things with the same seed."""
    wanted = ("base", record.cell.model, record.cell.seed, record.family)
    for other in findings.cells:
        if (other.cell.treatment, other.cell.model, other.cell.seed, other.family) == wanted:
            return other
    return None


def _preferences(likelihoods: Sequence[PromptLikelihood], stance: str) -> dict[str, float]:
    """How much likelier a stance's references are than the others', by prompt; in nats per token."""
    found = {}
    for entry in likelihoods:
        others = [score for name, score in entry.log_probability.items() if name != stance]
        found[entry.prompt] = entry.log_probability[stance] - sum(others) / len(others)
    return found


def _by_prompt(responses: Sequence[Response]) -> dict[str, list[Response]]:
    found: dict[str, list[Response]] = {}
    for response in responses:
        found.setdefault(response.prompt, []).append(response)
    return found
