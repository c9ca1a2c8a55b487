"""Programs attached to many functions, with cookies, and what the kernel does not take."""

from __future__ import annotations

import errno
import itertools
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from ktrace_nb import engine
from ktrace_nb.engine import Options
from ktrace_nb.errors import RemoteError
from ktrace_nb.ir.program import ProbeRequest
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.session import Session
from ktrace_nb.source import Source
from ktrace_nb.targets.base import Target
from ktrace_nb.wire import bundle as b
from tests.kernel.trace.kit import KERNELS, ONLY_DD, WRITES, Guest, Trace

pytestmark = pytest.mark.kernel

WALK = """
probe module("ext3").function("*").call { printf("%s -> %s\\n", thread_indent(1), probefunc()) }
probe module("ext3").function("*").return { printf("%s <- %s\\n", thread_indent(-1), probefunc()) }
"""
BY_FUNCTION = f"""{ONLY_DD}
BPF_HASH(calls, u64);
int f(struct pt_regs *ctx) {{
    if (is_dd())
        calls.increment(bpf_get_func_ip(ctx));
    return 0;
}}
"""
BY_COOKIE = f"""{ONLY_DD}
BPF_HASH(calls, u64);
int f(struct pt_regs *ctx) {{
    if (is_dd())
        calls.increment(bpf_get_attach_cookie(ctx));
    return 0;
}}
"""
SLEEPERS = "sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait'"

_names = itertools.count()


@pytest.fixture
def facts(lab: Target) -> KernelFacts:
    return engine.facts_of(lab)


@pytest.fixture
def raw(lab: Target) -> Iterator[str]:
    """A session of the agent that no notebook knows of."""
    name = f"raw{next(_names)}"
    lab.connection.call("open", session=name)
    yield name
    lab.connection.call("close", session=name, timeout_s=60)


def enabled(guest: Guest, prefix: str) -> set[str]:
    """Functions that ftrace has something attached to, by its own account."""
    lines = guest.run("cat", "/sys/kernel/tracing/enabled_functions").splitlines()
    return {line.split()[0] for line in lines if line.startswith(prefix)}


def bundle_for(
    lab: Target,
    facts: KernelFacts,
    kind: str,
    names: Sequence[str],
    cell: str,
    *,
    cookies: Sequence[int] = (),
) -> b.Bundle:
    """A cell with one point of kind ``kprobe_multi`` or ``kretprobe_multi``, whatever the plan would be."""
    plain = kind.removesuffix("_multi")
    options = Options(target=lab.name, attach=(f"{plain}:vfs_read:f",))
    built = engine.compile_for(lab, engine.lower(Source(cell), options), options)
    places = [facts.symbols.addresses(name)[0] for name in names]
    point = b.AttachPoint(
        "f",
        kind,
        names=b"\n".join(name.encode() for name in names),
        places=struct.pack(f"<{len(places)}Q", *places),
        cookies=struct.pack(f"<{len(cookies)}Q", *cookies),
    )
    programs = tuple(replace(p, attach_type=b.TRACE_KPROBE_MULTI) for p in built.bundle.programs)
    return replace(built.bundle, programs=programs, attach=(point,))


def session_of(lab: Target, cell: str, bundle: b.Bundle, options: Options) -> Session:
    """A session that runs a bundle of one's own."""
    built = engine.compile_for(lab, engine.lower(Source(cell), options), options)
    requests = (ProbeRequest("f", "kprobe", "by hand"),) * len(bundle.attach)
    plan = replace(built.plan, points=bundle.attach, requests=requests)
    session = Session("multi", lab, engine.facts_of(lab), replace(built, bundle=bundle, plan=plan), options)
    session.start()
    return session


def calls_by_key(session: Session) -> dict[int, int]:
    frame = session["calls"]
    return {int(key): int(value) for key, value in zip(frame.index, frame["value"], strict=True)}


# --- attached, counted, gone ---------------------------------------------------------------


def test_a_glob_is_attached_at_once_and_gone_at_the_end(
    trace: Trace, guest: Guest, facts: KernelFacts
) -> None:
    before, wanted = guest.attached(), set(facts.functions_matching("ext4_*"))
    session = trace(BY_FUNCTION, attach=("kprobe:ext4_*:f",), wait=False)
    (point,) = session.built.bundle.attach
    assert (point.kind, point.target, point.functions) == ("kprobe_multi", "ext4_*", len(wanted))
    assert enabled(guest, "ext4_") == wanted
    session.stop()
    assert enabled(guest, "ext4_") == set()
    assert guest.attached() == before


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", ["kprobe", "kretprobe"])
def test_a_known_workload_is_counted_by_function(trace: Trace, kind: str, facts: KernelFacts) -> None:
    # dd reads and writes each of its 1009 blocks once; what it reads besides is not of /dev/zero.
    attach = tuple(f"{kind}:{name}:f" for name in ("read_zero", "write_null"))
    session = trace(BY_FUNCTION, attach=attach, command=WRITES)
    named = {facts.symbols.resolve(key): count for key, count in calls_by_key(session).items()}
    assert {str(symbol): count for symbol, count in named.items()} == {"read_zero": 1009, "write_null": 1009}
    assert session.probes["hits"].sum() >= 2018
    assert session.losses == {}


