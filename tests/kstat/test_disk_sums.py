"""The sums of a disk, from rows as the kernel has them to ``kstat_io_t``."""

from __future__ import annotations

from importlib import resources

from ktrace_nb.kstat.disk_sums import COUNTS, DiskTimes, Place, is_whole_row, keep_whole
from ktrace_nb.kstat.kinds import Io
from ktrace_nb.kstat.riemann_sums import FIELDS, weight


def row(wait: dict[str, int], run: dict[str, int], counts: dict[str, int]) -> dict[str, int]:
    """``struct sums`` of a CPU, its checks included."""
    values: dict[str, int] = {}
    for part, fields, given in (("wait", FIELDS, wait), ("run", FIELDS, run), ("counts", COUNTS, counts)):
        whole = {name: given.get(name, 0) % 2**64 for name in fields}
        whole["check"] = sum(whole[name] * weight(place) for place, name in enumerate(fields)) % 2**64
        if part != "counts":
            whole["last"] = given.get("last", 0)
        values |= {f"{part}.{name}": value for name, value in whole.items()}
    return values


# A request that entered the queue at 100 on one CPU, was issued at 150 on another, where it
# completed at 400; one that was issued at 300 is being served still.
FIRST = row({"inside": 1, "stamps": -100, "busy": 1, "busy_stamps": -100, "last": 100}, {}, {})
SECOND = row(
    {"inside": -1, "stamps": 150, "busy": -1, "busy_stamps": 150, "left": 1, "last": 150},
    {"inside": 1, "stamps": -150 + 400 - 300, "busy": 1, "busy_stamps": -150, "left": 1, "last": 400},
    {"reads": 1, "nread": 4096},
)


def test_the_sums_of_all_cpus_are_those_of_the_disk() -> None:
    times = DiskTimes.of([FIRST, SECOND], 1000, 0, 1)
    assert (times.wait.length, times.wait.length_ns, times.wait.busy_ns) == (0, 50, 50)
    assert (times.run.length, times.run.length_ns, times.run.busy_ns) == (1, 250 + 700, 850)
    assert {name: value.value for name, value in times.data().items() if value.value} == {
        "nread": 4096,
        "reads": 1,
        "wtime": 50,
        "wlentime": 50,
        "wlastupdate": 150,
        "rtime": 850,
        "rlentime": 950,
        "rlastupdate": 400,
        "rcnt": 1,
    }


def test_data_begin_with_kstat_io_t_and_go_on_with_what_it_lacks() -> None:
    data = DiskTimes.idle(5).data()
    own = [name for name, _ in Io().values()]
    assert list(data)[: len(own)] == own
    assert list(data)[len(own) :] == ["flushes", "discards", "errors", "merged", "requeued", "forgotten"]
    assert all(value.value == 0 for value in data.values())


def test_counts_are_those_of_the_program_in_their_order() -> None:
    text = (resources.files("ktrace_nb.kstat") / "io_account.c").read_text()
    struct = text[text.index("struct counts {\n") :].split("}")[0]
    members = [line.split()[1].rstrip(";") for line in struct.splitlines()[1:]]
    assert members == [*COUNTS, "check"]


def test_a_row_with_half_of_an_addition_is_not_taken() -> None:
    for name in ("wait.inside", "run.stamps", "run.left", "counts.nread", "counts.check"):
        torn = {**SECOND, name: SECOND[name] + 4096}
        assert not is_whole_row(torn)
        kept: dict[Place, dict[str, int]] = {}
        assert keep_whole([((7, 0), FIRST), ((7, 1), torn)], kept)
        # The next reading finds that CPU done, and another at work; what that had before serves.
        assert not keep_whole([((7, 0), {**FIRST, "wait.inside": 5}), ((7, 1), SECOND)], kept)
        assert kept == {(7, 0): FIRST, (7, 1): SECOND}


def test_times_do_not_fall_when_cpus_are_read_one_after_the_other() -> None:
    before, after = DiskTimes.of([FIRST, SECOND], 1000), DiskTimes.of([SECOND], 999)
    kept = after.not_below(before)
    assert kept.run.length_ns == before.run.length_ns
    assert kept.wait.length_ns == before.wait.length_ns
    assert kept.counts == after.counts
