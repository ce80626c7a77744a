use std::time::Duration;

use super::{Cpu, Memory, parse_memory, parse_schedstat, parse_ticks};

#[test]
fn ticks_are_counted_past_a_name_with_spaces_and_brackets() {
    let stat = "42 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 100 20 3 4 20 0 1 0 99 1 1";
    assert_eq!(parse_ticks(stat), Some(Duration::from_millis(1_270)));
    assert_eq!(parse_ticks("42 (a"), None);
}

#[test]
fn the_kernels_files_are_read() {
    assert_eq!(parse_schedstat("1500 7 2\n"), Some(Duration::from_nanos(1_500)));
    let status = "Name:\tx\nVmRSS:\t     100 kB\nRssAnon:\t      40 kB\nRssFile:\t 60 kB\n";
    let expected = Memory { resident_bytes: 102_400, anonymous_bytes: 40_960 };
    assert_eq!(parse_memory(status), Some(expected));
    assert_eq!(parse_memory("Name:\tx\n"), None);
}

fn cpu(threads: &[(u32, u64)], ticks: u64) -> Cpu {
    let threads = threads.iter().map(|(tid, ms)| (*tid, Duration::from_millis(*ms))).collect();
    Cpu { threads, ticks: Duration::from_millis(ticks) }
}

#[test]
fn thread_counters_are_used_unless_a_thread_ended_meanwhile() {
    let before = cpu(&[(1, 5), (2, 7)], 10);
    let grown = cpu(&[(1, 6), (2, 9), (3, 4)], 20);
    assert_eq!(grown.since(&before), Duration::from_millis(7));
    let ended = cpu(&[(1, 6)], 30);
    assert_eq!(ended.since(&before), Duration::from_millis(20));
}

#[test]
fn own_cpu_time_grows() {
    let before = Cpu::of_self();
    // Each look costs processor time itself; without growth this would not end.
    while Cpu::of_self().since(&before).is_zero() {}
}
