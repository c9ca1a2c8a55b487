/* kstat_io_t of every disk: which requests wait and which are served, and since when.
 *
 * A request waits from its insertion into a scheduler or a queue to its issue to the driver
 * (block/blk-mq.c, blk_mq_start_request), is served until it completes, and waits again when
 * the driver gives it back. Without a scheduler it is issued without waiting. A request that
 * another absorbs waits no more. Disks without requests (dm, md, brd, zram, ...) serve bios
 * from submission to completion.
 *
 * Disks are told apart by gendisk.diskseq, which no disk that comes later has again.
 */
#include <ktrace_nb/riemann.h>

enum { WAITS = 1, RUNS = 2 };

struct counts {
	u64 reads;
	u64 writes;
	u64 nread;
	u64 nwritten;
	u64 flushes;
	u64 discards;
	u64 errors;
	u64 merged;
	u64 requeued;
	u64 forgotten;
	u64 check;
};

struct sums {
	struct riemann wait;
	struct riemann run;
	struct counts counts;
};

struct disk {
	u64 waiting;
	u64 running;
};

struct inside {
	u64 disk;
	u32 state;
	u32 operation;
	u64 bytes;
};

struct place {
	struct sums *sums;
	struct disk *disk;
};

BPF_PERCPU_HASH(io_sums, u64, struct sums, IO_DISKS);
BPF_HASH(io_disks, u64, struct disk, IO_DISKS);
/* By the address of a request or bio. */
BPF_HASH(io_inside, u64, struct inside, IO_REQUESTS);

#define KERNEL(to, from) bpf_probe_read_kernel(&(to), sizeof(to), &(from))
#define COUNT(to, field, by)								\
	do {										\
		__sync_fetch_and_add(&(to)->field, (by));				\
		check += (by) * RIEMANN_WEIGHT(offsetof(struct counts, field) / 8);	\
	} while (0)

static inline void find(u64 *number, struct place *place)
{
	place->disk = io_disks.lookup(number);
	place->sums = io_sums.lookup(number);
}

static inline void meet(u64 *number, struct place *place)
{
	find(number, place);
	if (!place->disk) {
		struct disk disk = {};

		place->disk = io_disks.lookup_or_try_init(number, &disk);
	}
	if (!place->sums) {
		struct sums sums = {};

		place->sums = io_sums.lookup_or_try_init(number, &sums);
	}
}

static inline void enter(u64 key, struct gendisk *disk, struct inside *inside, u64 now)
{
	struct place place = {};
	u64 number = 0;

	KERNEL(number, disk->diskseq);
	inside->disk = number;
	meet(&number, &place);
	if (!place.disk || !place.sums || io_inside.update(&key, inside))
		return;
	if (inside->state == WAITS)
		riemann_enter(&place.sums->wait, &place.disk->waiting, now);
	else
		riemann_enter(&place.sums->run, &place.disk->running, now);
}

static inline void leave(struct place *place, u32 state, u64 now)
{
	if (state == WAITS)
		riemann_exit(&place->sums->wait, &place->disk->waiting, now);
	else
		riemann_exit(&place->sums->run, &place->disk->running, now);
}

/* A program was not run for the end of what is there under this address: it ends now. */
static inline void forget(u64 key, struct inside *inside, u64 now)
{
	struct place place = {};
	u64 number = inside->disk, check = 0;

	find(&number, &place);
	if (place.disk && place.sums) {
		leave(&place, inside->state, now);
		COUNT(&place.sums->counts, forgotten, 1);
		__sync_fetch_and_add(&place.sums->counts.check, check);
	}
	io_inside.delete(&key);
}

static inline void end(u64 key, struct inside *inside, u32 operation, u64 bytes, int error, u64 now)
{
	struct place place = {};
	u64 number = inside->disk, check = 0;
	u32 state = inside->state;

	find(&number, &place);
	io_inside.delete(&key);
	if (!place.disk || !place.sums)
		return;
	leave(&place, state, now);
	if (error)
		COUNT(&place.sums->counts, errors, 1);
	if (state == RUNS) {
		if (operation == REQ_OP_FLUSH)
			COUNT(&place.sums->counts, flushes, 1);
		if (operation == REQ_OP_DISCARD || operation == REQ_OP_SECURE_ERASE ||
		    operation == REQ_OP_WRITE_ZEROES) {
			COUNT(&place.sums->counts, discards, 1);
			bytes = 0; /* no data went anywhere */
		}
		if (operation & 1 || operation == REQ_OP_FLUSH) {
			COUNT(&place.sums->counts, writes, 1);
			if (!error)
				COUNT(&place.sums->counts, nwritten, bytes);
		} else {
			COUNT(&place.sums->counts, reads, 1);
			if (!error)
				COUNT(&place.sums->counts, nread, bytes);
		}
	}
	if (check)
		__sync_fetch_and_add(&place.sums->counts.check, check);
}

static inline void begin(struct request *rq, u32 state, u64 now)
{
	u64 key = (u64)rq;
	struct inside inside = {.state = state};
	struct request_queue *queue = 0;
	struct gendisk *disk = 0;

	KERNEL(queue, rq->q);
	KERNEL(disk, queue->disk);
	if (disk) /* a device that only takes commands has none */
		enter(key, disk, &inside, now);
}

