"""The intrinsics that run in the kernel, as C.

:data:`NUMBERS` has those that are integers or symbols, :data:`TEXTS` those that are
strings, :data:`EFFECTS` those that do something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ktrace_nb.codegen import script_contexts as contexts
from ktrace_nb.codegen import script_strings
from ktrace_nb.codegen.script_values import Buffer, is_constant
from ktrace_nb.ir import script as ir
from ktrace_nb.ir import script_layout as layout

if TYPE_CHECKING:
    from ktrace_nb.codegen.script_body import Body
_USER_STACK = 1 << 8  # BPF_F_USER_STACK
_BLANK = "' '"


def number(body: Body, expr: ir.Intrinsic) -> str:
    """C of an integer or a symbol; its effect, if it has one, is written.

    Raises:
        ValueError: The intrinsic does not run in the kernel.
    """
    if expr.name in EFFECTS:
        EFFECTS[expr.name](body, expr)
        return "0"
    if expr.name not in NUMBERS:
        raise ValueError(f"{expr.name}() cannot be in the kernel")
    text = body.given(NUMBERS[expr.name](body, expr))
    # What calls a helper is called once, here and not where its value is used.
    return body.keep(text) if "(" in text and not text.startswith("ctx_") else text


def put(body: Body, expr: ir.Intrinsic, to: Buffer, *, padded: bool) -> None:
    """Write what puts the string of an intrinsic somewhere.

    Raises:
        ValueError: The intrinsic does not run in the kernel.
    """
    if expr.name not in TEXTS:
        raise ValueError(f"{expr.name}() cannot be in the kernel")
    TEXTS[expr.name](body, expr, to, padded)


# --- the task and the moment ---------------------------------------------------------------

_Number = Callable[["Body", ir.Intrinsic], str]


def _plain(c: str) -> _Number:
    return lambda _body, _expr: c


def _time(unit_ns: int) -> _Number:
    offset = "bpf_ktime_get_ns() + state->realtime_offset_ns"
    return _plain(offset if unit_ns == 1 else f"({offset}) / {unit_ns}")


def _user_mode(body: Body, _expr: ir.Intrinsic) -> str:
    if body.context in contexts.IN_USER_MODE:
        return "1"
    # The low bits of cs are the level of privilege.
    return "((ctx[KTRACE_CS] & 3) == 3)" if body.context in contexts.WITH_REGISTERS else "0"


def _register(*, user: bool) -> _Number:
    def value(body: Body, expr: ir.Intrinsic) -> str:
        name = expr.arguments[0] if expr.arguments else None
        found = contexts.register_name(name.value) if isinstance(name, ir.Text) else None
        if found is None:
            raise ValueError(f"{expr.name}() needs the name of a register")
        whole = (contexts.user_register if user else contexts.register)(body.context, found[0])
        return whole if found[1] == 8 else f"(u{8 * found[1]})({whole})"

    return value


def _argument(body: Body, expr: ir.Intrinsic) -> str:
    """Arguments are numbered from 1; of numbers that are computed the first six."""
    (index,) = expr.arguments
    if isinstance(index, ir.Number):
        return contexts.any_argument(body.context, index.value - 1)
    chosen = body.steady(body.number(index))
    value = "0"
    for i in reversed(range(6)):
        value = f"({chosen} == {i + 1} ? {contexts.any_argument(body.context, i)} : {value})"
    return value


def _result(body: Body, _expr: ir.Intrinsic) -> str:
    return contexts.any_result(body.context)


def _memory(*, user: bool, default: bool = False) -> _Number:
    """An unsigned integer at an address: ``(address, size)``."""
    helper = "ktrace_read_user_" if user else "bpf_probe_read_kernel"

    def value(body: Body, expr: ir.Intrinsic) -> str:
        address, given = body.numbers(expr.arguments)
        address = body.steady(address)
        size = given if is_constant(given) else body.keep(f"ktrace_at_most_({given}, 8)")
        word = body.use("word")
        body.put(f"{word}.u64 = 0;")
        if default:
            body.put(f"{helper}(&{word}, {size}, (void *){address});")
        else:
            with body.lines.block(f"if ({helper}(&{word}, {size}, (void *){address}))"):
                body.fail(layout.FAULT, expr.at, detail=address)
        return body.keep(f"{word}.u64")

    return value


def _count(body: Body, expr: ir.Intrinsic) -> str:
    """Words in a list of the process up to one that is 0."""
    address = body.steady(body.number(expr.arguments[0]))
    count = body.keep("-1")
    with body.lines.block("for (u64 i = 0; i < 65; i++)"):
        word = body.use("word")
        body.put(f"{word}.u64 = 0;")
        body.put(f"if (ktrace_read_user_(&{word}, 8, (void *)({address} + 8 * i)))")
        body.put("\tbreak;")
        body.put(f"{count} = i;")
        body.put(f"if (!{word}.u64)")
        body.put("\tbreak;")
    return count


def _readable(body: Body, expr: ir.Intrinsic) -> str:
    address = body.steady(body.number(expr.arguments[0]))
    return f"!ktrace_read_user_(&{body.use('word')}, 1, (void *){address})"


def _address(body: Body, _expr: ir.Intrinsic) -> str:
    """Of a function's probe where it begins, of others where the program stood; 0 without registers."""
    if body.context in contexts.OF_FUNCTIONS:
        return "ktrace_function_(ctx, ctx[KTRACE_IP])"
    return contexts.register(body.context, "ip") if body.context in contexts.WITH_REGISTERS else "0"


