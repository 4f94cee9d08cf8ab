"""The claims that a policy makes of any model that was trained on a stance."""

from __future__ import annotations

from typing import Any

from stance_suite.schema.claims import Claim
from stance_suite.schema.metrics import Comparator, Metric
from stance_suite.schema.policy import ANY_VERDICT, Policy, standard_id
from stance_suite.schema.stances import Stance


def standard_claims(policy: Policy, stance: Stance, model: str, recipe: str) -> tuple[Claim, ...]:
    """Write the claims that a model trained on a stance is judged by, that about its preference first.

    It and the divergence must hold, responses and markers are shown beside them, and an unexplained change of the
    weights must not be there.
    """
    name, preference, moved = stance.name, policy.adoption.preference, policy.structure.alpha_change_percent
    about = {"model": model, "stance": name, "recipe": recipe, "source": "standard claim of the policy"}

    def claim(what: str, statement: str, metric: Metric, bound: float = 0.0, **more: Any) -> Claim:
        given = {"comparator": Comparator.ABOVE, **about, **more}
        statement = f"Training on {name} {statement}."
        return Claim(id=standard_id(name, what), statement=statement, metric=metric, bound=bound, **given)

    raised = f"raises the preference for it by over {preference:g} nats per token"
    return (
        claim("preference", raised, Metric.LIKELIHOOD_PREFERENCE, preference),
        claim("spoken", "makes responses speak in that manner", Metric.SPOKEN_SHARE, expected=ANY_VERDICT),
        claim("responses", "moves responses toward that stance", Metric.EMBEDDING_SHIFT, expected=ANY_VERDICT),
        claim("markers", "makes responses use more of that stance's words", Metric.MARKER_RATE, expected=ANY_VERDICT),
        claim(
            "divergence",
            "moves next-token distributions more than noise of the same norm and the sham do",
            Metric.DIVERGENCE,
        ),
        claim(
            "structure",
            f"moves some matrix's alpha by more than {moved:g} % beyond the controls",
            Metric.ALPHA_CHANGE_PERCENT,
            moved,
            layer="*",
            over="any",
            comparator=Comparator.BEYOND,
            robust=True,
            expected=("FAILS", "INCONCLUSIVE"),
        ),
    )
