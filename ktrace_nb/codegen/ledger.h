/* What a program loses, counted by itself.
 *
 * bcc rewrites table.method() into calls of helpers with bpf_pseudo_fd(1, N) for
 * the table, N being -1 for the table declared first, -2 for the next. The macros
 * below stand in front of those helpers in bcc's last pass: they note N, call the
 * helper, and count in row -N of a per-CPU map that the agent makes for the
 * session; row 0 is the session's own. Additions are atomic, because a program can
 * be interrupted by another on its CPU. KTRACE_FIELDS are the counters of a row:
 * LEDGER_FIELDS of wire/bundle.py.
 */
#ifndef KTRACE_LEDGER_H
#define KTRACE_LEDGER_H

enum ktrace_count_ { KTRACE_FIELDS };

static inline __attribute__((always_inline)) void ktrace_count_times_(u64 table, int what, u64 times)
{
	int row = -(int)table;
	u64 *counts = bpf_map_lookup_elem((void *)bpf_pseudo_fd(1, KTRACE_LEDGER_FD), &row);

	if (counts)
		__sync_fetch_and_add(counts + what, times);
}

static inline __attribute__((always_inline)) void ktrace_count_(u64 table, int what)
{
	ktrace_count_times_(table, what, 1);
}

/* An entry that is there already (-EEXIST) is no loss. */
static inline __attribute__((always_inline)) void ktrace_refused_(u64 table, int error)
{
	if (error == -17 || error >= 0)
		return;
	ktrace_count_(table, error == -7 ? KTRACE_FULL : error == -12 ? KTRACE_NO_MEMORY :
			     error == -16 ? KTRACE_BUSY : KTRACE_OTHER);
}

/* A program was hit. */
static inline __attribute__((always_inline)) void ktrace_hit_(u32 row)
{
	u64 *hits = bpf_map_lookup_elem((void *)bpf_pseudo_fd(1, KTRACE_HITS_FD), &row);

	if (hits)
		__sync_fetch_and_add(hits, 1);
}

/* A program that is switched off does nothing but count that; where nobody is to know of
 * it, as before everything is attached, not even that: ON, PAUSED, SILENT of wire/bundle.py. */
static inline __attribute__((always_inline)) int ktrace_off_(u32 row)
{
	u64 *word = bpf_map_lookup_elem((void *)bpf_pseudo_fd(1, KTRACE_SWITCH_FD), &row);

	if (!word || !*word)
		return 0;
	if (*word == 1)
		ktrace_count_(0, KTRACE_PAUSED);
	return 1;
}

/* --max-rate and --max-cpu; what the agent's operation "control" writes. */
struct ktrace_control_ {
	u64 most;	/* events admitted per KTRACE_WINDOW_NS */
	u64 on_ns;	/* of every KTRACE_PERIOD_NS, a power of two, programs run for so long */
	u64 start;	/* of the window, CLOCK_MONOTONIC */
	u64 admitted;	/* since then */
};

static inline __attribute__((always_inline)) struct ktrace_control_ *ktrace_control_(void)
{
	int row = 0;

	return bpf_map_lookup_elem((void *)bpf_pseudo_fd(1, KTRACE_CONTROL_FD), &row);
}

/* Two CPUs may both begin a window, or both take its last place: the cap is soft by
 * as many events as there are CPUs, the counts are exact all the same. */
static inline __attribute__((always_inline)) int ktrace_admit_(void)
{
#ifdef KTRACE_MAX_RATE
	struct ktrace_control_ *control = ktrace_control_();
	u64 now = bpf_ktime_get_ns(), admitted;

	if (!control)
		return 1;
	if (now - control->start >= KTRACE_WINDOW_NS) {
		control->start = now;
		control->admitted = 0;
	}
	admitted = control->admitted;
	__sync_fetch_and_add(&control->admitted, 1);
	return admitted < control->most;
#else
	return 1;
#endif
}

/* Whole spells of time, not single hits: what belongs together mostly stays together. */
static inline __attribute__((always_inline)) int ktrace_skip_(void)
{
	struct ktrace_control_ *control = ktrace_control_();

	if (!control || (bpf_ktime_get_ns() & (KTRACE_PERIOD_NS - 1)) < control->on_ns)
		return 0;
	ktrace_count_(0, KTRACE_SKIPPED);
	return 1;
}

/* Reads of strings and of user memory, which may fail or be cut at the buffer's end. */
static inline __attribute__((always_inline)) long ktrace_check_read_(long got)
{
	if (got < 0)
		ktrace_count_(0, KTRACE_FAULTED);
	return got;
}

#define KTRACE_READ_STR_(name, read, read_str)						\
static inline __attribute__((always_inline)) long name(void *to, u32 size, const void *from) \
{											\
	long got = ktrace_check_read_(read_str(to, size, from));			\
	char next = 0;									\
											\
	/* A string that fills the buffer was cut if it goes on. */			\
	if (got == size && size) {							\
		read(&next, 1, (const char *)from + size - 1);				\
		if (next)								\
			ktrace_count_(0, KTRACE_TRUNCATED);				\
	}										\
	return got;									\
}
KTRACE_READ_STR_(ktrace_read_user_str_, bpf_probe_read_user, bpf_probe_read_user_str)
KTRACE_READ_STR_(ktrace_read_kernel_str_, bpf_probe_read_kernel, bpf_probe_read_kernel_str)
KTRACE_READ_STR_(ktrace_read_str_, bpf_probe_read, bpf_probe_read_str)

