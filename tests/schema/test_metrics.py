import math

from hypothesis import given
from hypothesis import strategies as st

from stance_suite.schema.metrics import Comparator

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
NOT_FINITE = st.sampled_from([math.nan, math.inf, -math.inf])


def bound_for(comparator, low, high):
    return (min(low, high), max(low, high)) if comparator is Comparator.BETWEEN else low


@given(st.sampled_from(Comparator), NOT_FINITE, FINITE, FINITE, st.booleans())
def test_no_comparator_accepts_what_is_not_finite(comparator, broken, figure, other, first):
    pair = (broken, other) if first else (other, broken)
    of_bound = figure, pair if comparator is Comparator.BETWEEN else broken
    for compared in ((broken, bound_for(comparator, figure, other)), of_bound):
        assert math.isnan(comparator.margin(*compared))
        assert not comparator.accepts(*compared)


@given(FINITE, FINITE, FINITE)
def test_a_comparison_is_what_its_name_says_and_its_margin_the_distance_to_the_nearest_bound(figure, low, high):
    assert Comparator.ABOVE.margin(figure, low) == -Comparator.BELOW.margin(figure, low) == figure - low
    assert Comparator.BEYOND.margin(figure, low) == -Comparator.WITHIN.margin(figure, low) == abs(figure) - low
    assert Comparator.BETWEEN.margin(figure, (low, high)) == min(figure - low, high - figure)
    assert Comparator.ABOVE.accepts(figure, low) is (figure > low)
    assert Comparator.BELOW.accepts(figure, low) is (figure < low)
    assert Comparator.WITHIN.accepts(figure, low) is (abs(figure) <= low)
    assert Comparator.BEYOND.accepts(figure, low) is (abs(figure) > low)
    low, high = sorted((low, high))
    assert Comparator.BETWEEN.accepts(figure, (low, high)) is (low <= figure <= high)
    assert not Comparator.SAME_LAYER.accepts(figure, low)
    assert not Comparator.ANOTHER_LAYER.accepts(figure, low)