def test_a_walk_through_ext4_pairs_every_entry_with_its_return(lab: Target, trace: Trace) -> None:
    session = trace(WALK, language="stap", command="ls /", seconds=30.0)
    assert [p.kind for p in session.built.bundle.attach] == ["kprobe_multi", "kretprobe_multi"]
    entries, returns = session.probes["hits"]
    assert entries == returns > 20
    assert session.losses == {}
    first = [line.split(" ", 1)[1] for line in (s.strip() for s in session.text.splitlines()) if line]
    assert sum("->" in line for line in first) == sum("<-" in line for line in first) == entries


def test_a_script_has_arguments_and_results_of_many_functions(trace: Trace) -> None:
    # dd writes each of its 1009 blocks of 64 bytes once, all of it; so it reads them.
    session = trace(
        """
        global calls, entered
        probe kernel.function("vfs_*") {
            if (execname() == "dd" && ulong_arg(3) == 64) entered[probefunc()]++
        }
        probe kernel.function("vfs_*").return {
            if (execname() == "dd") calls[probefunc(), @entry(ulong_arg(3)), returnval()]++
        }
        """,
        language="stap",
        command=WRITES,
    )
    kinds = {point.kind for point in session.built.bundle.attach}
    assert kinds == {"kprobe_multi", "kretprobe_multi"}
    calls = session["calls"]["value"]
    assert (calls["vfs_write", 64, 64], calls["vfs_read", 64, 64]) == (1009, 1009)
    entered = session["entered"]["value"]
    assert (entered["vfs_write"], entered["vfs_read"]) == (1009, 1009)
    # A function that jumps to another shares its place on the stack: one entry, two returns.
    assert session.losses.keys() <= {"return whose entry was missed"}


def test_a_handler_that_reads_the_instruction_pointer_keeps_its_kprobes(lab: Target) -> None:
    script = """
    probe kernel.function("vfs_rea*") { printf("%x\\n", register("rip")) }
    probe kernel.function("vfs_wri*") { printf("%s %x\\n", probefunc(), addr()) }
    """
    options = Options(target=lab.name, language="stap")
    built = engine.compile_for(lab, engine.lower(Source(script), options), options)
    kinds = {point.kind: point.target for point in built.bundle.attach}
    assert kinds.keys() == {"kprobe", "kprobe_multi"}
    assert kinds["kprobe"].startswith("vfs_rea")
    assert kinds["kprobe_multi"].startswith("vfs_wri")


def test_hundreds_of_functions_are_attached_and_let_go_in_a_moment(trace: Trace) -> None:
    # One by one this took half a minute for each of the two.
    session = trace(WALK, language="stap", wait=False)
    start = time.monotonic()
    session.stop()
    assert time.monotonic() - start < 5


# --- cookies ------------------------------------------------------------------------------


def test_the_cookie_of_a_function_comes_with_its_calls(lab: Target, facts: KernelFacts) -> None:
    names = ["write_null", "vfs_statfs", "read_zero"]
    bundle = bundle_for(lab, facts, "kprobe_multi", names, BY_COOKIE, cookies=(70, 80, 1 << 63))
    session = session_of(lab, BY_COOKIE, bundle, Options(attach=("kprobe:vfs_read:f",), command=WRITES))
    assert session.wait(30)
    assert calls_by_key(session) == {70: 1009, 1 << 63: 1009}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", ["kprobe", "kretprobe"])
def test_a_kprobe_of_its_own_has_a_cookie_too(lab: Target, kind: str) -> None:
    options = Options(target=lab.name, attach=(f"{kind}:vfs_read:f",), command=WRITES)
    built = engine.compile_for(lab, engine.lower(Source(BY_COOKIE), options), options)
    points = tuple(
        b.AttachPoint("f", kind, name, cookie=cookie)
        for name, cookie in (("read_zero", 5), ("write_null", 6))
    )
    session = session_of(lab, BY_COOKIE, replace(built.bundle, attach=points), options)
    assert session.wait(30)
    assert calls_by_key(session) == {5: 1009, 6: 1009}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", ["fentry", "fexit"])
def test_a_trampoline_has_a_cookie_too(lab: Target, kind: str) -> None:
    cell = BY_COOKIE.replace("struct pt_regs *ctx", "u64 *ctx")
    options = Options(target=lab.name, attach=(f"{kind}:write_null:f",), command=WRITES)
    built = engine.compile_for(lab, engine.lower(Source(cell), options), options)
    points = (replace(built.bundle.attach[0], cookie=7),)
    session = session_of(lab, cell, replace(built.bundle, attach=points), options)
    assert session.wait(30)
    assert calls_by_key(session) == {7: 1009}


