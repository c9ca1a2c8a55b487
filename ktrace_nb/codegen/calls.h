/* Programs that record calls. Layout of a record: stream/calls/records.py; of a cookie:
 * Traced.cookie of ir/calls.py. ctx is an array of u64 in every program: registers as
 * struct pt_regs of x86-64 has them, or the arguments of a tracepoint.
 *
 * CALLS_TRACKED_	only threads of processes in calls_tracked
 * CALLS_STATE_		which calls of a thread are open is kept: one of the following
 * CALLS_ROOTS_		only below roots
 * CALLS_DEPTH_		only so many levels
 * CALLS_FOLLOW_	only calls with one object among their arguments; its address, or 0
 * CALLS_COMPLETED_	both records are sent at the return
 * CALLS_ERRORS_	only calls that returned an error
 * CALLS_LONGER_	only calls that took so many nanoseconds
 */
enum { CALLS_ENTRY_, CALLS_RETURN_, CALLS_THREAD_, CALLS_END_ };
enum { CALLS_FORK_ = 1, CALLS_EXEC_, CALLS_RENAMED_ };
enum { CALLS_NONE_, CALLS_INT_, CALLS_LONG_ };

#define CALLS_NUMBER_(cookie) ((u16)(cookie))
#define CALLS_RESULT_(cookie) ((cookie) >> 16 & 3)
#define CALLS_POINTERS_(cookie) ((cookie) >> 18 & 63)
#define CALLS_FOLLOWED_(cookie) ((cookie) >> 24 & 7)
#define CALLS_IS_ROOT_(cookie) ((cookie) >> 27 & 1)

#define CALLS_STACK_BITS_ 11	/* of a frame: 16 KiB, counted in words */
#define CALLS_REPAIRS_ 16	/* open calls that are looked through for one that returned */
#define CALLS_FORGOTTEN_ 64	/* open calls that are forgotten when a thread ends */

#define CALLS_INLINE_ static inline __attribute__((always_inline))

struct calls_record_ {
	u64 at;
	u32 tid;
	u32 frame;
	u16 function;
	u16 cpu;
	u8 kind;
	u8 depth;
	u16 what;
	u64 values[6];
};

/* Where an open call is in its thread; idle threads, of which every CPU has one of number 0, by CPU. */
struct calls_level_ {
	u32 thread;
	u32 level;
};

struct calls_open_ {
	u32 frame;
	u16 function;
	u16 sent : 1;
	u16 cpu : 15;
#ifdef CALLS_COMPLETED_
	u64 at;
	u64 values[6];
#endif
};

CALLS_INLINE_ u32 calls_thread_(void)
{
	u32 tid = bpf_get_current_pid_tgid();

	return tid ? tid : 1u << 31 | bpf_get_smp_processor_id();
}

CALLS_INLINE_ int calls_is_tracked_(u32 process)
{
#ifdef CALLS_TRACKED_
	return calls_tracked.lookup(&process) != 0;
#else
	return 1;
#endif
}

/* --- records ------------------------------------------------------------------------- */

/* The time is taken last at an entry and first at a return, so that a call is not
 * charged with what it costs to record it. */
CALLS_INLINE_ int calls_send_entry_(u64 cookie, u32 frame, const u64 *values)
{
	struct calls_record_ *record = calls_ring.ringbuf_reserve(sizeof(*record));

	if (!record)
		return 0;
	record->tid = bpf_get_current_pid_tgid();
	record->frame = frame;
	record->function = CALLS_NUMBER_(cookie);
	record->cpu = bpf_get_smp_processor_id();
	record->kind = CALLS_ENTRY_;
	record->depth = 0;
	record->what = 0;
	__builtin_memcpy(record->values, values, sizeof(record->values));
	record->at = bpf_ktime_get_ns();
	calls_ring.ringbuf_submit(record, 0);
	return 1;
}

CALLS_INLINE_ void calls_send_return_(u64 cookie, u32 frame, u64 at, u64 result)
{
	struct calls_record_ *record = calls_ring.ringbuf_reserve(sizeof(*record));

	if (!record)
		return;
	__builtin_memset(record->values, 0, sizeof(record->values));
	record->at = at;
	record->tid = bpf_get_current_pid_tgid();
	record->frame = frame;
	record->function = CALLS_NUMBER_(cookie);
	record->cpu = bpf_get_smp_processor_id();
	record->kind = CALLS_RETURN_;
	record->depth = 0;
	record->what = 0;
	record->values[0] = result;
	calls_ring.ringbuf_submit(record, 0);
}

CALLS_INLINE_ void calls_send_thread_(int kind, int what, u32 tid, u32 process, const char *name)
{
	struct calls_record_ *record = calls_ring.ringbuf_reserve(sizeof(*record));

	if (!record)
		return;
	__builtin_memset(record->values, 0, sizeof(record->values));
	record->at = bpf_ktime_get_ns();
	record->tid = tid;
	record->frame = process;
	record->function = 0;
	record->cpu = bpf_get_smp_processor_id();
	record->kind = kind;
	record->depth = 0;
	record->what = what;
	if (name)
		bpf_probe_read_kernel_str(record->values, 16, name);
	calls_ring.ringbuf_submit(record, 0);
}

