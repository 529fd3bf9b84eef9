from collections import Counter

import pytest

from agents.feedback.order import shown_order


@pytest.mark.parametrize("n", [2, 3, 4])
def test_order_holds_each_completion_once(n):
    assert sorted(shown_order(7, "ann", n)) == list(range(n))


def test_order_is_the_same_when_the_annotator_comes_back():
    assert shown_order(7, "ann", 4) == shown_order(7, " ann ", 4)


def test_each_completion_is_first_as_often_as_the_others():
    firsts = Counter(shown_order(item, "ann", 4)[0] for item in range(4000))
    assert all(900 < firsts[k] < 1100 for k in range(4))


def test_annotators_see_different_orders():
    same = sum(shown_order(item, "ann", 2) == shown_order(item, "bob", 2) for item in range(1000))
    assert 400 < same < 600
