"""Do the measures of behavior tell the same of a training? That they do not would be a finding of its own."""


def test_measures_do_not_contradict_each_other(triangulation):
    assert triangulation.agreement != "contradictory", f"toward: {triangulation.toward}, away: {triangulation.away}"
