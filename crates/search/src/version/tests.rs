use super::*;

#[test]
fn pieces_are_compared_as_numbers_and_releases_come_after_their_drafts() {
    let ordered = ["1", "1.0", "1.2", "1.10", "2.0-ballot", "2.0", "2.0.1", "2024-05", "2024-11"];
    for pair in ordered.windows(2) {
        assert_eq!(compare_versions(Some(pair[0]), Some(pair[1])), Ordering::Less, "{pair:?}");
    }
    assert_eq!(compare_versions(None, Some("1")), Ordering::Less);
    assert_eq!(compare_versions(Some("1.0"), Some("1.00")), Ordering::Less);
}

#[test]
fn a_version_is_asked_for_with_what_is_within_it_or_after_it() {
    let within = |asked: &str, version| VersionTest::Within(asked.into()).holds(version);
    for version in ["1", "1.0", "1.1", "1.0.3", "1-rc", "1_2", "1+build"] {
        assert!(within("1", Some(version)), "{version}");
    }
    for version in [None, Some("2.0"), Some("0.9"), Some("10"), Some("01"), Some("1a")] {
        assert!(!within("1", version), "{version:?}");
    }
    let after = |asked: &str, version| VersionTest::After(asked.into()).holds(version);
    for version in ["2", "2.0-ballot", "1.11", "1.10.1-rc"] {
        assert!(after("1.9", Some(version)), "{version}");
    }
    for version in [None, Some("1.9"), Some("1.09"), Some("1.9.1"), Some("1.8"), Some("1")] {
        assert!(!after("1.9", version), "{version:?}");
    }
}