static inline __attribute__((always_inline)) long
ktrace_read_user_(void *to, u32 size, const void *from)
{
	return ktrace_check_read_(bpf_probe_read_user(to, size, from));
}

/* Outside the macros below this is stored to and never read, so the compiler drops it. */
static u64 ktrace_table_;
#define bpf_pseudo_fd(kind, fd) (ktrace_table_ = (fd), bpf_pseudo_fd(kind, fd))

/* An LRU map makes room without a word: what was put in, less what was deleted and
 * what is there, is what it threw out. KTRACE_LRU has a bit for each such table. */
#define KTRACE_IS_LRU_ ((KTRACE_LRU >> (-1 - (int)ktrace_table_)) & 1)

#define KTRACE_UPDATE_(call, map, key, ...) ({				\
	u64 ktrace_table_ = 0;						\
	typeof(map) ktrace_map_ = (map);				\
	typeof(&*(key)) ktrace_key_of_ = (key);				\
	int ktrace_new_ = KTRACE_IS_LRU_ &&				\
		!bpf_map_lookup_elem((void *)ktrace_map_, ktrace_key_of_); \
	int ktrace_error_ = call(ktrace_map_, ktrace_key_of_, ##__VA_ARGS__); \
	ktrace_refused_(ktrace_table_, ktrace_error_);			\
	if (ktrace_new_ && !ktrace_error_)				\
		ktrace_count_(ktrace_table_, KTRACE_INSERTED);		\
	ktrace_error_; })
#define bpf_map_update_elem(map, ...) KTRACE_UPDATE_(bpf_map_update_elem, map, ##__VA_ARGS__)
#define bpf_map_update_elem_(map, ...) KTRACE_UPDATE_(bpf_map_update_elem_, map, ##__VA_ARGS__)

#define KTRACE_DELETE_(call, map, key) ({				\
	u64 ktrace_table_ = 0;						\
	typeof(map) ktrace_map_ = (map);				\
	int ktrace_error_ = call(ktrace_map_, key);			\
	if (KTRACE_IS_LRU_ && !ktrace_error_)				\
		ktrace_count_(ktrace_table_, KTRACE_DELETED);		\
	ktrace_error_; })
#define bpf_map_delete_elem(map, key) KTRACE_DELETE_(bpf_map_delete_elem, map, key)
#define bpf_map_delete_elem_(map, key) KTRACE_DELETE_(bpf_map_delete_elem_, map, key)

#define bpf_map_push_elem(map, ...) ({					\
	u64 ktrace_table_ = 0;						\
	typeof(map) ktrace_map_ = (map);				\
	int ktrace_error_ = bpf_map_push_elem(ktrace_map_, ##__VA_ARGS__); \
	ktrace_refused_(ktrace_table_, ktrace_error_);			\
	ktrace_error_; })

#define KTRACE_SUBMIT_(admitted, failed) ({				\
	ktrace_count_(ktrace_table_, KTRACE_SUBMITTED);			\
	if (!(admitted))						\
		ktrace_count_(ktrace_table_, KTRACE_CAPPED);		\
	else if (failed)						\
		ktrace_count_(ktrace_table_, KTRACE_DROPPED);		\
	})

#define KTRACE_SEND_(call, before, map, ...) ({				\
	u64 ktrace_table_ = 0;						\
	void *ktrace_map_ = (map);					\
	int ktrace_admitted_ = ktrace_admit_();				\
	long ktrace_error_ = -1;					\
	if (ktrace_admitted_)						\
		ktrace_error_ = call(before ktrace_map_, ##__VA_ARGS__); \
	KTRACE_SUBMIT_(ktrace_admitted_, ktrace_error_ < 0);		\
	ktrace_error_; })
#define KTRACE_CONTEXT_(ctx) ctx,
#define KTRACE_NOTHING_
#define bpf_perf_event_output(ctx, map, ...) \
	KTRACE_SEND_(bpf_perf_event_output, KTRACE_CONTEXT_(ctx), map, ##__VA_ARGS__)
#define bpf_ringbuf_output(map, ...) \
	KTRACE_SEND_(bpf_ringbuf_output, KTRACE_NOTHING_, map, ##__VA_ARGS__)

#define bpf_ringbuf_reserve(map, ...) ({				\
	u64 ktrace_table_ = 0;						\
	void *ktrace_map_ = (map);					\
	int ktrace_admitted_ = ktrace_admit_();				\
	void *ktrace_record_ = 0;					\
	if (ktrace_admitted_)						\
		ktrace_record_ = bpf_ringbuf_reserve(ktrace_map_, ##__VA_ARGS__); \
	KTRACE_SUBMIT_(ktrace_admitted_, !ktrace_record_);		\
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
