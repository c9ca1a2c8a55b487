"""The list of threads and who comes from whom."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import StreamError
from ktrace_nb.stream.calls.listing import Listed, descendants, parse_listing


def test_a_name_may_have_blanks() -> None:
    assert parse_listing(b"8 7 1 my (sh) 9\n9 9 7 \n") == [Listed(8, 7, 1, "my (sh) 9"), Listed(9, 9, 7, "")]


@pytest.mark.parametrize(
    "line",
    [
        *("8 7 sh", "8 7 1", "x 7 1 sh", ""),
        # Digits to str.isdigit(), one of which int() refuses; too many; larger than PID_MAX_LIMIT - 1.
        *("² 7 1 sh", "٣ 7 1 sh", f"{'9' * 5000} 7 1 sh", "4194304 7 1 sh", "7 4194304 1 sh"),
    ],
)
def test_another_line_is_refused(line: str) -> None:
    with pytest.raises(StreamError, match="a list of threads has the line"):
        parse_listing(f"1 1 0 init\n{line}\n".encode())


def test_whoever_comes_from_a_process_is_found_over_however_many_others() -> None:
    # 1 has 2 and 5, 2 has 3 (of two threads), 3 has 4; 6 is alone.
    threads = [Listed(*row, "sh") for row in ((1, 1, 0), (2, 2, 1), (3, 3, 2), (33, 3, 2), (4, 4, 3))]
    threads += [Listed(5, 5, 1, "sh"), Listed(6, 6, 0, "sh")]
    assert descendants(threads, [2]) == {2, 3, 4}
    assert descendants(threads, [1]) == {1, 2, 3, 4, 5}
    assert descendants(threads, [4, 6]) == {4, 6}
    assert descendants(threads, [99]) == {99}
