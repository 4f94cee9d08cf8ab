"""Published figures and statements: do they agree with themselves? No weights are needed to ask."""


def test_the_record_agrees_with_itself(recorded_verdict):
    assert recorded_verdict.status == recorded_verdict.expected, recorded_verdict.reason
