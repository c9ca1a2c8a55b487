"""The headers a cell is compiled with, made for one cell and one kernel.

bcc wants the kernel's source tree. What it and a cell really need of it is
little: the types the cell names, exactly as the running kernel has them, which
its BTF tells; some macros, which it does not (``constants.py``); and a file for
each ``#include`` to find. So a tree of about ten small files stands in for it.

The order in which bcc reads them decides where things go::

    -include include/linux/kconfig.h          CONFIG_ macros
    -include bcc/bpf.h, carried by libbcc     reads linux/types.h: basic types
    -include bcc/helpers.h, likewise          reads linux/version.h, then asm/page.h: the cell's types
    -include include/ktrace_nb.h              macros, after everything they might disturb
    the cell                                  its own includes find empty files

Source of the order: bcc ``src/cc/frontends/clang/loader.cc``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ktrace_nb.codegen.constants import Definition, Definitions
from ktrace_nb.codegen.ctext import CText
from ktrace_nb.codegen.directives import check_includes, check_tests, stub_path
from ktrace_nb.codegen.header_types import BASIC_TYPES, KEYWORDS, CellTypes, Provided
from ktrace_nb.diagnostics import Problem
from ktrace_nb.kernel import tracefs
from ktrace_nb.kernel.btf import Btf
from ktrace_nb.kernel.config import parse_release
from ktrace_nb.kernel.syscalls import ENTRY_PREFIXES
from ktrace_nb.source import Source

CFLAGS = ("-include", "include/ktrace_nb.h", "-Werror=implicit-function-declaration")
"""What the compiler must be given. A function that nobody declares is an inline function of
a header that is not here: it must not become a call of nothing with a warning."""

# Macros that bcc's own macros expand to.
_BCC_NEEDS = frozenset(("PAGE_SIZE", "roundup_pow_of_two"))
# Endings of the macros that answer each. Source: Linux include/linux/kconfig.h.
_SETTING_TESTS = {"IS_ENABLED": ("", "_MODULE"), "IS_BUILTIN": ("",), "IS_MODULE": ("_MODULE",)}
_ALIGNED_U64 = "#define __aligned_u64 __u64 __attribute__((aligned(8)))\n"
_EMPTY = (
    "linux/bpf_common.h",
    "linux/log2.h",
    "uapi/linux/bpf.h",
    "uapi/linux/if_ether.h",
    "uapi/linux/if_packet.h",
)


@dataclass(frozen=True)
class HeaderTree:
    """A stub of a kernel's source tree."""

    files: Mapping[str, str]
    """Path below the tree, text."""

    cflags: tuple[str, ...]
    """What the compiler must be given besides the cell's own flags."""

    provided: Provided
    problems: tuple[Problem, ...]
    """What the tree cannot serve; with an error among them the cell must not be compiled."""


def bcc_names(*headers: str) -> frozenset[str]:
    """What bcc's own headers declare, which a kernel's types must not declare again.

    Args:
        headers: Text of the ``bpf.h`` that libbcc carries, best with its ``helpers.h``.
    """
    found: set[str] = set()
    for header in headers:
        text = CText(header)
        found |= text.declared | text.defines
        # The constants of enum bpf_func_id are written by a macro that gets every helper's name.
        found.update(f"BPF_FUNC_{name}" for name in re.findall(r"\bFN\((\w+)", header))
    return frozenset(found)


def tracepoints_named(cell: str | Source, known: Iterable[str]) -> list[str]:
    """Which tracepoints' records a cell names, so that their formats can be fetched.

    Args:
        cell: The C text.
        known: All tracepoints of the kernel, as ``category/event``.
    """
    text = CText(cell.text if isinstance(cell, Source) else cell)
    tokens = [token.text for token in text.tokens]
    probes = {
        tracefs.struct_name(f"{tokens[i + 2]}/{tokens[i + 4]}")
        for i, token in enumerate(tokens[:-4])
        if token == "TRACEPOINT_PROBE"
    }
    wanted = probes | {tag for _, tag in text.tags}
    return [name for name in known if tracefs.struct_name(name) in wanted]


