"""Where the programs of a walk go; which there are is in tests/codegen/test_calls.py."""

from __future__ import annotations

import pytest

from ktrace_nb.ir.calls import KPROBE, KPROBE_MULTI, Traced, Walk
from ktrace_nb.ir.calls_plan import plan_walk
from ktrace_nb.wire import bundle as b
from tests.lang.calls.calls_kernel import FACTS

TWINS = (Traced("open", address=0x100), Traced("twin", address=0x200), Traced("twin", "nfs", 0x300))


def points(means: str, functions: tuple[Traced, ...]) -> list[b.AttachPoint]:
    planned = plan_walk(Walk(functions=functions, means=means), FACTS)
    return [point for _, point, _ in planned if point.kind != "raw_tracepoint"]


def test_functions_of_one_name_get_single_kprobes_by_their_addresses() -> None:
    placed = [(p.kind, p.target, p.offset, p.cookie) for p in points(KPROBE, TWINS)]
    assert placed == [
        (kind, *place, TWINS[number].cookie(number))
        for kind in ("kretprobe", "kprobe")
        for number, place in enumerate([("open", 0), ("", 0x200), ("", 0x300)])
    ]


def test_errors_name_the_function_that_a_kprobe_is_at_by_address() -> None:
    planned = plan_walk(Walk(functions=TWINS, means=KPROBE), FACTS)
    wishes = [wish.target for _, point, wish in planned if point.kind == "kprobe"]
    assert wishes == ["open", "twin", "twin"]


@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_a_kernel_that_hides_addresses_is_told_names_alone(hidden: int) -> None:
    functions = (
        Traced("a", address=0 if hidden else 0x100),
        Traced("b", address=0 if hidden == 2 else 0x200),
    )
    for point in points(KPROBE_MULTI, functions):
        assert point.places == (b"" if hidden else b"\0\1" + bytes(6) + b"\0\2" + bytes(6))
        assert point.names == b"a\nb"
        assert point.functions == 2
