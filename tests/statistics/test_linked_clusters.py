from __future__ import annotations

from merit_interp.statistics.linked_clusters import linked_clusters


def test_what_shares_a_name_is_one_cluster() -> None:
    assert linked_clusters([["a"], ["b"], ["a", "c"], ["c"]]) == [0, 1, 0, 0]
    assert linked_clusters([["a"], ["b"], ["c"], ["b", "c", "a"]]) == [0, 0, 0, 0]


def test_what_has_no_name_is_alone() -> None:
    assert linked_clusters([[], ["a"], []]) == [0, 1, 2]
    assert linked_clusters([]) == []


def test_a_long_chain_is_one_cluster() -> None:
    chain = [[str(i), str(i + 1)] for i in range(2000)]
    assert set(linked_clusters(chain[::-1])) == {0}
