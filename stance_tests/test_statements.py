"""Published statements: what was measured of them, where their models are at hand."""


def test_statement(statement_verdict):
    assert statement_verdict.as_expected, statement_verdict.reason
