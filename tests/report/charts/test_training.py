from stance_suite.report.charts.theme import PRINT
from stance_suite.report.charts.training import alphas, preference
from tests.report.charts.drawn import marks, place

EPOCHS = {
    "epochs": [
        {"training": name, "epoch": epoch, "loss": 1.0, "preference": level * epoch}
        | {"alpha_total": 4.0 * epoch, "alpha_spectrum": None if epoch == 3 else 0.5}
        for name, level in (("a (long)", 0.1), ("b (long)", 0.2))
        for epoch in (1, 2, 3)
    ]
}


def test_each_training_has_a_line_and_a_shape_of_its_own():
    drawn = marks(preference(PRINT, 400), EPOCHS, "symbol")
    assert len(drawn) == 6
    assert len({item["shape"] for item in drawn}) == 2
    heights = [place(item)[1] for item in drawn[:3]]
    assert heights == sorted(heights, reverse=True), "a preference that grows climbs"
    assert len(marks(preference(PRINT, 400), EPOCHS, "line")) == 6


def test_alpha_as_fitted_is_told_from_alpha_with_the_tail_held_fixed():
    drawn = marks(alphas(PRINT, 400), EPOCHS, "symbol")
    fitted = [item for item in drawn if item["fill"] == "transparent"]
    fixed = [item for item in drawn if item["fill"] == PRINT.after]
    assert (len(fitted), len(fixed)) == (6, 4), "what is missing is not drawn"
    assert max(place(item)[1] for item in fitted) < min(place(item)[1] for item in fixed)