# --- what the kernel does not take ---------------------------------------------------------


def untraceable(facts: KernelFacts, count: int) -> list[str]:
    """Functions of the kernel that ftrace does not know."""
    known = facts.traceable
    found = (n for n in sorted(facts.symbols.functions) if n.startswith("native_") and n not in known)
    return list(itertools.islice((n for n in found if len(facts.symbols.addresses(n)) == 1), count))


@pytest.mark.parametrize("by_name", [False, True], ids=["by address", "by name"])
def test_functions_that_are_refused_are_found_and_left_out(
    lab: Target, facts: KernelFacts, guest: Guest, raw: str, by_name: bool
) -> None:
    good = [n for n in facts.functions_matching("ext4_*") if len(facts.symbols.addresses(n)) == 1][:60]
    bad = untraceable(facts, 3)
    names = [bad[0], *good[:31], bad[1], *good[31:], bad[2]]
    bundle = bundle_for(lab, facts, "kprobe_multi", names, BY_FUNCTION)
    point = replace(bundle.attach[0], optional=1, places=b"" if by_name else bundle.attach[0].places)
    call = lab.connection.call
    call("load", b.encode_bundle(replace(bundle, attach=(point,))), session=raw)
    refused = call("attach", session=raw, timeout_s=60).head["refused"]
    assert [item[:2] for item in refused] == [[0, names.index(name)] for name in bad]
    assert {item[2] for item in refused} <= {errno.EINVAL, errno.ENOENT, errno.ESRCH}
    assert enabled(guest, "ext4_") == set(good)


def test_without_leave_to_drop_it_a_refused_function_is_an_error_that_names_it(
    lab: Target, facts: KernelFacts, guest: Guest, raw: str
) -> None:
    (bad,) = untraceable(facts, 1)
    bundle = bundle_for(lab, facts, "kprobe_multi", ["vfs_read", bad, "vfs_write"], BY_FUNCTION)
    lab.connection.call("load", b.encode_bundle(bundle), session=raw)
    before = enabled(guest, "vfs_")
    with pytest.raises(RemoteError, match=f"cannot attach kprobe_multi:{bad}: ") as caught:
        lab.connection.call("attach", session=raw)
    assert (caught.value.fields["point"], caught.value.fields["place"]) == (0, 1)
    assert enabled(guest, "vfs_") == before


def test_a_single_kprobe_may_be_optional_too(lab: Target, facts: KernelFacts, guest: Guest, raw: str) -> None:
    options = Options(attach=("kprobe:vfs_read:f",))
    built = engine.compile_for(lab, engine.lower(Source(BY_FUNCTION), options), options)
    points = tuple(
        b.AttachPoint("f", "kprobe", name, optional=1) for name in ("no_such_function", "vfs_write")
    )
    lab.connection.call("load", b.encode_bundle(replace(built.bundle, attach=points)), session=raw)
    reply = lab.connection.call("attach", session=raw)
    assert reply.head["refused"] == [[0, 0, errno.ENOENT]]
    assert any("vfs_write" in line for line in guest.attached())


def test_calls_for_which_no_return_could_be_kept_are_in_the_ledger(lab: Target, facts: KernelFacts) -> None:
    # Eight sleep at once in one function, for which the kernel keeps two calls per CPU in mind.
    cell = "BPF_HASH(seen, u32);\nint f(struct pt_regs *ctx) { u32 k = 0; seen.increment(k); return 0; }"
    bundle = bundle_for(lab, facts, "kretprobe_multi", ["hrtimer_nanosleep"], cell)
    options = Options(attach=("kretprobe:vfs_read:f",), command=SLEEPERS)
    session = session_of(lab, cell, bundle, options)
    assert session.wait(30)
    returns, missed = int(session["seen"]["value"].sum()), int(session.ledger["missed"].loc["f"])
    assert missed > 0
    assert returns + missed == 8
    assert session.losses == {"probe missed (nested or no slot)": missed}


# --- threads -------------------------------------------------------------------------------


def test_the_agent_tells_every_thread_with_its_process_that_ones_parent_and_its_name(
    lab: Target, guest: Guest
) -> None:
    lines = bytes(lab.connection.call("threads").blob).decode().splitlines()
    fields = (line.split(" ", 3) for line in lines)
    found = {int(tid): (int(tgid), int(ppid), comm) for tid, tgid, ppid, comm in fields}
    assert found[1] == (1, 0, guest.run("cat", "/proc/1/comm").strip())
    assert found[2] == (2, 0, "kthreadd")
    own = {tid for tid, (tgid, _, _) in found.items() if tgid == lab.hello.pid}
    (parent,) = {ppid for tgid, ppid, _ in found.values() if tgid == lab.hello.pid}
    assert f"PPid:\t{parent}\n" in guest.run("cat", f"/proc/{lab.hello.pid}/status")
    assert lab.hello.pid in own
    assert len(own) > 1
