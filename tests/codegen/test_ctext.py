"""What is read from a C text without compiling it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ktrace_nb.codegen.ctext import CText

CELL = CText(
    """\
#include <uapi/linux/ptrace.h>  // <no/header.h>
# include "linux/fs.h" /* struct nothing { */
#define MAX(a) ((a) + \\
    struct_in_define)
#undef GONE
#if defined(CONFIG_X) && LIMIT > 3 /* COMMENT */ || __has_include(<linux/x.h>) && OTHER
#elif !defined LAST
#ifdef FIRST
#endif
BPF_HASH(start, u32, struct key_t);
BPF_TABLE("hash", u32, struct value_t, table, 10);
BPF_QUEUE(queue, u64, 10);
struct key_t { u32 pid; enum { ONE = 1, TWO } kind; };
union both { int a; };
typedef struct { int a; } pair_t;
typedef int (*call_t)(int);
enum ev { E1, E2 = DEPENDS, E3 };
static int counter = INITIAL, other[3], last;
struct forward;
static inline int helper(struct sock *sk, int *sk_state)
{
    u64 family = sk->sk_family;
    enum inner { C };
    char text[] = "struct quoted { int x; }";
    return READ ? EPERM : 0;
}
int kprobe__vfs_read(struct pt_regs *ctx, const char __user *buf) { return 0; }
"""
)


def test_headers_are_told_with_their_place() -> None:
    assert [mention.name for mention in CELL.includes] == ["uapi/linux/ptrace.h", "linux/fs.h"]
    for mention in CELL.includes:
        assert CELL.text[mention.span.start : mention.span.end] == mention.name


def test_tested_macros_are_told_with_their_place() -> None:
    assert [mention.name for mention in CELL.tested] == ["CONFIG_X", "LIMIT", "OTHER", "LAST", "FIRST"]
    for mention in CELL.tested:
        assert CELL.text[mention.span.start : mention.span.end] == mention.name


def test_macros_defined_or_undefined_are_known() -> None:
    assert CELL.defines == {"MAX", "GONE"}


def test_what_the_cell_declares_outside_functions_is_told_from_what_it_uses() -> None:
    assert CELL.declared == {
        *("start", "table", "queue", "pair_t", "call_t", "counter", "other", "last"),
        *("helper", "kprobe__vfs_read"),
        *("ONE", "TWO", "E1", "E2", "E3", "C"),
        *("struct key_t", "union both", "enum ev", "enum inner"),
    }


def test_words_are_those_outside_comments_and_strings() -> None:
    assert {"struct_in_define", "DEPENDS", "sk_family", "__user"} <= CELL.words
    assert not CELL.words & {"quoted", "nothing", "COMMENT", "no"}


def test_tags_include_those_only_used_or_in_a_macro() -> None:
    assert CELL.tags == {
        *(("struct", name) for name in ("key_t", "value_t", "forward", "sock", "pt_regs")),
        *(("union", "both"), ("enum", "ev"), ("enum", "inner")),
    }
    assert CText("#define sk(x) ((struct inet_sock *)(x))").tags == {("struct", "inet_sock")}


def test_variables_are_told_from_annotations_and_values() -> None:
    assert {"family", "pid", "ctx", "buf"} & CELL.variables == {"family", "pid"}
    assert not CELL.variables & {"EPERM", "__user", "READ"}


def test_a_macro_that_writes_enumerators_hides_none_behind_it() -> None:
    assert CText("enum f { MAPPER(X) Y(Z) LAST, };").declared == {"enum f", "LAST"}


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    cell = CText(text)
    for mention in (*cell.includes, *cell.tested):
        assert text[mention.span.start : mention.span.end] == mention.name
    assert cell.declared | cell.words | cell.defines | cell.variables is not None
    for token in cell.tokens:
        assert text[token.span.start : token.span.end] == token.text