def _function(body: Body, expr: ir.Intrinsic) -> str:
    """Of a probe in the kernel: where its function begins; 0 for a tracepoint."""
    if body.context in contexts.TRAMPOLINES:
        return "bpf_get_func_ip(ctx)"
    return _address(body, expr)


def _syscall_number(body: Body, _expr: ir.Intrinsic) -> str:
    return contexts.syscall_number(body.context) if body.context in contexts.SYSCALLS else "-1"


def _user_stack_pointer(body: Body, _expr: ir.Intrinsic) -> str:
    return contexts.user_register(body.context, "sp")


def _backtrace(body: Body, _expr: ir.Intrinsic) -> str:
    body.unit.uses_stacks = True
    return f"(s64){layout.STACKS}.get_stackid(ctx, 0)"


def _user_backtrace(body: Body, _expr: ir.Intrinsic) -> str:
    """The process in the upper half: it is needed to name the addresses."""
    body.unit.uses_stacks = True
    stack = f"(u32){layout.STACKS}.get_stackid(ctx, {_USER_STACK})"
    return f"(bpf_get_current_pid_tgid() >> 32 << 32) | {stack}"


NUMBERS: dict[str, _Number] = {
    "pid": _plain("bpf_get_current_pid_tgid() >> 32"),
    "tid": _plain("(u32)bpf_get_current_pid_tgid()"),
    "uid": _plain("(u32)bpf_get_current_uid_gid()"),
    "gid": _plain("bpf_get_current_uid_gid() >> 32"),
    "cpu": _plain("bpf_get_smp_processor_id()"),
    "task_current": _plain("bpf_get_current_task()"),
    "gettimeofday_ns": _time(1),
    "gettimeofday_us": _time(1_000),
    "gettimeofday_ms": _time(1_000_000),
    "gettimeofday_s": _time(1_000_000_000),
    "ktime_get_ns": _plain("bpf_ktime_get_ns()"),
    # A program cannot read the processor's counter; nanoseconds are what there is.
    "get_cycles": _plain("bpf_ktime_get_ns()"),
    "target": _plain("state->target_pid"),
    "user_mode": _user_mode,
    "__register": _register(user=False),
    "__user_register": _register(user=True),
    "__argument": _argument,
    "returnval": _result,
    "jiffies": _plain("bpf_jiffies64()"),
    "__syscall_nr": _syscall_number,
    "__kernel_read": _memory(user=False),
    "__user_read": _memory(user=True),
    "__user_read2": _memory(user=True, default=True),
    "__user_count": _count,
    "__user_readable": _readable,
    "addr": _address,
    "__user_stack_pointer": _user_stack_pointer,
    "probefunc": _function,
    "backtrace": _backtrace,
    "ubacktrace": _user_backtrace,
}


# --- strings ---------------------------------------------------------------------------------

_Text = Callable[["Body", ir.Intrinsic, "Buffer", bool], None]


def _execname(body: Body, _expr: ir.Intrinsic, to: Buffer, padded: bool) -> None:
    # bpf_get_current_comm() fills what is behind the name only in some kernels: 6.1 does not.
    if padded:
        script_strings.zero(body, to)
    body.put(f"bpf_get_current_comm((void *){to.at}, {to.size});")


def _string(*, user: bool, limited: bool = False, default: bool = False) -> _Text:
    """``kernel_string()`` and its kin: ``(address[, length][, text where it cannot be read])``."""
    helper = f"ktrace_read_{'user' if user else 'kernel'}_str_"

    def write(body: Body, expr: ir.Intrinsic, to: Buffer, padded: bool) -> None:
        address = body.steady(body.number(expr.arguments[0]))
        size = str(to.size)
        if limited:
            size = _size(body, expr.arguments[1], to.size, terminated=True)
        if padded or limited:
            script_strings.zero(body, to)
        with body.lines.block(f"if ({helper}((void *){to.at}, {size}, (void *){address}) < 0)"):
            if default:
                body.put_text(expr.arguments[-1], to, padded=padded)
            else:
                body.fail(layout.FAULT, expr.at, detail=address)

    return write


