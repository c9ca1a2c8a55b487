"""From a wish to a walk: means, focus, what programs must know of each function."""

from __future__ import annotations

import pytest

from ktrace_nb.errors import OptionError
from ktrace_nb.ir.calls import FENTRY, GRAPH, KPROBE, KPROBE_MULTI, RESULT_INT, RESULT_LONG, RESULT_NONE, Walk
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.lang.calls.lower import Wish, lower
from ktrace_nb.source import Source
from tests.lang.calls.calls_kernel import FACTS, kernel

PLAIN = kernel(fprobe=False)
FORTY = {"calls": ("many_1?,many_2?,many_3?,many_4?",)}


def walk(facts: KernelFacts = FACTS, **wish: object) -> Walk:
    made, _ = lower(Source(""), Wish(**{"calls": ("ext4_*",), **wish}), facts)  # type: ignore[arg-type]
    return made


# --- means ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "wish", "means"),
    [
        (kernel(), {}, FENTRY),
        (kernel(many=50), FORTY, KPROBE_MULTI),
        (kernel(fprobe=False, many=50), FORTY, GRAPH),
        (kernel(fprobe=False, many=50), {**FORTY, "longer_ns": 5}, GRAPH),
        (kernel(fprobe=False, many=50), {**FORTY, "errors": True}, KPROBE),
        (kernel(fprobe=False, many=50, graph=False), FORTY, KPROBE),
        (kernel(fprobe=False, many=50), {"calls": ("many_1?",)}, KPROBE),
        (kernel(trampolines=False, cpus=1), {}, KPROBE),
        (kernel(trampolines=False, cpus=64), {}, KPROBE_MULTI),
        (kernel(many=50, hidden=True), FORTY, KPROBE_MULTI),
        (kernel(fprobe=False, many=50, hidden=True), FORTY, KPROBE),
        (kernel(), {"calls": ("do_exit",)}, KPROBE),
        (kernel(fprobe=False), {"calls": ("do_exit", "vfs_read")}, KPROBE),
        (kernel(), {"calls": ("by_value",)}, KPROBE),
    ],
)
def test_the_means_is_the_best_that_the_kernel_has(
    facts: KernelFacts, wish: dict[str, object], means: str
) -> None:
    made = walk(facts, **wish)
    assert made.means == means
    assert made.why.startswith(
        {FENTRY: "fentry", GRAPH: "function_graph", KPROBE: "single"}.get(means, means)
    )


def test_the_reason_names_what_the_kernel_lacks() -> None:
    facts = kernel(fprobe=False, many=50)
    assert "without arguments and results" in walk(facts, **FORTY).why
    assert "built without fprobe" in walk(facts, **FORTY).why
    assert "--errors needs results" in walk(facts, **FORTY, errors=True).why


