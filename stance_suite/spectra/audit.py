"""An audit of two WeightWatcher tables, without the weights: which changes of alpha are owed to the choice of the tail.

Where a tail kept its size, the change of alpha is the spectrum's, exactly. To first order a dW with entries of standard
deviation s moves an eigenvalue by ``2 * s * sqrt(eigenvalue)`` times a standard normal variable (Stewart and Sun,
"Matrix Perturbation Theory", 1990), and alpha with its tail held fixed by ``(alpha - 1)**2`` times what log(xmin) moves
against the tail's mean. So the tails that stayed tell how large dW is, and thereby how far the spectrum moved the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from math import hypot, inf, log, sqrt
from pathlib import Path

from stance_suite.errors import StanceSuiteError
from stance_suite.schema.spectra import OVER_TRAINED_BELOW, UNDER_TRAINED_ABOVE, SkippedTensor
from stance_suite.spectra.power_law import NEGLIGIBLE_SHARE

FEW_EIGENVALUES = 50
"""WeightWatcher's own advice: a fit wants at least so many."""
NEGLIGIBLE_CHANGE = 1.0
"""A change of alpha below this many percent is not worth a claim."""
LIKELY, SURE = 0.5, 0.95
"""Probability from which a change is called a tail flip, and from which no answer is marked as undecided."""
UNTOUCHED = 1e-9
"""Relative changes below this are rounding: this layer was not trained, and says nothing about those that were."""


class Finding(StrEnum):
    """What speaks against reading a change of alpha as a change of the layer."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Finding:
        """Make a member of its name and meaning."""
        member = str.__new__(cls, value)
        member._value_, member.meaning = value, meaning
        return member

    TAIL_FLIP = "tail_flip", "another tail was fitted; the spectrum accounts for less than a tenth of the change"
    TAIL_MOVED = "tail_moved", "another tail was fitted, but the spectrum's own movement may matter too"
    UNDECIDED = "undecided", "the tables alone cannot tell for sure whether this is a tail flip; compare the weights"
    OUTSIDE_2_TO_6 = "outside_2_to_6", "alpha lies outside 2 to 6 in either table"
    FEW_EIGENVALUES = "few_eigenvalues", f"the tail has fewer than {FEW_EIGENVALUES} eigenvalues in either table"
    WITHIN_ERROR = "within_error", "alpha changed by less than twice the standard error of the difference"


@dataclass(frozen=True)
class AuditedLayer:
    """One layer that both tables have a fit for."""

    name: str
    alpha_before: float
    alpha_after: float
    tail_before: int
    """Eigenvalues in the tail (`num_pl_spikes`)."""
    tail_after: int
    flip_probability: float | None
    """How likely the change is a tail flip; None where no other layer tells how far the spectrum moved."""
    findings: tuple[Finding, ...]

    @property
    def change_percent(self) -> float:
        """Change of alpha, in percent of the first."""
        return 100 * (self.alpha_after / self.alpha_before - 1)

    @property
    def remains(self) -> bool:
        """Whether the change is worth a claim: not negligible, and nothing found explains it away."""
        return abs(self.change_percent) >= NEGLIGIBLE_CHANGE and set(self.findings) <= {Finding.TAIL_MOVED}


@dataclass(frozen=True)
class Audit:
    """What two tables say, layer by layer."""

    layers: tuple[AuditedLayer, ...]
    """In the order of the first table."""
    skipped: tuple[SkippedTensor, ...]
    """Rows in one table only, failed fits, and tied weights that are listed twice; each with the reason."""

    @property
    def tail_flips(self) -> tuple[str, ...]:
        """Names of the layers whose change of alpha is owed to the choice of the tail."""
        return tuple(layer.name for layer in self.layers if Finding.TAIL_FLIP in layer.findings)


@dataclass(frozen=True)
class _Row:
    failed: bool
    alpha: float
    xmin: float
    sigma: float
    num_pl_spikes: float
    norm: float
    lambda_max: float
    N: float
    M: float
    rf: float

    @property
    def is_fitted(self) -> bool:
        return not self.failed and self.alpha > 1 and all(0 < getattr(self, figure) < inf for figure in FIGURES)

    @property
    def sum_of_logs(self) -> float:
        """Sum of the logarithms of the tail's eigenvalues, which the fit gives away."""
        return self.num_pl_spikes * (1 / (self.alpha - 1) + log(self.xmin))

    @property
    def leverage(self) -> float:
        """Relative change of alpha for each unit by which log(xmin) moves against the tail's mean."""
        return (self.alpha - 1) ** 2 / self.alpha

    @property
    def noise_leverage(self) -> float:
        """Standard deviation of alpha's relative change, for a dW of the norm of W."""
        return self.leverage * 2 * sqrt(self.norm / (self.N * self.M * self.rf) / self.xmin)


