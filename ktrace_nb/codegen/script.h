/* What programs generated from a script share. Values are u64 that wrap; where the
 * sign matters they are cast. ctx is an array of u64 in every context: registers as
 * struct pt_regs of x86-64 has them, or the arguments as they are.
 */
enum {
	KTRACE_R15, KTRACE_R14, KTRACE_R13, KTRACE_R12, KTRACE_BP, KTRACE_BX, KTRACE_R11,
	KTRACE_R10, KTRACE_R9, KTRACE_R8, KTRACE_AX, KTRACE_CX, KTRACE_DX, KTRACE_SI, KTRACE_DI,
	KTRACE_ORIG_AX, KTRACE_IP, KTRACE_CS, KTRACE_FLAGS, KTRACE_SP, KTRACE_SS,
};

/* What the notebook tells and asks; layouts: ir/script_layout.py. */
struct ktrace_state_ {
	u64 stopping;
	u64 target_pid;
	u64 realtime_offset_ns;
	u64 errors;
};

struct ktrace_head_ {
	u32 number;
	u32 handler;
	u64 ktime;
	u64 faults;
};

struct ktrace_error_ {
	struct ktrace_head_ head;
	u32 site;
	u32 zero;
	u64 detail;
};

/* One call of a function, known again when it returns. */
struct ktrace_call_ {
	u64 task;
	u64 stack;
};

union ktrace_word_ {
	u64 u64;
	s64 s64;
	u32 u32;
	s32 s32;
	u16 u16;
	s16 s16;
	u8 u8;
	s8 s8;
	char text[8];
};

struct ktrace_statistics_ {
	s64 count;
	s64 sum;
	s64 min;
	s64 max;
};

/* --- integers: BPF divides without sign ------------------------------------------- */

static inline __attribute__((always_inline)) u64 ktrace_magnitude_(s64 value)
{
	return value < 0 ? -(u64)value : value;
}

static inline __attribute__((always_inline)) u64 ktrace_divide_(s64 value, s64 by)
{
	u64 quotient = ktrace_magnitude_(value) / ktrace_magnitude_(by);

	return (value < 0) == (by < 0) ? quotient : -quotient;
}

static inline __attribute__((always_inline)) u64 ktrace_remainder_(s64 value, s64 by)
{
	u64 remainder = ktrace_magnitude_(value) % ktrace_magnitude_(by);

	return value < 0 ? -remainder : remainder;
}

/* --- globals: what a look-up gave may be NULL to the verifier ----------------------- */

static inline __attribute__((always_inline)) u64 ktrace_read_(s64 *at)
{
	return at ? *at : 0;
}

static inline __attribute__((always_inline)) void ktrace_write_(s64 *at, u64 value)
{
	if (at)
		*at = value;
}

static inline __attribute__((always_inline)) void ktrace_add_(s64 *at, u64 value)
{
	if (at)
		__sync_fetch_and_add(at, value);
}

/* --- statistics: per CPU, where one program may still interrupt another -------------- */

static inline __attribute__((always_inline)) void
ktrace_accumulate_(struct ktrace_statistics_ *all, s64 value)
{
	if (!all->count || value < all->min)
		all->min = value;
	if (!all->count || value > all->max)
		all->max = value;
	__sync_fetch_and_add(&all->count, 1);
	__sync_fetch_and_add(&all->sum, value);
}

static inline __attribute__((always_inline)) void ktrace_add_square_(u64 *sum, s64 value)
{
	u64 whole = ktrace_magnitude_(value), low = (u32)whole, high = whole >> 32;
	u64 middle = low * high, bottom = low * low + (middle << 33);

	/* (high << 32 + low) squared: the middle part comes twice, 33 bits up */
	sum[1] += high * high + (middle >> 31) + (bottom < low * low);
	sum[0] += bottom;
	sum[1] += sum[0] < bottom;
}

static inline __attribute__((always_inline)) u64 ktrace_log_bucket_(s64 value)
{
	if (!value)
		return 64;
	return value > 0 ? 64 + bpf_log2l(value) : 64 - bpf_log2l(-(u64)value);
}

/* The verifier must see the very register that is compared. */
static inline __attribute__((always_inline)) void
ktrace_count_bucket_(u64 *buckets, u64 bucket, u64 count)
{
	asm volatile("" : "+r"(bucket));
	if (bucket < count)
		__sync_fetch_and_add(buckets + bucket, 1);
}