def header_tree(
    cell: str | Source,
    btf: Btf,
    *,
    formats: Mapping[str, str],
    config: Mapping[str, str],
    release: str,
    cpus: int,
    bcc_names: Collection[str],
    cflags: Sequence[str] = (),
    extra_words: Iterable[str] = (),
) -> HeaderTree:
    """Make the headers for one cell on one kernel.

    Args:
        cell: The C text as bcc will get it.
        btf: The kernel's types.
        formats: ``category/event`` and content of the format file, for the
            tracepoints whose record the cell names (:func:`tracepoints_named`).
        config: The kernel's configuration (:func:`~ktrace_nb.kernel.config.parse_config`);
            empty if the kernel does not tell.
        release: ``uname -r``, best with ``uname -v`` behind it; see
            :func:`~ktrace_nb.kernel.config.parse_release`.
        cpus: How many CPUs ``bpf_num_cpus()`` counts.
        bcc_names: What bcc declares itself, from :func:`bcc_names`.
        cflags: The flags the cell brings: a macro that ``-D`` defines or ``-U``
            says to be absent is a known one.
        extra_words: Names of any kind that the cell's text does not have but needs.

    Raises:
        FactError: The BTF or a format is malformed, or the release is none.
    """
    source = cell if isinstance(cell, Source) else Source(cell)
    text = CText(source.text)
    given, absent = (frozenset(re.findall(rf"(?:^|\s)-{x}\s*(\w+)", " ".join(cflags))) for x in "DU")
    own = text.declared | text.defines | given
    extra_words = frozenset(extra_words)
    words = text.words | extra_words

    definitions = Definitions(btf, config).closure(
        words | _BCC_NEEDS, declared={*own, *bcc_names}, variables=text.variables
    )
    words = words.union(*(definition.words for definition in definitions.values()))
    named = tracepoints_named(cell, formats) if formats else ()
    records = {name: tracefs.parse_format(formats[name]) for name in named}
    settings = _settings(words, config, btf)

    types = CellTypes(btf, reserved={*own, *bcc_names} - BASIC_TYPES.keys(), words=words)
    basic = types.basic()
    types.want_tags((keyword, word) for keyword in KEYWORDS for word in extra_words)
    types.want_tags(text.tags.union(*(CText(d.text).tags for d in definitions.values())))
    for field in (field for record in records.values() for field in record.own_fields):
        types.want_tags(CText(field.type).tags)
        types.want_words(field.words)
    types.want_words(words.difference(definitions))
    declarations = types.declare() + "".join(
        tracefs.record_struct(name, record, btf) for name, record in records.items()
    )
    files = {
        "include/linux/kconfig.h": _settings_text(settings, words),
        "include/linux/types.h": _guarded("KT_TYPES_H", basic + _ALIGNED_U64),
        "include/linux/version.h": _version_text(release),
        "include/asm/page.h": _guarded("KT_PAGE_H", declarations),
        "include/ktrace_nb.h": _guarded("KTRACE_NB_H", _definitions_text(definitions.values(), cpus)),
        **{f"include/{name}": "" for name in _EMPTY},
    }
    for mention in text.includes:
        path = stub_path(mention.name)
        if path:
            files.setdefault(path, "")
    macros = [name for name, definition in definitions.items() if not definition.is_function]
    functions = [name for name, definition in definitions.items() if definition.is_function]
    decided = {*macros, *settings, *given, *absent, *bcc_names}
    problems = (
        *check_includes(text, source),
        *check_tests(text, source, decided=decided, config=config, btf=btf),
        *types.ambiguities(text, source),
    )
    provided = types.provided(
        macros=[name for name in macros if name in words],
        functions=functions,
        settings=settings,
        tracepoints=records,
    )
    return HeaderTree(files, CFLAGS, provided, problems)


def _guarded(name: str, text: str) -> str:
    return f"#ifndef {name}\n#define {name}\n{text}#endif\n"


def _settings(words: Collection[str], config: Mapping[str, str], btf: Btf) -> dict[str, str]:
    """The ``CONFIG_`` macros that are set and that the cell or bcc asks for."""
    # The configuration may be unknown; these two bcc needs, and BTF tells.
    settings = {"CONFIG_BPF_SYSCALL": "1"}
    if any(btf.function(f"{prefix}bpf") is not None for prefix in ENTRY_PREFIXES if prefix[:2] == "__"):
        settings["CONFIG_ARCH_HAS_SYSCALL_WRAPPER"] = "1"
    for word in sorted(words):
        if word.startswith("CONFIG_"):
            settings |= {name: config[name] for name in (word, f"{word}_MODULE") if name in config}
    return settings


def _settings_text(settings: Mapping[str, str], words: Collection[str]) -> str:
    """``kconfig.h``."""
    lines = [f"#define {name} {value}" for name, value in settings.items()]
    # ## keeps the name from being replaced by its value, so each name has its own answer.
    asked = sorted(name.removesuffix("_MODULE") for name in words if name.startswith("CONFIG_"))
    for macro, endings in _SETTING_TESTS.items():
        if macro in words:
            lines.append(f"#define {macro}(option) kt_{macro}_##option")
            lines += [f"#define kt_{macro}_{n} {int(any(n + e in settings for e in endings))}" for n in asked]
    return "".join(f"{line}\n" for line in lines)


def _version_text(release: str) -> str:
    major, minor, patch = parse_release(release)
    # The patch level has one byte. Source: Linux Makefile, filechk_version.h.
    return _guarded(
        "KT_VERSION_H",
        "#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))\n"
        f"#define LINUX_VERSION_CODE {(major << 16) + (minor << 8) + min(patch, 255)}\n",
    )


def _definitions_text(definitions: Iterable[Definition], cpus: int) -> str:
    # bcc would put the number of this machine's CPUs in.
    lines = [f"#define bpf_num_cpus() ({cpus})", *(definition.text for definition in definitions)]
    return "".join(f"{line}\n" for line in lines)