#ifdef CALLS_STATE_

/* --- open calls ------------------------------------------------------------------------ */

CALLS_INLINE_ void calls_set_open_(u32 thread, u32 *known, u32 open)
{
	if (!open)
		calls_threads.delete(&thread);
	else if (known)
		*known = open;
	else
		calls_threads.update(&thread, &open);
}

/* Whether an open call has returned unseen, now that something happens at a frame:
 * whatever is deeper in the same stack has. A call of the same frame may have jumped
 * to the function that is here now, unless that is the same once more. */
CALLS_INLINE_ int calls_has_gone_(const struct calls_open_ *call, u32 frame, u64 cookie)
{
	if ((call->frame ^ frame) >> CALLS_STACK_BITS_)
		return 0;
	return call->frame < frame || (call->frame == frame && call->function == CALLS_NUMBER_(cookie));
}

/* How many calls of the thread are open, those that have gone taken away. */
CALLS_INLINE_ u32 calls_still_open_(u32 thread, u32 open, u32 frame, u64 cookie)
{
	int i;

	for (i = 0; i < CALLS_REPAIRS_; i++) {
		struct calls_level_ top = {thread, open - 1};
		struct calls_open_ *call;

		if (!open)
			break;
		call = calls_open.lookup(&top);
		if (call && !calls_has_gone_(call, frame, cookie))
			break;
		calls_open.delete(&top);
#ifdef CALLS_COMPLETED_
		ktrace_count_(0, KTRACE_UNMATCHED);
#endif
		open--;
	}
	return open;
}

/* The level of the call that returns, counted from 1; 0 if it was not recorded. */
CALLS_INLINE_ u32 calls_level_of_(u32 thread, u32 open, u32 frame, u64 cookie)
{
	int i;

	for (i = 0; i < CALLS_REPAIRS_; i++) {
		struct calls_level_ at = {thread, open - 1};
		struct calls_open_ *call;

		if (!open)
			break;
		call = calls_open.lookup(&at);
		if (call && call->frame == frame && call->function == CALLS_NUMBER_(cookie))
			return open;
		if (call && !((call->frame ^ frame) >> CALLS_STACK_BITS_) && call->frame > frame)
			break;
		open--;
	}
	return 0;
}

CALLS_INLINE_ int calls_is_followed_(u64 cookie, const u64 *values)
{
#ifdef CALLS_FOLLOW_
	u64 wanted = CALLS_FOLLOW_, found = 0;
	u32 zero = 0, own = CALLS_FOLLOWED_(cookie), i;
	u64 *picked = calls_followed.lookup(&zero);

#pragma unroll
	for (i = 0; i < 6; i++) {
		if (own == i + 1)
			found = values[i];
	}
	if (!wanted && picked) {
		if (!*picked && found)
			*picked = found;
		wanted = *picked;
	}
	if (!wanted)
		return 0;
	if (found == wanted)
		return 1;
#pragma unroll
	for (i = 0; i < 6; i++) {
		if ((CALLS_POINTERS_(cookie) >> i & 1) && values[i] == wanted)
			return 1;
	}
	return 0;
#else
	return 1;
#endif
}

CALLS_INLINE_ void calls_enter_(u64 cookie, u32 frame, const u64 *values)
{
	u32 thread = calls_thread_(), open = 0, was = 0;
	u32 *known = calls_threads.lookup(&thread);
	struct calls_level_ at = {};
	struct calls_open_ call = {};
	int wanted = 1;

	if (known) {
		was = *known;
		open = calls_still_open_(thread, was, frame, cookie);
	}
#ifdef CALLS_ROOTS_
	wanted = wanted && (open || CALLS_IS_ROOT_(cookie));
#endif
#ifdef CALLS_DEPTH_
	wanted = wanted && open < CALLS_DEPTH_;
#endif
	call.sent = wanted && calls_is_followed_(cookie, values);
#if defined(CALLS_FOLLOW_) && !defined(CALLS_ROOTS_)
	wanted = call.sent;
#endif
	if (!wanted) {
		if (open != was)
			calls_set_open_(thread, known, open);
		return;
	}
	at.thread = thread;
	at.level = open;
	call.frame = frame;
	call.function = CALLS_NUMBER_(cookie);
#ifdef CALLS_COMPLETED_
	__builtin_memcpy(call.values, values, sizeof(call.values));
	call.cpu = bpf_get_smp_processor_id();
	call.at = bpf_ktime_get_ns();
#else
	if (call.sent)
		call.sent = calls_send_entry_(cookie, frame, values);
#endif
	if (!calls_open.update(&at, &call))
		open++;
	calls_set_open_(thread, known, open);
}

#ifdef CALLS_COMPLETED_
CALLS_INLINE_ int calls_is_error_(u64 cookie, u64 result)
{
	if (CALLS_RESULT_(cookie) == CALLS_INT_)
		return (u32)result >= (u32)-4095;
	return CALLS_RESULT_(cookie) == CALLS_LONG_ && result >= (u64)-4095;
}

