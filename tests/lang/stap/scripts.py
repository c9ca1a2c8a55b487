"""Small scripts of our own that together use most of the language."""

from __future__ import annotations

SCRIPTS = (
    """#!/usr/bin/env stap
global reads%[1000], names, total = 0
# Adds one.
function plus:long (a:long, b) { return a + (b ? b : 1) }
probe syscall.{read,pread64}.return ? if (total < 10) {
  reads[execname(), tid()] <<< $return
  total = plus(total, 1); names["x"] .= sprintf("%s|", execname())
}
probe timer.s(5), end, error {
  foreach (v = [name, tid-] in reads[*, 5] limit 10)
    printf("%-16s %5d %d %s\\n", name, tid, @count(v), @sum(reads[name, tid]) > 100 ? "many" : "few")
  foreach (b in @hist_log(reads["a", 1])) print(@hist_linear(reads["a", 1], -1, 100, 5))
  delete reads; delete names["x"]
}
""",
    """@define field(p, m) %( @choose_defined(@p->m, @p->__m) %)
%( kernel_v >= "5.10" && CONFIG_SMP != "y" %? global smp %: global up = "no" %)
probe io.done = kernel.function("bio_endio@block/*.c").call !, module("dm*").function("*end_io") {
  size = @cast($bio, "struct bio", "kernel")->bi_iter->bi_size
  flags = &$bio->bi_io_vec[0] ; text = $bio$ . $$parms$$
}, { if (@probewrite(size)) next }
private probe other += begin(-10) { if (@defined($x) && !($y->z in seen)) log(@entry(execname())) }
""",
    """global a, b, c
function fac(n) { if (n <= 1) return 1 else return n * fac(n - 1) }
probe begin {
  for (i = 0; i < 10; i++) { if (i % 2 == 0) continue; a[i, -i] = i << 2 | 1 }
  while (1) { b++; if (b > 5) break }
  try { c = 1 / 0 } catch (message) { println(message) }
  if ([1, -1] in a && [*, 2] in a || !(3 in c)) exit()
  if (execname() =~ "^(ba)?sh$") ; else if (pid() != target()) next; else { delete a[*, 1] }
  x = y = 0x1f + 017 - ~3 ; x <<= 2 ; x ^= y-- ; print("\\t\\"\\101\\x41" "joined")
}
""",
)