@pytest.mark.parametrize(
    ("facts", "wish", "why"),
    [
        (PLAIN, {"means": KPROBE_MULTI}, "the kernel was built without fprobe"),
        (kernel(trampolines=False), {"means": FENTRY}, "no BPF trampolines"),
        (kernel(many=50), {**FORTY, "means": FENTRY}, "40 functions, of which each takes two programs"),
        (kernel(), {"calls": ("by_value",), "means": FENTRY}, "'by_value' takes or returns"),
        (kernel(), {"calls": ("vfs_open",), "means": FENTRY}, "no type of 'vfs_open'"),
        (kernel(), {"calls": ("do_exit",), "means": FENTRY}, "'do_exit' never returns"),
        (kernel(graph=False), {"means": GRAPH}, "built without function_graph"),
        (kernel(hidden=True), {"means": GRAPH}, "hides its addresses"),
        (kernel(), {"means": GRAPH, "errors": True}, "--errors needs results"),
        (kernel(), {"means": GRAPH, "follow": "inode"}, "--follow needs arguments"),
        (kernel(), {"means": "magic"}, "no means 'magic'"),
    ],
)
def test_a_means_that_cannot_be_says_why(facts: KernelFacts, wish: dict[str, object], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        walk(facts, **wish)


def test_a_means_that_is_asked_for_is_taken() -> None:
    for means in (KPROBE_MULTI, FENTRY, GRAPH, KPROBE):
        assert walk(means=means).means == means


MANY = {"calls": ("many_*",)}


@pytest.mark.parametrize(
    ("facts", "wish", "way_out"),
    [
        (kernel(fprobe=False, many=201), {"errors": True}, "leave --errors out, function_graph sees them"),
        (kernel(fprobe=False, many=201), {"means": KPROBE}, "leave --means out, function_graph sees them"),
        (kernel(fprobe=False, graph=False, many=201), {}, "choose 200 functions or fewer; --yes insists"),
        (kernel(many=201), {"means": KPROBE}, "leave --means out; --yes"),
    ],
)
def test_many_single_kprobes_are_refused_unless_they_are_insisted_on(
    facts: KernelFacts, wish: dict[str, object], way_out: str
) -> None:
    with pytest.raises(OptionError, match=r"201 functions by single kprobes, .* may take 10 s") as caught:
        walk(facts, **MANY, **wish)
    assert way_out in str(caught.value.hint)
    made = walk(facts, **MANY, **wish, insist=True)
    assert made.means == KPROBE
    assert "to attach and to let go may take" in made.why


def test_two_hundred_single_kprobes_are_not_too_many() -> None:
    assert walk(kernel(fprobe=False, many=200), **MANY, errors=True).means == KPROBE


# --- what programs know ----------------------------------------------------------------------


def test_a_cookie_has_number_result_pointers_parameter_and_root() -> None:
    made = walk(follow="inode", roots=("ext4_lookup",))
    known = {f.name: f for f in made.functions}
    # int ext4_iget(struct inode *sb, struct inode *inode): a 32-bit result, two pointers, the second followed
    assert known["ext4_iget"].cookie(0) == 0 | (RESULT_INT | 0b11 << 2 | 2 << 8) << 16
    # struct inode *ext4_lookup(struct inode *dir, unsigned flags): a pointer, the first a pointer, a root
    assert known["ext4_lookup"].cookie(1) == 1 | (RESULT_LONG | 0b01 << 2 | 1 << 11) << 16
    # void ext4_match(struct inode *inode)
    assert known["ext4_match"].cookie(2) == 2 | (RESULT_NONE | 0b01 << 2 | 1 << 8) << 16


def test_a_root_is_recorded_though_no_pattern_means_it() -> None:
    made = walk(roots=("vfs_read",))
    assert [f.name for f in made.functions] == ["ext4_iget", "ext4_lookup", "ext4_match", "vfs_read"]
    assert made.focus.roots == ("vfs_read",)
    assert [f.name for f in made.functions if f.is_root] == ["vfs_read"]


def test_a_root_may_be_one_that_is_left_out_else() -> None:
    made = walk(calls=("ext4_*,!ext4_l*",), roots=("ext4_lookup",))
    assert [f.name for f in made.functions] == ["ext4_iget", "ext4_lookup", "ext4_match"]


def test_what_is_left_out_does_not_count_beside_a_root() -> None:
    made = walk(kernel(many=2001), calls=("many_*,ext4_*,!many_1*",), roots=("ext4_lookup",))
    assert made.focus.roots == ("ext4_lookup",)
    assert not any(f.name.startswith("many_1") for f in made.functions)


def test_a_root_takes_no_other_function_away() -> None:
    # vfs_open and vfs_open_alias have one address.
    calls = ("vfs_open*,vfs_write,!vfs_open",)
    assert [f.name for f in walk(calls=calls).functions] == ["vfs_open_alias", "vfs_write"]
    made = walk(calls=calls, roots=("vfs_read",))
    assert [f.name for f in made.functions] == ["vfs_open_alias", "vfs_read", "vfs_write"]


@pytest.mark.parametrize(("root", "other"), [("vfs_open", "vfs_open_alias"), ("vfs_open_alias", "vfs_open")])
def test_a_root_has_the_name_it_was_given(root: str, other: str) -> None:
    made = walk(calls=(f"{other},vfs_write",), roots=(root,))
    assert [(f.name, f.is_root) for f in made.functions] == [(root, True), ("vfs_write", False)]
    assert [(one.name, one.reason) for one in made.left_out] == [(other, f"another name of {root}")]


def test_more_functions_than_have_numbers_are_refused_with_roots_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ktrace_nb.lang.calls.lower.LIMIT", 3)
    assert len(walk(roots=("ext4_lookup",)).functions) == 3
    with pytest.raises(OptionError, match="--from: with its functions there are 4, more than 3"):
        walk(roots=("vfs_read",))


def test_what_a_pattern_of_roots_leaves_out_is_told() -> None:
    made = walk(roots=("vfs_read*",))
    assert [f.name for f in made.functions if f.is_root] == ["vfs_read"]
    assert "vfs_read.cold" in [one.name for one in made.left_out]


def test_remarks_about_roots_are_told() -> None:
    _, remarks = lower(Source(""), Wish(calls=("ext4_*",), roots=("vfs_helper",)), FACTS)
    assert [str(remark.message) for remark in remarks] == [
        "'vfs_helper' is vfs_helper.isra.0 on this kernel",
    ]


def test_an_address_is_followed_as_it_is() -> None:
    made = walk(follow="0xffff888003a1c000")
    assert made.focus.followed == 0xFFFF888003A1C000
    assert not any(f.followed for f in made.functions)


def test_a_parameter_of_one_function_is_followed_from_there() -> None:
    made = walk(follow="ext4_iget:sb")
    assert {f.name: f.followed for f in made.functions} == {"ext4_iget": 1, "ext4_lookup": 0, "ext4_match": 0}


@pytest.mark.parametrize(
    ("follow", "message", "hint"),
    [
        ("inoed", "no function has a parameter 'inoed'", "inode"),
        ("zz", "no function has a parameter 'zz'", "there is dir, flags, inode, sb"),
        ("ext4_match:sb", "ext4_match has no parameter 'sb'", "inode"),
        ("ext4_mach:inode", "'ext4_mach' is not among the recorded functions", "ext4_match"),
        ("a b", "expected PARAMETER", "--follow inode"),
    ],
)
def test_what_cannot_be_followed_is_an_error_with_what_can(follow: str, message: str, hint: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        walk(follow=follow)
    assert hint in str(caught.value.hint)


def test_an_address_needs_functions_that_take_pointers() -> None:
    with pytest.raises(OptionError, match="no function takes a pointer"):
        walk(calls=("sock_alloc",), follow="0xffff888003a1c000")


def test_more_levels_than_a_record_can_tell_are_refused() -> None:
    with pytest.raises(OptionError, match="expected 1 to 255"):
        walk(depth=256)


def test_only_what_is_known_at_the_return_is_sent_then() -> None:
    assert not walk().focus.stateful
    assert walk(depth=3).focus.stateful
    assert not walk(depth=3).focus.completed
    assert walk(errors=True).focus.completed
    assert walk(longer_ns=1).focus.completed
