"""Validation takes a share of the run's time, and never its first minute."""

from i2i.engine.output.spent import FREE_S, Spent


def test_the_first_minute_is_free():
    assert Spent(run=FREE_S, validation=FREE_S - 1, last=FREE_S - 1).allows(0.01)


def test_a_validation_that_would_exceed_the_share_is_left_out_until_it_fits():
    spent = Spent(run=900, validation=90, last=10)
    assert not spent.allows(0.1)
    spent.run = 990
    assert spent.allows(0.1)


def test_the_account_is_kept():
    spent = Spent(run=100)
    spent.add(20)
    spent.add(50)
    assert Spent.from_json(spent.to_json()) == Spent(run=100, validation=70, last=50)
