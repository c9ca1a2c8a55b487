"""Pieces of the network: buffers, segments sent again."""

from __future__ import annotations

from collections.abc import Mapping

from ktrace_nb.errors import StreamError
from ktrace_nb.health.model import TOTAL, Account, Change, Piece, ReadWords
from ktrace_nb.health.parsing import mib, slab_objects
from ktrace_nb.kernel.btf_format import Kind
from ktrace_nb.kernel.facts import KernelFacts
from ktrace_nb.kstat.files import Snapshot

CACHES: Mapping[str, tuple[str, ...]] = {
    "skbuff_head_cache": ("skbuff_cache", "skbuff_head_cache"),
    "skbuff_fclone_cache": ("skbuff_fclone_cache",),
    "skbuff_small_head": ("skb_small_head_cache",),
}
"""Slab caches of network buffers, and what the kernel calls the pointer to each: a member of
``net_hotdata`` since Linux 6.9, before that a variable. The third came with 6.3. Source:
``net/core/skbuff.c``, ``include/net/hotdata.h``."""

_SMALL_HEAD = 2


def _caches(facts: KernelFacts, read_words: ReadWords) -> Mapping[str, int]:
    """Addresses of the caches, and what finds the cache of an object."""
    places = [_pointer_to(facts, names) for names in CACHES.values()]
    bases = [next(iter(facts.symbols.addresses(n)), 0) for n in ("page_offset_base", "vmemmap_base")]
    known = [address for address in (*places, *bases) if address]
    words = dict(zip(known, read_words(known), strict=True))
    # No cache is at address 1.
    found = {f"CACHE_{n}": words.get(place, 1) for n, place in enumerate(places)}
    return {**found, "DIRECT_MAP": words.get(bases[0], 0), "PAGES": words.get(bases[1], 0)}


def _pointer_to(facts: KernelFacts, names: tuple[str, ...]) -> int:
    """Where the pointer to a cache is; 0 if the kernel has none."""
    for record in facts.btf.find("net_hotdata", Kind.STRUCT):
        members = (facts.btf.member(record, name) for name in names)
        member = next((m for m in members if m), None)
        if member:
            return facts.symbols.addresses("net_hotdata")[0] + member.bit_offset // 8
    return next((address for name in names for address in facts.symbols.addresses(name)), 0)


def _row(cache: str) -> str:
    tests = (f"{cache} == CACHE_{n} ? {n} :" for n in range(len(CACHES)))
    return f"{' '.join(tests)} {len(CACHES)}"


_OBJECTS = {cache: f"/sys/kernel/slab/{cache}/objects" for cache in CACHES}
_BULK = "struct kmem_cache *cache, gfp_t flags, size_t size, void **objects, int got"

# Free objects of a slab that a CPU works on count as used until it is given back, which "shrink"
# does; a slab taken after that makes the number too high again, never too low. Objects taken or
# freed many at once pass by the tracepoints. Small heads are freed by kfree(), which tells an
# address: the cache is found by its page. Source: Linux mm/slub.c, show_slab_objects(),
# flush_all(), kmem_cache_alloc_bulk(); net/core/skbuff.c, skb_kfree_head(), napi_skb_cache_get().
SKB = Piece(
    name="skb",
    title="network buffers",
    unit="objects",
    kind="level",
    least=0,
    changes=(
        Change(
            points=("raw_tracepoint:kmem_cache_alloc",), row=_row("ctx->args[2]"), given="ctx->args[1] != 0"
        ),
        Change(points=("raw_tracepoint:kmem_cache_free",), row=_row("ctx->args[2]"), by="-1"),
        Change(
            points=("raw_tracepoint:kfree",),
            row=str(_SMALL_HEAD),
            by="-1",
            given=f"cache_of(ctx->args[1], DIRECT_MAP, PAGES) == CACHE_{_SMALL_HEAD}",
        ),
        Change(
            points=(
                f"fexit:kmem_cache_alloc_bulk_noprof({_BULK})",
                f"fexit:kmem_cache_alloc_bulk({_BULK})",
            ),
            row=_row("(u64)cache"),
            by="got",
        ),
        Change(
            points=("fentry:kmem_cache_free_bulk(struct kmem_cache *cache, size_t size)",),
            row=_row("(u64)cache"),
            by="-(s64)size",
        ),
    ),
    account=Account(
        files=tuple(_OBJECTS.values()),
        parse=slab_objects(_OBJECTS),
        settle=tuple(f"/sys/kernel/slab/{cache}/shrink" for cache in CACHES),
        only_above=True,
    ),
    rows=lambda told: {cache: row for row, cache in enumerate(CACHES) if cache in told},
    constants=_caches,
    note="objects of slab caches: a buffer, two where it may be cloned (fclone), data of a small one"
    " (small_head); also those of others where the kernel has merged a cache with theirs",
)


def _same_network(sock: str) -> str:
    return f"word({sock} + offsetof(struct sock, __sk_common.skc_net)) == INIT_NET"


def _init_net(facts: KernelFacts, _: ReadWords) -> Mapping[str, int]:
    return {"INIT_NET": facts.symbols.addresses("init_net")[0]}


def _sent_again(files: Snapshot) -> Mapping[str, int]:
    """Segments less those that the tracepoint does not tell of: they did not get out."""
    try:
        tried = mib(files, "/proc/net/snmp", "Tcp")["RetransSegs"]
        failed = mib(files, "/proc/net/netstat", "TcpExt")["TCPRetransFail"]
    except KeyError as error:
        raise StreamError(f"the kernel does not tell {error}") from None
    return {TOTAL: tried - failed}


# Source: Linux net/ipv4/tcp_output.c, __tcp_retransmit_skb(), tcp_rtx_synack().
RETRANSMITS = Piece(
    name="retransmits",
    title="TCP retransmits",
    unit="segments",
    kind="counter",
    changes=(
        Change(
            points=("raw_tracepoint:tcp_retransmit_skb",),
            by="half(ctx->args[1] + offsetof(struct sk_buff, cb)"
            " + offsetof(struct tcp_skb_cb, tcp_gso_segs))",
            given=_same_network("ctx->args[0]"),
        ),
        Change(
            points=("raw_tracepoint:tcp_retransmit_synack",),
            given=_same_network("ctx->args[0]"),
            optional=True,
        ),
    ),
    account=Account(files=("/proc/net/snmp", "/proc/net/netstat"), parse=_sent_again),
    constants=_init_net,
    note="of the first name space of networks, where the agent has to be as well",
)

PIECES = (SKB, RETRANSMITS)
