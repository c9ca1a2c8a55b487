/* How long a queue is, summed over time, without a lock: #include <ktrace_nb/riemann.h>
 *
 *     struct call { char server[16]; };
 *     BPF_HASH(_length, struct call, u64);                 how many are inside, all CPUs together
 *     BPF_PERCPU_HASH(calls, struct call, struct riemann); the sums, read by ktrace_nb.kstat
 *
 *     riemann_enter(sums, length, bpf_ktime_get_ns());     where a call begins
 *     riemann_exit(sums, length, bpf_ktime_get_ns());      where it ends
 *
 * Each CPU adds up the times at which something entered and left. Over all CPUs and at any
 * later moment,
 *
 *     length x time = inside x now + stamps
 *     time at which the length was not 0 = busy x now + busy_stamps
 *
 * which is what kstat(9S) sums at each change of state (ktrace_nb/kstat/riemann.py says
 *  why). Additions are atomic: a program can be interrupted by another on its CPU.
 * Whoever reads may find a program between two of them. Therefore check is the sum of all
 * that was added, each times the weight of its field: a copy for which that does not hold is
 * no state the queue was in, and is read again.
 */
#ifndef KTRACE_RIEMANN_H
#define KTRACE_RIEMANN_H

struct riemann {
	u64 inside;	 /* entered less left */
	u64 stamps;	 /* when they left less when they entered, nanoseconds */
	u64 busy;	 /* how often the length became 1 from 0, less 0 from 1 */
	u64 busy_stamps; /* when it became 0 less when it became 1 */
	u64 left;	 /* how many have left */
	u64 check;
	u64 last;	 /* when the length changed last, not in check */
};

/* Odd numbers without a pattern, so that no few additions make up for each other. */
#define RIEMANN_WEIGHT(field)							\
	((((field) + 1) * 0x9E3779B97F4A7C15ULL ^				\
	  ((field) + 1) * ((field) + 1) * 0xD1B54A32D192ED03ULL) | 1)

/* What was there before by was added: BPF_ATOMIC | BPF_ADD | BPF_FETCH (Linux 5.12,
 * Documentation/bpf/instruction-set.rst), which older compilers know neither as C nor in
 * assembly. The first lines find the numbers of the two registers. */
static inline __attribute__((always_inline)) u64 riemann_fetch_add(u64 *at, u64 by)
{
	asm volatile(".irp number,0,1,2,3,4,5,6,7,8,9\n"
		     ".ifc %0,r\\number\n.set ktrace_by_,\\number\n.endif\n"
		     ".ifc %1,r\\number\n.set ktrace_at_,\\number\n.endif\n"
		     ".endr\n"
		     ".quad 0x1000000db + (ktrace_by_ << 12) + (ktrace_at_ << 8)\n"
		     : "+r"(by)
		     : "r"(at)
		     : "memory");
	return by;
}

static inline __attribute__((always_inline)) void
riemann_change_(struct riemann *sums, u64 inside, u64 stamps, u64 busy, u64 left)
{
	u64 check = inside * RIEMANN_WEIGHT(0) + stamps * RIEMANN_WEIGHT(1);

	__sync_fetch_and_add(&sums->inside, inside);
	__sync_fetch_and_add(&sums->stamps, stamps);
	if (busy) {
		check += inside * RIEMANN_WEIGHT(2) + stamps * RIEMANN_WEIGHT(3);
		__sync_fetch_and_add(&sums->busy, inside);
		__sync_fetch_and_add(&sums->busy_stamps, stamps);
	}
	if (left) {
		check += RIEMANN_WEIGHT(4);
		__sync_fetch_and_add(&sums->left, 1);
	}
	__sync_fetch_and_add(&sums->check, check);
}

static inline __attribute__((always_inline)) void
riemann_enter(struct riemann *sums, u64 *length, u64 now)
{
	u64 before = riemann_fetch_add(length, 1);

	riemann_change_(sums, 1, -now, before == 0, 0);
	sums->last = now;
}

static inline __attribute__((always_inline)) void
riemann_exit(struct riemann *sums, u64 *length, u64 now)
{
	u64 before = riemann_fetch_add(length, -1);

	riemann_change_(sums, -1, now, before == 1, 1);
	sums->last = now;
}

#endif