RAW_TRACEPOINT_PROBE(block_rq_insert)
{
	struct request *rq = (struct request *)ctx->args[0];
	u64 key = (u64)rq, now = bpf_ktime_get_ns();
	struct inside *inside = io_inside.lookup(&key);

	if (inside) {
		if (inside->state == WAITS)
			return 0; /* given back by the driver before */
		forget(key, inside, now);
	}
	begin(rq, WAITS, now);
	return 0;
}

RAW_TRACEPOINT_PROBE(block_rq_issue)
{
	struct request *rq = (struct request *)ctx->args[0];
	u64 key = (u64)rq, now = bpf_ktime_get_ns();
	struct inside *inside = io_inside.lookup(&key);
	struct place place = {};
	u64 number;

	if (inside && inside->state == WAITS) {
		number = inside->disk;
		find(&number, &place);
		inside->state = RUNS;
		if (place.disk && place.sums) {
			riemann_exit(&place.sums->wait, &place.disk->waiting, now);
			riemann_enter(&place.sums->run, &place.disk->running, now);
		}
		return 0;
	}
	if (inside)
		forget(key, inside, now);
	begin(rq, RUNS, now);
	return 0;
}

RAW_TRACEPOINT_PROBE(block_rq_requeue)
{
	struct request *rq = (struct request *)ctx->args[0];
	u64 key = (u64)rq, now = bpf_ktime_get_ns(), number, check = 0;
	struct inside *inside = io_inside.lookup(&key);
	struct place place = {};

	if (!inside) {
		/* The driver had no room for it even to begin. */
		begin(rq, WAITS, now);
		return 0;
	}
	number = inside->disk;
	find(&number, &place);
	if (!place.disk || !place.sums)
		return 0;
	if (inside->state == RUNS) {
		inside->state = WAITS;
		riemann_exit(&place.sums->run, &place.disk->running, now);
		riemann_enter(&place.sums->wait, &place.disk->waiting, now);
		COUNT(&place.sums->counts, requeued, 1);
		__sync_fetch_and_add(&place.sums->counts.check, check);
	}
	return 0;
}

RAW_TRACEPOINT_PROBE(block_rq_merge)
{
	u64 key = ctx->args[0], now = bpf_ktime_get_ns(), number, check = 0;
	struct inside *inside = io_inside.lookup(&key);
	struct place place = {};
	u32 state;

	if (!inside)
		return 0;
	number = inside->disk;
	state = inside->state;
	find(&number, &place);
	io_inside.delete(&key);
	if (!place.disk || !place.sums)
		return 0;
	leave(&place, state, now);
	COUNT(&place.sums->counts, merged, 1);
	__sync_fetch_and_add(&place.sums->counts.check, check);
	return 0;
}

RAW_TRACEPOINT_PROBE(block_rq_complete)
{
	struct request *rq = (struct request *)ctx->args[0];
	u64 key = (u64)rq, now = bpf_ktime_get_ns();
	struct inside *inside = io_inside.lookup(&key);
	u32 flags = 0, left = 0, bytes = ctx->args[2];
	u8 error = ctx->args[1]; /* blk_status_t */

	/* It was issued before anyone looked, or is the end of a flush in several steps. */
	if (!inside)
		return 0;
	KERNEL(left, rq->__data_len);
	if (bytes < left) { /* a part; the rest comes later */
		if (!error)
			inside->bytes += bytes;
		return 0;
	}
	KERNEL(flags, rq->cmd_flags);
	end(key, inside, flags & REQ_OP_MASK, inside->bytes + (error ? 0 : bytes), error, now);
	return 0;
}

RAW_TRACEPOINT_PROBE(block_bio_queue)
{
	struct bio *bio = (struct bio *)ctx->args[0];
	u64 key = (u64)bio, now = bpf_ktime_get_ns();
	struct inside fresh = {.state = RUNS}, *inside;
	const struct block_device_operations *operations = 0;
	struct block_device *device = 0;
	struct gendisk *disk = 0;
	void *submit = 0;
	u32 flags = 0, size = 0;

	KERNEL(device, bio->bi_bdev);
	KERNEL(disk, device->bd_disk);
	KERNEL(operations, disk->fops);
	KERNEL(submit, operations->submit_bio);
	if (!submit)
		return 0; /* a disk with requests */
	inside = io_inside.lookup(&key);
	if (inside)
		forget(key, inside, now);
	KERNEL(flags, bio->bi_opf);
	KERNEL(size, bio->bi_iter.bi_size);
	fresh.bytes = size;
	fresh.operation = flags & REQ_OP_MASK;
	if (!size && flags & 1 << __REQ_PREFLUSH)
		fresh.operation = REQ_OP_FLUSH;
	enter(key, disk, &fresh, now);
	return 0;
}

RAW_TRACEPOINT_PROBE(block_bio_complete)
{
	struct bio *bio = (struct bio *)ctx->args[1];
	u64 key = (u64)bio, now = bpf_ktime_get_ns();
	struct inside *inside = io_inside.lookup(&key);
	u8 error = 0;

	if (!inside)
		return 0;
	KERNEL(error, bio->bi_status);
	end(key, inside, inside->operation, inside->bytes, error, now);
	return 0;
}
