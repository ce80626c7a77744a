use proptest::prelude::*;

use super::*;

#[test]
fn percent_encoding_is_decoded_once_and_plus_stays_plus() {
    let check = |text: &str, plain: &str| assert_eq!(decode(text).unwrap(), plain, "{text}");
    check("a%7Cb", "a|b");
    check("a|b", "a|b");
    check("a%2Cb%2cc", "a,b,c");
    check("2013-01-14T10:00:00+02:00", "2013-01-14T10:00:00+02:00");
    check("2013-01-14T10:00:00%2B02:00", "2013-01-14T10:00:00+02:00");
    check("John%20Smith", "John Smith");
    check("100%", "100%");
    check("%zz%4", "%zz%4");
    check("%257C", "%7C");
    check("M%C3%BCller", "Müller");
    check("Müller", "Müller");
}

#[test]
fn decoded_text_that_is_not_utf8_is_refused() {
    assert_eq!(decode("a%ffb"), Err(NotUtf8));
}

#[test]
fn separators_split_unless_escaped() {
    let check = |text: &str, parts: &[&str]| {
        assert_eq!(split(text, ',').collect::<Vec<_>>(), parts, "{text}");
    };
    check("a", &["a"]);
    check("", &[""]);
    check("a,b", &["a", "b"]);
    check("a,,b,", &["a", "", "b", ""]);
    check(r"a\,b,c", &[r"a\,b", "c"]);
    check(r"a\\,b", &[r"a\\", "b"]);
    check(r"a\\\,b", &[r"a\\\,b"]);
    check("a\\", &["a\\"]);
}

#[test]
fn only_what_has_a_meaning_can_be_escaped() {
    let check = |text: &str, plain: Option<&str>| {
        assert_eq!(unescape(text).as_deref(), plain, "{text}");
    };
    check(r"a\,b\|c\$d\\e", Some(r"a,b|c$d\e"));
    check("plain", Some("plain"));
    check(r"a\b", None);
    check("a\\", None);
    check("a\\ü", None);
}

proptest! {
    #[test]
    fn what_is_escaped_comes_back_as_one_part(text in ".{0,40}") {
        let escaped = escape(&text);
        for separator in [',', '|', '$'] {
            prop_assert_eq!(split(&escaped, separator).count(), 1);
        }
        let plain = unescape(&escaped);
        prop_assert_eq!(plain.as_deref(), Some(text.as_str()));
    }

    #[test]
    fn encoded_text_decodes_to_itself(text in ".{0,40}") {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        prop_assert_eq!(decode(&encoded).unwrap(), text.as_str());
    }
}