static inline __attribute__((always_inline)) u64
ktrace_linear_bucket_(s64 value, s64 low, u64 step, u64 count)
{
	u64 bucket;

	if (value < low)
		return 0;
	bucket = ((u64)value - low) / step + 1;
	return bucket < count ? bucket : count - 1;
}

/* --- strings: words of eight bytes, NULs behind the end ------------------------------ */

/* More than the compiler puts in line is copied by a helper. */
#define KTRACE_COPY_(to, from, size) do {					\
	if ((size) <= 256)							\
		__builtin_memcpy((to), (from), (size) <= 256 ? (size) : 0);	\
	else									\
		bpf_probe_read_kernel((to), (size), (from));			\
	} while (0)

/* A read that fails fills with zeros: bpf_probe_read_kernel_common(), kernel/trace/bpf_trace.c. */
#define KTRACE_ZERO_(to, size) do {						\
	if ((size) <= 512)							\
		__builtin_memset((to), 0, (size) <= 512 ? (size) : 0);		\
	else									\
		bpf_probe_read_kernel((to), (size), 0);				\
	} while (0)

/* Copies a string and gives where its NUL is, much if it could not be copied. The
 * compiler must not know what the number is made of: the verifier looks at the
 * register that is compared, and that must be the one that is added. */
static inline __attribute__((always_inline)) u64
ktrace_copy_string_(void *to, u32 size, const void *from)
{
	u64 end = (s64)bpf_probe_read_kernel_str(to, size, from) - 1;

	asm volatile("" : "+r"(end));
	return end;
}

/* A length that fits. */
static inline __attribute__((always_inline)) u64 ktrace_at_most_(s64 length, u64 most)
{
	u64 size = length < 0 ? 0 : length;

	asm volatile("" : "+r"(size));
	return size < most ? size : most;
}

/* Below 0, 0 or above, as the strings are; words is that of the shorter. */
static inline __attribute__((always_inline)) s64 ktrace_compare_(const u64 *a, const u64 *b, u32 words)
{
	u32 i;

	for (i = 0; i < words; i++) {
		if (a[i] != b[i])
			return __builtin_bswap64(a[i]) < __builtin_bswap64(b[i]) ? -1 : 1;
	}
	return 0;
}

static inline __attribute__((always_inline)) int ktrace_differ_(const u64 *a, const u64 *b, u32 words)
{
	u32 i;

	for (i = 0; i < words; i++) {
		if (a[i] != b[i])
			return 1;
	}
	return 0;
}

/* --- what a task does ------------------------------------------------------------------- */

/* A register of the system call whose tracepoint this is. */
static inline __attribute__((always_inline)) u64 ktrace_saved_(u64 *ctx, int number)
{
	u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), (u64 *)ctx[0] + number);
	return value;
}

/* A register that the task's program had when it came into the kernel. */
static inline __attribute__((always_inline)) u64 ktrace_user_register_(int number)
{
	u64 *saved = (u64 *)bpf_task_pt_regs(bpf_get_current_task_btf());
	u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), saved + number);
	return value;
}

/* Numbers of calls are others in 32-bit programs; __USER32_CS is 0x23. */
static inline __attribute__((always_inline)) int ktrace_is_compat_(u64 *ctx)
{
	return (u16)ktrace_saved_(ctx, KTRACE_CS) == 0x23;
}

/* Arguments of a traced function as numbers: in ctx the verifier takes some for pointers. */
static inline __attribute__((always_inline)) u64 ktrace_argument_(u64 *ctx, u32 index)
{
	u64 value = 0;

	bpf_get_func_arg(ctx, index, &value);
	return value;
}

static inline __attribute__((always_inline)) u64 ktrace_returned_(u64 *ctx)
{
	u64 value = 0;

	bpf_get_func_ret(ctx, &value);
	return value;
}

/* Where the probed function begins; of a probe inside a function the probe's own address,
 * behind which the breakpoint left the instruction pointer. */
static inline __attribute__((always_inline)) u64 ktrace_function_(u64 *ctx, u64 ip)
{
	u64 start = bpf_get_func_ip(ctx);

	return start ? start : ip - 1;
}
