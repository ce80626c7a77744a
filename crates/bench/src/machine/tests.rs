use std::path::Path;

use super::{Busy, field, filesystem, open_files, parse_busy};

#[test]
fn busy_time_leaves_out_idle_and_waiting() {
    let before = parse_busy("cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1\n").expect("a line");
    assert_eq!(before, Busy { busy: 20, all: 100 });
    let after = Busy { busy: 80, all: 200 };
    let share = after.others_since(&before, 35);
    assert!((share - 0.25).abs() < f64::EPSILON);
    assert_eq!(parse_busy("intr 1"), None);
}

#[test]
fn the_kernels_files_are_read() {
    assert_eq!(field("model name\t: AMD EPYC\n", "model name"), Some("AMD EPYC"));
    let limits =
        "Limit  Soft  Hard  Units\nMax open files            20000                20000   files\n";
    assert_eq!(open_files(limits), Some(20_000));
}

#[test]
fn the_longest_mount_point_holds_the_file() {
    let mounts =
        "1 0 8:1 / / rw - ext4 /dev/vda rw\n2 1 0:1 / /nonexistent rw shared:1 - tmpfs tmpfs rw\n";
    assert_eq!(filesystem(mounts, Path::new("/nonexistent/x")), "tmpfs");
    assert_eq!(filesystem(mounts, Path::new("/nonexist/x")), "ext4");
}
