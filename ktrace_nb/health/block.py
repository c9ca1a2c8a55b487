"""The piece of disks: requests they have been given."""

from __future__ import annotations

from ktrace_nb.health.model import Account, Change, Piece
from ktrace_nb.health.parsing import in_flight, sum_of_files

_INFLIGHT = "/sys/block/*/inflight"
_TAGS = "/sys/block/*/mq/*/nr_tags"

# Only requests that are accounted for have a partition. Source: Linux block/blk-mq.c,
# blk_account_io_start(), blk_mq_check_in_flight().
_COUNTED = "word(ctx->args[0] + offsetof(struct request, part)) != 0"

# A request is complete with the piece that leaves nothing; one that waited for a flush of its disk
# is completed once more, with nothing done. Source: blk_update_request(), block/blk-flush.c.
_DONE = "(u32)ctx->args[2]"
_LEFT = "(u32)word(ctx->args[0] + offsetof(struct request, __data_len))"

BLOCK = Piece(
    name="block",
    title="block queue",
    unit="requests",
    kind="level",
    changes=(
        Change(points=("raw_tracepoint:block_rq_issue",), given=_COUNTED),
        Change(points=("raw_tracepoint:block_rq_requeue",), given=_COUNTED, by="-1"),
        Change(
            points=("raw_tracepoint:block_rq_complete",),
            given=f"{_COUNTED} && {_DONE} && {_DONE} >= {_LEFT}",
            by="-1",
        ),
    ),
    account=Account(files=(_INFLIGHT,), parse=in_flight(_INFLIGHT)),
    least=0,
    # A request that a disk is given has one of its tags. Source: Linux block/blk-mq-sysfs.c.
    ceiling=Account(files=(_TAGS,), parse=sum_of_files(_TAGS)),
    note="given to a disk and not done, all disks together; bio-based ones have no requests",
)

PIECES = (BLOCK,)
