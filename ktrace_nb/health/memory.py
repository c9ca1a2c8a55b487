"""Pieces of memory: pages allocated, pages to be written."""

from __future__ import annotations

from collections.abc import Mapping

from ktrace_nb.health.model import Account, Change, Piece, ReadWords
from ktrace_nb.health.parsing import line, sum_of_lines
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts

_VMSTAT = "/proc/vmstat"

_BULK = (
    "(gfp_t gfp, int nid, nodemask_t *nodes, int wanted, struct list_head *list, struct page **array,"
    " unsigned long got)"
)

# Pages taken many at once pass by the tracepoint. A call that gets but one got it in the common
# way, which the tracepoint has seen. Source: Linux mm/page_alloc.c, alloc_pages_bulk_noprof().
PAGES = Piece(
    name="pages",
    title="page allocations",
    unit="pages",
    kind="counter",
    changes=(
        Change(
            points=("raw_tracepoint:mm_page_alloc",), by="1LL << (u32)ctx->args[1]", given="ctx->args[0] != 0"
        ),
        Change(
            points=(f"fexit:alloc_pages_bulk_noprof{_BULK}", f"fexit:__alloc_pages_bulk{_BULK}"),
            by="got",
            given="got > 1",
        ),
    ),
    account=Account(files=(_VMSTAT,), parse=sum_of_lines(_VMSTAT, "pgalloc_")),
    note="an array that is filled up in bulk after it was filled in part counts in full;"
    " what compaction hands over is not in the kernel's number",
)


def _folio(facts: KernelFacts, _: ReadWords) -> Mapping[str, int]:
    """Where a folio says how many pages it has."""
    (folio,) = facts.btf.find("folio", Kind.STRUCT)
    member = facts.btf.member(folio, "_nr_pages") or facts.btf.member(folio, "_folio_nr_pages")
    head = facts.btf.constant("PG_head")
    # No folio of more than one page is told by bit 63, which is a node's number and never set.
    return {
        "NR_PAGES": member.bit_offset // 8 if member else 0,
        "HEAD_BIT": 63 if head is None or member is None else head,
    }


def _pages(folio: str) -> str:
    return f"((word({folio}) >> HEAD_BIT) & 1 ? (s64)(u32)word({folio} + NR_PAGES) : 1)"


# Each CPU keeps changes of nr_dirty for itself until they are many; reading stat_refresh adds them
# up. Source: Linux mm/page-writeback.c, folio_account_dirtied(), mm/vmstat.c, vmstat_refresh().
DIRTY = Piece(
    name="dirty",
    title="dirty pages",
    unit="pages",
    kind="level",
    changes=(
        Change(points=("raw_tracepoint:writeback_dirty_folio",), by=_pages("ctx->args[0]")),
        Change(
            points=("fexit:folio_clear_dirty_for_io(struct folio *folio, bool was)",),
            by="-" + _pages("(u64)folio"),
            given="was",
        ),
        Change(points=("fentry:folio_account_cleaned(struct folio *folio)",), by="-" + _pages("(u64)folio")),
    ),
    account=Account(
        files=(_VMSTAT,), parse=line(_VMSTAT, "nr_dirty"), refresh=("/proc/sys/vm/stat_refresh",)
    ),
    least=0,
    # From here on who writes has to wait. Source: Linux mm/page-writeback.c, balance_dirty_pages().
    ceiling=Account(files=(_VMSTAT,), parse=line(_VMSTAT, "nr_dirty_threshold")),
    constants=_folio,
)

PIECES = (PAGES, DIRTY)
