from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from ktrace_nb.errors import KTraceError, MissingError, OptionError
from ktrace_nb.stream.calls.dot import dot
from ktrace_nb.stream.calls.export import write_calls
from ktrace_nb.stream.calls.folded import folded
from tests.stream.calls.frames_kit import C, calls_frame, many_calls

WALK = calls_frame(
    C("a", 100, 200, [C("b", 110, 150, [C("c", 120, 130)]), C("b", 160, 190, error="EIO")]),
    C("c", 105, 106, tid=7, comm="kworker/0:1"),
)

LINE = re.compile(r"^(.*)\s+?(\d+(?:\.\d*)?)$")
"""How flamegraph.pl takes a line apart."""


def weights(lines: list[str]) -> dict[str, int]:
    found = Counter[str]()
    for line in lines:
        match = LINE.match(line)
        assert match is not None, line
        found[match[1]] += int(match[2])
    return dict(found)


def test_folded_stacks_weigh_the_time_in_the_function_itself() -> None:
    assert weights(list(folded(WALK))) == {
        "ls;a": 100 - 40 - 30,
        "ls;a;b": (40 - 10) + 30,
        "ls;a;b;c": 10,
        "kworker/0:1;c": 1,
    }


def test_folded_stacks_may_weigh_calls() -> None:
    assert weights(list(folded(WALK, weight="count"))) == {
        "ls;a": 1,
        "ls;a;b": 2,
        "ls;a;b;c": 1,
        "kworker/0:1;c": 1,
    }


def test_folded_weights_add_up_to_the_outermost_calls() -> None:
    calls = many_calls(5000)
    total = calls["duration_ns"][calls["parent"] < 0].sum()
    assert sum(weights(list(folded(calls))).values()) == total


def test_a_thread_cannot_name_itself_into_other_stacks() -> None:
    calls = calls_frame(C("f", 0, 5, comm="a;b\nevil 99"), C("f", 10, 15, comm=" \x00 ", tid=2))
    assert list(folded(calls)) == ["_;f 5\n", "a_b_evil 99;f 5\n"]


def test_graphviz_draws_the_call_graph(tmp_path: Path) -> None:
    drawn = ElementTree.parse(write_calls(WALK, tmp_path / "walk.svg"))
    names = {"".join(e.itertext()) for e in drawn.iter("{http://www.w3.org/2000/svg}title")}
    assert names >= {"f0->f1", "f1->f2"}
    texts = ["".join(e.itertext()) for e in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a", "b", "c", "2 calls, 1 errors", "total 70 ns, self 60 ns", "2 × 70 ns"} <= set(texts)


@pytest.mark.parametrize("name", ['a"b', "back\\", "\\N", 'x\\"]; evil [label="', "new\nline", "<b>&"])
def test_names_are_drawn_as_they_are(name: str, tmp_path: Path) -> None:
    calls = calls_frame(C(name, 0, 9, [C("g", 1, 2)]))
    drawn = ElementTree.parse(write_calls(calls, tmp_path / "walk.svg"))
    texts = ["".join(e.itertext()) for e in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert name.replace("\n", "\N{REPLACEMENT CHARACTER}") in texts
    assert len([e for e in drawn.iter() if e.get("class") == "node"]) == 2


def test_the_graph_has_a_line_per_function_and_edge(tmp_path: Path) -> None:
    path = write_calls(WALK, tmp_path / "walk.dot")
    counted = subprocess.run(["gc", "-n", "-e", path], capture_output=True, text=True, check=True)
    # a, b, c; a to b, b to c.
    assert counted.stdout.split()[:2] == ["3", "2"]
    assert path.read_text() == "".join(dot(WALK))


def test_a_picture_without_graphviz_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match="no Graphviz"):
        write_calls(WALK, tmp_path / "walk.svg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "hint"), [("walk.jsn", "did you mean .json"), ("walk", "one of"), ("walk.png", "")]
)
def test_an_unknown_form_is_refused_with_those_there_are(name: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        write_calls(WALK, tmp_path / name)
    assert hint in (caught.value.hint or "")


def test_an_unknown_weight_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no weight"):
        write_calls(WALK, tmp_path / "walk.folded", weight="bytes")  # type: ignore[arg-type]


def test_what_is_no_frame_of_calls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no column tid, pid"):
        write_calls(pd.DataFrame({"count": [1]}), tmp_path / "walk.json")


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(KTraceError, match="cannot write"):
        write_calls(WALK, tmp_path / "missing" / "walk.json")


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    path = write_calls(WALK, tmp_path / "walk.json")
    before = path.read_bytes()
    broken = WALK.assign(start_ns="soon")
    with pytest.raises(ValueError, match="soon"):
        write_calls(broken, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["walk.json"]


def test_text_is_a_tree_with_results_and_durations(tmp_path: Path) -> None:
    lines = write_calls(WALK, tmp_path / "walk.txt").read_text().splitlines()
    assert [line.split()[:2] for line in lines] == [
        *(["kworker/0:1", "(7)"], ["↔", "c()"]),
        *(["ls", "(100)"], ["→", "a()"], ["→", "b()"], ["↔", "c()"], ["←", "b"], ["↔", "b()"], ["←", "a"]),
    ]
    assert lines[-1].endswith("100 ns")