_Pair = tuple[_Row, _Row]
FIGURES = tuple(field.name for field in fields(_Row))[1:]
"""Columns that are read, beside `longname` and, where there is one, `status`."""


def audit_tables(before: Path | str, after: Path | str) -> Audit:
    """Audit the changes of alpha between two tables of WeightWatcher.

    Parameters
    ----------
    before, after : Path or str
        CSV files of the same model before and after, each written with ``details.to_csv``; with or without an index.

    Returns
    -------
    Audit
        One entry a layer, and the rows left out, each with the reason.

    Raises
    ------
    StanceSuiteError
        If a file is not such a table, or the two have no layer in common.

    See Also
    --------
    stance_suite.spectra.comparison.compare : The same from the weights, for certain.

    Examples
    --------
    >>> from stance_suite.spectra.audit import audit_tables
    >>> audit = audit_tables("before.csv", "after.csv")
    >>> audit.tail_flips
    >>> [(layer.name, layer.change_percent) for layer in audit.layers if layer.remains]
    """
    old, new = _read_table(before), _read_table(after)
    shared = [name for name in old if name in new]
    if not shared:
        raise StanceSuiteError(f"{before} and {after} have no layer in common; column longname names different layers")
    skipped = [SkippedTensor(name=name, reason=f"only in {before}") for name in old if name not in new]
    skipped += [SkippedTensor(name=name, reason=f"only in {after}") for name in new if name not in old]
    pairs: dict[_Pair, str] = {}
    for name in shared:
        pair = old[name], new[name]
        failed = [str(path) for path, row in zip((before, after), pair, strict=True) if not row.is_fitted]
        if failed:
            skipped.append(SkippedTensor(name=name, reason=f"the fit failed in {' and '.join(failed)}"))
        elif any(getattr(pair[0], side) != getattr(pair[1], side) for side in ("N", "M", "rf")):
            skipped.append(SkippedTensor(name=name, reason="its size is not the same in both tables"))
        elif pair in pairs:
            skipped.append(SkippedTensor(name=name, reason=f"has the figures of {pairs[pair]}: tied weights"))
        else:
            pairs[pair] = name
    kept = [pair for pair in pairs if pair[0].num_pl_spikes == pair[1].num_pl_spikes]
    # how large dW is against W, up to a standard normal factor, by each layer that was trained and kept its tail
    moves = [_change(pair) / pair[0].noise_leverage for pair in kept if _change(pair) > UNTOUCHED]
    return Audit(tuple(_audit_layer(name, pair, moves) for pair, name in pairs.items()), tuple(skipped))


