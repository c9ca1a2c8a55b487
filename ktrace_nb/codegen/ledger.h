/* What a program loses, counted by itself.
 *
 * bcc rewrites table.method() into calls of helpers with bpf_pseudo_fd(1, N) for
 * the table, N being -1 for the table declared first, -2 for the next. The macros
 * below stand in front of those helpers in bcc's last pass: they note N, call the
 * helper, and count in row -1 - N of a per-CPU map that the agent makes for the
 * session. Additions are atomic, because a program can be interrupted by another
 * on its CPU. The order of the counters is LEDGER_FIELDS of wire/bundle.py.
 */
#ifndef KTRACE_LEDGER_H
#define KTRACE_LEDGER_H

enum ktrace_count_ {
	KTRACE_SUBMITTED, KTRACE_DROPPED, KTRACE_FULL, KTRACE_NO_MEMORY, KTRACE_BUSY, KTRACE_OTHER
};

static inline __attribute__((always_inline)) void ktrace_count_(u64 table, int what)
{
	int row = -1 - (int)table;
	u64 *counts = bpf_map_lookup_elem((void *)bpf_pseudo_fd(1, KTRACE_LEDGER_FD), &row);

	if (counts)
		__sync_fetch_and_add(counts + what, 1);
}

/* An entry that is there already (-EEXIST) is no loss. */
static inline __attribute__((always_inline)) void ktrace_refused_(u64 table, int error)
{
	if (error == -17 || error >= 0)
		return;
	ktrace_count_(table, error == -7 ? KTRACE_FULL : error == -12 ? KTRACE_NO_MEMORY :
			     error == -16 ? KTRACE_BUSY : KTRACE_OTHER);
}

/* Outside the macros below this is stored to and never read, so the compiler drops it. */
static u64 ktrace_table_;
#define bpf_pseudo_fd(kind, fd) (ktrace_table_ = (fd), bpf_pseudo_fd(kind, fd))

#define KTRACE_UPDATE_(call, map, ...) ({				\
	u64 ktrace_table_ = 0;						\
	typeof(map) ktrace_map_ = (map);				\
	int ktrace_error_ = call(ktrace_map_, ##__VA_ARGS__);		\
	ktrace_refused_(ktrace_table_, ktrace_error_);			\
	ktrace_error_; })
#define bpf_map_update_elem(map, ...) KTRACE_UPDATE_(bpf_map_update_elem, map, ##__VA_ARGS__)
#define bpf_map_update_elem_(map, ...) KTRACE_UPDATE_(bpf_map_update_elem_, map, ##__VA_ARGS__)
#define bpf_map_push_elem(map, ...) KTRACE_UPDATE_(bpf_map_push_elem, map, ##__VA_ARGS__)

#define KTRACE_SUBMIT_(failed) ({					\
	ktrace_count_(ktrace_table_, KTRACE_SUBMITTED);			\
	if (failed)							\
		ktrace_count_(ktrace_table_, KTRACE_DROPPED);		\
	})

#define bpf_perf_event_output(ctx, map, ...) ({				\
	u64 ktrace_table_ = 0;						\
	void *ktrace_map_ = (map);					\
	int ktrace_error_ = bpf_perf_event_output(ctx, ktrace_map_, ##__VA_ARGS__); \
	KTRACE_SUBMIT_(ktrace_error_ < 0);				\
	ktrace_error_; })

#define bpf_ringbuf_output(map, ...) ({					\
	u64 ktrace_table_ = 0;						\
	void *ktrace_map_ = (map);					\
	long ktrace_error_ = bpf_ringbuf_output(ktrace_map_, ##__VA_ARGS__); \
	KTRACE_SUBMIT_(ktrace_error_ < 0);				\
	ktrace_error_; })

#define bpf_ringbuf_reserve(map, ...) ({				\
	u64 ktrace_table_ = 0;						\
	void *ktrace_map_ = (map);					\
	void *ktrace_record_ = bpf_ringbuf_reserve(ktrace_map_, ##__VA_ARGS__); \
	KTRACE_SUBMIT_(!ktrace_record_);				\
	ktrace_record_; })

/* A stack that falls into a bucket taken by another (-EEXIST) is lost. */
#define bcc_get_stackid(map, ...) ({					\
	u64 ktrace_table_ = 0;						\
	uintptr_t ktrace_map_ = (map);					\
	int ktrace_id_ = bcc_get_stackid(ktrace_map_, ##__VA_ARGS__);	\
	if (ktrace_id_ == -17)						\
		ktrace_count_(ktrace_table_, KTRACE_FULL);		\
	ktrace_id_; })

#endif
