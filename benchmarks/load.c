/*
 * Calls of getppid(2) to be traced: the cheapest system call there is.
 *
 * Each line on standard input is a job, "CALLS BURST RATE": so many calls in
 * bursts of so many, paced to RATE calls a second, 0 for flat out. Its answer is
 * "CALLS CPU_NS WALL_NS": CPU time spent in the bursts alone (what the tracer adds
 * to the calls is in it, the pauses are not), and the time from first to last.
 * CALLS may be negative: then it is milliseconds.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void wait_until(long long ns)
{
	struct timespec t = { ns / 1000000000LL, ns % 1000000000LL };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

int main(void)
{
	long long calls, burst, rate;

	while (scanf("%lld %lld %lld", &calls, &burst, &rate) == 3) {
		long long start = now(CLOCK_MONOTONIC), done = 0, cpu = 0;
		long long end = calls < 0 ? start - calls * 1000000LL : 0;

		while (end ? now(CLOCK_MONOTONIC) < end : done < calls) {
			long long before, n;

			if (rate && start + done * 1000000000LL / rate > now(CLOCK_MONOTONIC))
				wait_until(start + done * 1000000000LL / rate);
			before = now(CLOCK_THREAD_CPUTIME_ID);
			for (n = 0; n < burst; n++)
				syscall(SYS_getppid);
			cpu += now(CLOCK_THREAD_CPUTIME_ID) - before;
			done += burst;
		}
		printf("%lld %lld %lld\n", done, cpu, now(CLOCK_MONOTONIC) - start);
		fflush(stdout);
	}
	return 0;
}