def _read_table(path: Path | str) -> dict[str, _Row]:
    from pandas import read_csv, to_numeric

    try:
        table = read_csv(path, dtype=str, keep_default_na=False)  # a layer may be called "nan"
    except OSError as error:
        raise StanceSuiteError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise StanceSuiteError(f"{path} is not a CSV file; write it with details.to_csv") from error
    missing = [column for column in ("longname", *FIGURES) if column not in table.columns]
    if missing:
        raise StanceSuiteError(f"{path} lacks the columns {', '.join(missing)}; write it with details.to_csv")
    names = table["longname"]
    repeated = names[names.duplicated() | names.eq("")]
    if len(repeated):
        found = f"{repeated.iloc[0]} twice" if repeated.ne("").all() else "a row without a name"
        raise StanceSuiteError(f"{path} has {found} in the column longname; write it with details.to_csv")
    for column in FIGURES:
        numbers = to_numeric(table[column], errors="coerce")
        for _, row in table[numbers.isna() & ~table[column].isin(["", "nan", "NaN"])].iterrows():
            raise StanceSuiteError(f"{path}: column {column} of {row['longname']} is {row[column]!r}, not a number")
        table[column] = numbers.astype(float)
    failed = table["status"].eq("failed") if "status" in table.columns else names.eq("")
    rows = zip(failed.tolist(), *(table[column].tolist() for column in FIGURES), strict=True)
    return {name: _Row(*row) for name, row in zip(names.tolist(), rows, strict=True)}


def _change(pair: _Pair) -> float:
    return abs(pair[1].alpha / pair[0].alpha - 1)


def _audit_layer(name: str, pair: _Pair, moves: list[float]) -> AuditedLayer:
    old, new = pair
    findings = []
    probability: float | None = 0.0
    if old.num_pl_spikes != new.num_pl_spikes:
        probability, is_sure = _judge_moved_tail(pair, moves)
        findings.append(Finding.TAIL_FLIP if (probability or 0) >= LIKELY else Finding.TAIL_MOVED)
        findings += [] if is_sure else [Finding.UNDECIDED]
    if not all(OVER_TRAINED_BELOW <= row.alpha <= UNDER_TRAINED_ABOVE for row in pair):
        findings.append(Finding.OUTSIDE_2_TO_6)
    if min(row.num_pl_spikes for row in pair) < FEW_EIGENVALUES:
        findings.append(Finding.FEW_EIGENVALUES)
    if abs(new.alpha - old.alpha) < 2 * hypot(old.sigma, new.sigma):
        findings.append(Finding.WITHIN_ERROR)
    tails = int(old.num_pl_spikes), int(new.num_pl_spikes)
    return AuditedLayer(name, old.alpha, new.alpha, *tails, probability, tuple(findings))


def _judge_moved_tail(pair: _Pair, moves: list[float]) -> tuple[float | None, bool]:
    """Probability of a tail flip, and whether either answer is sure."""
    if not moves:
        return None, False
    old, limit = pair[0], NEGLIGIBLE_SHARE * _change(pair)
    noise = old.noise_leverage * sqrt(sum(move**2 for move in moves) / len(moves))
    probability = _probability_within(limit, hypot(noise, old.leverage * _drift(pair)), len(moves))
    # a drift can cancel out of alpha: it makes a flip doubtful, but does not rule it out
    ruled_out = _probability_within(limit, noise, len(moves)) <= 1 - SURE
    return probability, probability >= SURE or ruled_out


def _drift(pair: _Pair) -> float:
    """How far parts of the spectrum moved against each other, on a logarithmic scale.

    By the largest eigenvalue, the sum of all, and the product of those in both tails; the last is known within bounds,
    as the eigenvalues that are in one tail only lie between the two xmins.
    """
    old, new = pair
    moved = sorted([log(new.lambda_max / old.lambda_max), log(new.norm / old.norm)])
    gained, extra = new.sum_of_logs - old.sum_of_logs, new.num_pl_spikes - old.num_pl_spikes
    shared = min(old.num_pl_spikes, new.num_pl_spikes)
    low, high = sorted((gained - extra * log(row.xmin)) / shared for row in pair)
    return moved[1] - moved[0] + max(0.0, low - moved[1], moved[0] - high)


def _probability_within(limit: float, deviation: float, draws: int) -> float:
    """Probability that a normal variable stays within a limit, its deviation known from so many draws."""
    from scipy.special import stdtr

    return float(1 - 2 * stdtr(draws, -limit / deviation))
