"""The words and operators of the language, each in one sentence.

Source: the SystemTap language reference and man stap, in our own words.
"""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "probe": (
        "probe POINT, POINT { ... }",
        "What happens when something happens; NAME = POINT in front of the body makes an alias.",
    ),
    "global": (
        "global NAME, NAME[SIZE], NAME = VALUE",
        "A variable of the whole script, an array or statistics; what is done to it tells which. It "
        "becomes a frame of that name.",
    ),
    "private": ("private global NAME", "A global or function that nothing outside the script's file sees."),
    "function": (
        "function NAME:TYPE (NAME:TYPE, ...) { ... }",
        "A function; types are long and string, and may be left out.",
    ),
    "if": ("if (CONDITION) ... else ...", "As in C; behind a probe point it says when the point counts."),
    "while": ("while (CONDITION) ...", "As in C."),
    "for": ("for (START; CONDITION; STEP) ...", "As in C."),
    "foreach": (
        "foreach (VALUE = [KEY, KEY] in ARRAY- limit N) ...",
        "Walks an array; + or - behind a key or the array sorts by it, limit stops after N. It runs "
        "beside the notebook.",
    ),
    "in": ("[KEY, KEY] in ARRAY", "Whether the array has an entry; * stands for any key."),
    "delete": ("delete TARGET", "Removes an entry or all of an array; sets a scalar to its first value."),
    "next": ("next", "Leaves the handler."),
    "break": ("break", "Leaves the loop."),
    "continue": ("continue", "Goes on with the next round of the loop."),
    "return": ("return VALUE", "Leaves the function."),
    "try": (
        "try { ... } catch (MESSAGE) { ... }",
        "The second block runs if the first has an error, which is put in the variable.",
    ),
    "catch": (
        "try { ... } catch (MESSAGE) { ... }",
        "The second block runs if the first has an error, which is put in the variable.",
    ),
    "limit": ("foreach (KEY in ARRAY limit N)", "At most N entries."),
    "printf": (
        "printf(FORMAT, VALUE, ...)",
        "Prints; %d %i %u %x %o of a number, %s of a string, %p of an address, %c of a character, %m "
        "of memory, with width and precision as in C. Each place that prints values is a frame as "
        "well.",
    ),
    "sprintf": ("sprintf(FORMAT, VALUE, ...)", "A string, as printf would print it."),
    "print": ("print(VALUE)", "Prints one value of any type, also a histogram."),
    "println": ("println(VALUE, ...)", "Prints values and the end of the line."),
    "printd": ("printd(DELIMITER, VALUE, ...)", "Prints values with the delimiter between."),
    "printdln": (
        "printdln(DELIMITER, VALUE, ...)",
        "Prints values with the delimiter between, and the end of the line.",
    ),
    "sprint": ("sprint(VALUE)", "A string, as print would print it."),
    "<<<": (
        "STATISTICS <<< NUMBER",
        "Adds a number to statistics; read with @count, @sum, @min, @max, @avg, @variance, @hist_log "
        "and @hist_linear.",
    ),
    "@count": ("@count(STATISTICS)", "How many numbers were added."),
    "@sum": ("@sum(STATISTICS)", "Their sum."),
    "@min": ("@min(STATISTICS)", "The least of them."),
    "@max": ("@max(STATISTICS)", "The largest of them."),
    "@avg": ("@avg(STATISTICS)", "Their mean, truncated."),
    "@variance": (
        "@variance(STATISTICS, SHIFT)",
        "Their variance; SHIFT bits of fraction are kept while it is computed.",
    ),
    "@hist_log": ("@hist_log(STATISTICS)", "A histogram in powers of two, to print or to walk with foreach."),
    "@hist_linear": ("@hist_linear(STATISTICS, LOW, HIGH, WIDTH)", "A histogram of buckets of one width."),
    "@entry": (
        "@entry(EXPRESSION)",
        "In a return probe: the value it had when the function was entered. It is kept for each call "
        "by itself, threads and recursion included.",
    ),
    "@cast": ('@cast(ADDRESS, "TYPE")->MEMBER', "Reads an address as a pointer to a type of the kernel."),
    "@var": ('@var("NAME@FILE", "MODULE")', "A global variable of the kernel or of a module."),
    "@defined": ("@defined($NAME)", "Whether a target variable exists at this point of this kernel."),
    "@choose_defined": (
        "@choose_defined($NAME, OTHERWISE)",
        "The variable where it exists, else the second.",
    ),
    "@define": ("@define NAME(A, B) %( ... %)", "A macro; @NAME(x, y) stands for its words."),
    "%(": (
        "%( CONDITION %? ... %: ... %)",
        "Keeps one part of the script, by kernel_v, arch, CONFIG_NAME and the like.",
    ),
    "$$parms": (
        "$$parms",
        "All parameters of the probed function as text; $$parms$ shows what structures hold.",
    ),
    "$$vars": ("$$vars", "The same, with local variables, which are not known here."),
    "$$return": ("$$return", "What the function returned, as text."),
    "$return": ("$return", "What the function returned; only in a return probe."),
    "begin": ("probe begin { ... }", "When the session begins; begin(N): lower ones first."),
    "end": ("probe end { ... }", "When it ends, exactly once, whatever ended it."),
    "error": ("probe error { ... }", "When an error ended it."),
    "never": ("probe never { ... }", "Never; it is checked all the same."),
    "oneshot": ("probe oneshot { ... }", "Once, at the beginning, and the session ends."),
    "timer": (
        "probe timer.s(N) { ... }",
        "Every N seconds, ms, us or ns, hz(N) times a second, or jiffies(N), by the notebook's clock; "
        "timer.profile samples every CPU in the kernel.",
    ),
    "kernel": (
        'probe kernel.function("PATTERN") { ... }',
        'When a function of the kernel is entered; .return when it returns. kernel.trace("NAME") is a '
        "tracepoint.",
    ),
    "module": ('probe module("NAME").function("PATTERN") { ... }', "The same for a function of a module."),
    "process": (
        'probe process("PATH").function("NAME") { ... }',
        'A function of a program; .mark("NAME") a static probe in it, .begin, .end and .syscall its life.',
    ),
    "syscall": (
        "probe syscall.NAME { ... }",
        "A system call; .return its end. Each sets name, argstr and its arguments; at the end retval "
        "and retstr.",
    ),
}
"""How each is written, and what it means, by the word."""
