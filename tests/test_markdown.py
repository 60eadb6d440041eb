"""markdown: what would end a cell or a row is kept from it."""

from semivae.markdown import bullets, listed, table


def test_a_table_escapes_bars() -> None:
    assert table(("a", "q(y|x)"), [("1", "2")]) == "| a | q(y\\|x) |\n| --- | --- |\n| 1 | 2 |\n"


def test_a_row_is_one_line_and_numbers_are_on_the_right() -> None:
    made = table(("a", "b"), [("one\n two", "2")], right=[1])
    assert made == "| a | b |\n| --- | ---: |\n| one two | 2 |\n"


def test_facts_are_a_line_each() -> None:
    assert bullets({"seeds": "0, 1", "threads": "1"}) == "- seeds: 0, 1\n- threads: 1\n"


def test_a_list_has_each_value_once_in_the_order_of_first_appearance() -> None:
    assert listed(["b", "a", "b"]) == "b, a"
