from stance_suite.report.charts.data import layer_data
from stance_suite.report.charts.layers import layers
from stance_suite.report.charts.theme import PRINT
from tests.edits import altered
from tests.measured import alpha_change, layer, record
from tests.report.charts.drawn import marks, place, texts

FLIP = alpha_change(-8.0, 0.1, 60, 20)
PLAIN = alpha_change(0.2, 0.2)


def cells():
    names = [f"model.layers.{block}.self_attn.{role}" for block in range(3) for role in ("q_proj", "v_proj")]
    changes = [layer(name, FLIP if place == 3 else PLAIN) for place, name in enumerate(names)]
    return [
        record("stance", *changes, layer("model.embed_tokens", PLAIN), stance="curious-uncertainty"),
        record("sham", *changes[:5], layer(names[5], None)),
    ]


def test_every_matrix_is_drawn_three_times_and_what_is_missing_is_not():
    drawn = marks(layers(PRINT), layer_data(cells()), "rect")
    assert len(drawn) == 3 * 7 + 3 * 5 + 1
    assert len({item["fill"] for item in drawn}) == 4, "a flip, what it is with its tail held fixed, no flip, a norm"
    assert len(marks(layers(PRINT), layer_data(cells()), "symbol")) == 2, "a dot for a tail flip as fitted"


def test_a_matrix_outside_of_blocks_stands_above_the_first():
    drawn = marks(layers(PRINT), layer_data(cells()[:1]), "rect")
    heights = sorted(map(place, drawn[:7]), key=lambda at: at[1])  # as fitted
    assert heights[0][1] < heights[1][1]
    assert heights[0][0] not in {left for left, _ in heights[1:]}


def test_columns_are_named_in_the_order_given():
    said = texts(layers(PRINT), layer_data(cells()))
    columns = [["curious-", "uncertainty", "documented"], ["sham", "documented"]]
    assert [one for one in said if isinstance(one, list)] == columns
    assert all(one in said for one in ("as fitted", "tail held fixed", "dW norm", "self_attn.q_proj", "embed_tokens"))


def test_models_are_named_where_there_are_several():
    one, other = cells()
    other = altered(other, cell=altered(other.cell, model="n", seed=2))
    rows = layer_data([one, other])["layers"]
    assert {row["cell"] for row in rows} == {"m|curious-|uncertainty|documented", "n|sham|documented|seed 2"}