def _size(body: Body, length: ir.Expr, most: int, *, terminated: bool) -> str:
    """A number of bytes as a size the verifier knows to fit, that of the NUL included if there is one."""
    given = body.number(length)
    if terminated:
        return body.keep(f"ktrace_at_most_({given} + 1, {most})")
    return body.keep(f"ktrace_at_most_({given}, {most - 1})")


def _bytes(*, user: bool, default: bool = False) -> _Text:
    helper = "ktrace_read_user_" if user else "bpf_probe_read_kernel"

    def write(body: Body, expr: ir.Intrinsic, to: Buffer, _padded: bool) -> None:
        address = body.steady(body.number(expr.arguments[0]))
        size = _size(body, expr.arguments[1], to.size, terminated=False)
        script_strings.zero(body, to)
        with body.lines.block(f"if ({helper}((void *){to.at}, {size}, (void *){address}))"):
            if default:
                body.put_text(expr.arguments[-1], to)
            else:
                body.fail(layout.FAULT, expr.at, detail=address)
            body.put(f"{size} = 0;")
        index, byte = body.name("i"), f"((char *){to.at})"
        with body.lines.block(f"for (u32 {index} = 0; {index} < {to.size - 1}; {index}++)"):
            body.put(f"if ({index} < {size} && !{byte}[{index}])")
            body.put(f"\t{byte}[{index}] = {_BLANK};")

    return write


TEXTS: dict[str, _Text] = {
    "execname": _execname,
    "kernel_string": _string(user=False),
    "user_string": _string(user=True),
    "kernel_string_n": _string(user=False, limited=True),
    "user_string_n": _string(user=True, limited=True),
    "kernel_string2": _string(user=False, default=True),
    "user_string2": _string(user=True, default=True),
    "__kernel_bytes": _bytes(user=False),
    "__user_bytes": _bytes(user=True),
    "__user_bytes2": _bytes(user=True, default=True),
}
_SURE = {"execname", "kernel_string2", "user_string2", "__user_bytes2"}
READS = {"__kernel_read", "__user_read"} | TEXTS.keys() - _SURE
"""Those that may find that memory is not there."""


# --- effects -----------------------------------------------------------------------------------


def _exit(body: Body, _expr: ir.Intrinsic) -> None:
    """The notebook is told, and no handler begins any more; this one goes on."""
    name = body.name("last")
    body.put("state->stopping = 1;")
    body.put(f"struct ktrace_head_ *{name} = {layout.RECORDS}.ringbuf_reserve(sizeof(*{name}));")
    with body.lines.block(f"if ({name})"):
        head(body, f"{name}->", f"{layout.EXIT:#x}")
        body.put(f"{layout.RECORDS}.ringbuf_submit({name}, 0);")


def _error(body: Body, expr: ir.Intrinsic) -> None:
    """``error()``: what is known is told by its place, else the text is sent."""
    message = expr.arguments[0]
    if isinstance(message, ir.Text):
        body.fail(layout.RAISED, expr.at, name=message.value)
        return
    buffer = body.text(message)
    size = body.unit.limits.max_string
    slot = layout.slot_size(ir.Shape(size, text=True))
    kind, name = body.name("ktrace_text"), body.name("last")
    body.put(f"struct {kind} {{ struct ktrace_head_ head; char text[{slot}]; }};")
    body.put(f"struct {kind} *{name} = {layout.RECORDS}.ringbuf_reserve(sizeof(*{name}));")
    with body.lines.block(f"if ({name})"):
        head(body, f"{name}->head.", f"{layout.ERROR_TEXT:#x}")
        script_strings.copy(body, buffer, Buffer(f"{name}->text", size), padded=False)
        body.put(f"{layout.RECORDS}.ringbuf_submit({name}, 0);")
    for line in body.unit.after_error:
        body.put(line)
    body.leave()


def head(body: Body, record: str, number: str) -> None:
    """Write the head of a record, but for its faults if it has some."""
    body.put(f"{record}number = {number};")
    body.put(f"{record}handler = {body.handler.handler.number};")
    body.put(f"{record}ktime = bpf_ktime_get_ns();")
    body.put(f"{record}faults = 0;")


EFFECTS: dict[str, Callable[[Body, ir.Intrinsic], None]] = {"exit": _exit, "error": _error}
