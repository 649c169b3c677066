"""Tables that forget."""

from voltgate.backend.bounded import Bounded


def test_what_was_written_first_is_forgotten() -> None:
    table: Bounded[int, int] = Bounded(5)
    for number in range(9):
        table[number] = number
        table[0] = 0
    assert list(table) == [5, 6, 7, 8, 0], "written last"