CALLS_INLINE_ void
calls_send_both_(u64 cookie, const struct calls_open_ *call, u32 level, u64 at, u64 result)
{
	struct calls_record_ *entry = calls_ring.ringbuf_reserve(sizeof(*entry));
	struct calls_record_ *left;
	u8 depth = level < 255 ? level : 255;

	if (!entry)
		return;
	entry->at = call->at;
	entry->tid = bpf_get_current_pid_tgid();
	entry->frame = call->frame;
	entry->function = call->function;
	entry->cpu = call->cpu;
	entry->kind = CALLS_ENTRY_;
	entry->depth = depth;
	entry->what = 0;
	__builtin_memcpy(entry->values, call->values, sizeof(entry->values));
	left = calls_ring.ringbuf_reserve(sizeof(*left));
	if (!left) {
		calls_ring.ringbuf_discard(entry, 0);
		return;
	}
	__builtin_memset(left->values, 0, sizeof(left->values));
	left->at = at;
	left->tid = bpf_get_current_pid_tgid();
	left->frame = call->frame;
	left->function = call->function;
	left->cpu = bpf_get_smp_processor_id();
	left->kind = CALLS_RETURN_;
	left->depth = depth;
	left->what = 0;
	left->values[0] = result;
	calls_ring.ringbuf_submit(entry, 0);
	calls_ring.ringbuf_submit(left, 0);
}
#endif

CALLS_INLINE_ void calls_finish_(u64 cookie, const struct calls_open_ *call, u32 level, u64 at, u64 result)
{
#ifdef CALLS_COMPLETED_
	if (!call->sent)
		return;
#ifdef CALLS_ERRORS_
	if (!calls_is_error_(cookie, result))
		return;
#endif
#ifdef CALLS_LONGER_
	if (at - call->at < CALLS_LONGER_)
		return;
#endif
	calls_send_both_(cookie, call, level, at, result);
#else
	if (call->sent)
		calls_send_return_(cookie, call->frame, at, result);
#endif
}

/* Only so many calls are open any more. */
CALLS_INLINE_ void calls_drop_(u32 thread, u32 open, u32 level, int most)
{
	int i;

	for (i = 0; i < most; i++) {
		struct calls_level_ top = {thread, open - 1};

		if (open <= level)
			break;
		calls_open.delete(&top);
		open--;
	}
}

CALLS_INLINE_ void calls_leave_(u64 cookie, u32 frame, u64 result)
{
	u64 at = bpf_ktime_get_ns();
	u32 thread = calls_thread_(), open, level;
	u32 *known = calls_threads.lookup(&thread);
	struct calls_open_ *call;
	struct calls_level_ place = {};

	if (!known)
		return;
	open = *known;
	level = calls_level_of_(thread, open, frame, cookie);
	if (!level) {
		level = calls_still_open_(thread, open, frame, cookie);
		if (level != open)
			calls_set_open_(thread, known, level);
		return;
	}
	place.thread = thread;
	place.level = level - 1;
	call = calls_open.lookup(&place);
	if (call)
		calls_finish_(cookie, call, level - 1, at, result);
#ifdef CALLS_COMPLETED_
	/* What was entered after it has returned unseen. */
	if (open > level)
		ktrace_count_times_(0, KTRACE_UNMATCHED, open - level);
#endif
	calls_drop_(thread, open, level - 1, CALLS_REPAIRS_);
	calls_set_open_(thread, known, level - 1);
}

CALLS_INLINE_ void calls_forget_(u32 thread)
{
	u32 *known = calls_threads.lookup(&thread);

	if (!known)
		return;
	calls_drop_(thread, *known, 0, CALLS_FORGOTTEN_);
	calls_threads.delete(&thread);
}

#else

CALLS_INLINE_ void calls_enter_(u64 cookie, u32 frame, const u64 *values)
{
	calls_send_entry_(cookie, frame, values);
}

CALLS_INLINE_ void calls_leave_(u64 cookie, u32 frame, u64 result)
{
	calls_send_return_(cookie, frame, bpf_ktime_get_ns(), result);
}

CALLS_INLINE_ void calls_forget_(u32 thread)
{
}

#endif

/* --- frames ---------------------------------------------------------------------------- */

/* Programs at trampolines have no stack pointer, but what they are given lies in the
 * stack. The verifier lets a pointer be negated and takes what comes of it for a number. */
CALLS_INLINE_ u32 calls_frame_of_(u64 *ctx)
{
	u64 address = (u64)ctx;

	asm volatile("%0 = -%0" : "+r"(address));
	return -address >> 3;
}

CALLS_INLINE_ u64 calls_argument_(u64 *ctx, u32 index)
{
	u64 value = 0;

	bpf_get_func_arg(ctx, index, &value);
	return value;
}

/* --- threads: the programs that tell of them -------------------------------------------- */

CALLS_INLINE_ u32 calls_member_(u64 task, u64 offset)
{
	u32 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), (void *)(task + offset));
	return value;
}
