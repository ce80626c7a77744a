use super::*;

fn check(search: &str, text: &str, expected: bool) {
    let words = Words::parse(search).unwrap_or_else(|_| panic!("{search} is a search"));
    assert_eq!(words.matches(text), expected, "{search} in {text}");
}

#[test]
fn a_word_begins_a_word_of_the_text() {
    for text in ["Headache", "Acute headache", "Episodic cluster-headache, mild", "HEADACHES"] {
        check("headache", text, true);
    }
    check("headache", "Stomach ache", false);
    check("ache", "Headache", false);
    check("ménière", "Morbus Meniere", true);
    check("STRASSE", "Hohe Straße", true);
    check("type-2", "Diabetes, type 2", true);
    check("type-2", "Diabetes type II of 2", false);
    check("head*", "Headache", true);
}

#[test]
fn a_phrase_stands_there_whole() {
    check("\"sinus headache\"", "Acute sinus headache", true);
    check("\"sinus headache\"", "Sinus, headache", true);
    check("\"sinus headache\"", "Sinus headaches", false);
    check("\"sinus headache\"", "Headache of the sinus", false);
    check("sinus headache", "Headache of the sinus", true);
    check("\"not\"", "Not otherwise specified", true);
}

#[test]
fn words_are_joined_as_odata_says() {
    for text in ["Bone metastases", "metastases of the liver"] {
        check("(bone OR liver) and metastases", text, true);
    }
    check("(bone OR liver) and metastases", "Metastases of the lung", false);
    check("bone liver OR lung", "lung", true);
    check("bone (liver OR lung)", "lung", false);
    check("bone AND NOT liver", "Bone", true);
    check("bone not liver", "Bone and liver", false);
    check("NOT liver OR bone", "Liver and bone", true);
    check("NOT (liver OR bone)", "Bone", false);
    check("not not bone", "Bone", true);
}

#[test]
fn what_is_no_search_is_refused() {
    for search in
        ["", " ", "-", "\"\"", "\"a", "(a", "a)", "()", "a OR", "OR a", "a AND", "NOT", "a - b"]
    {
        assert!(Words::parse(search).is_err(), "{search}");
    }
}

#[test]
fn searches_are_bounded() {
    let words = |count| vec!["a"; count].join(" ");
    assert!(Words::parse(&words(WORDS_MAX)).is_ok());
    assert!(Words::parse(&words(WORDS_MAX + 1)).is_err());
    let nested = |depth| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Words::parse(&nested(WORDS_NESTING_MAX - 1)).is_ok());
    assert!(Words::parse(&nested(WORDS_NESTING_MAX)).is_err());
    assert!(Words::parse(&nested(100_000)).is_err());
    assert!(Words::parse(&"not ".repeat(100_000)).is_err());
}
