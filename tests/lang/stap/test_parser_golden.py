from __future__ import annotations

import pytest

from ktrace_nb.errors import CellError
from ktrace_nb.lang.stap.parser import parse
from ktrace_nb.source import Source
from tests.lang.stap.golden import Case, cases, dump


@pytest.mark.parametrize("case", cases("stap/parse_ok"), ids=lambda case: case.path.stem)
def test_a_right_script_has_this_tree(case: Case) -> None:
    case.check(lambda case: dump(parse(Source(case.text), case.settings)))


@pytest.mark.parametrize("case", cases("stap/parse_ko"), ids=lambda case: case.path.stem)
def test_a_wrong_script_has_this_message(case: Case) -> None:
    def run(case: Case) -> str:
        with pytest.raises(CellError) as raised:
            parse(Source(case.text), case.settings)
        error = raised.value
        lines = [line if len(line) < 200 else line[:80] + " …" for line in error.lines()]
        return "\n".join(lines)

    case.check(run)


def test_every_refusal_tells_a_way_out() -> None:
    for case in cases("stap/parse_ko"):
        if case.expected.startswith("UnsupportedError"):
            assert "\nhint: " in case.expected, case.path.stem
