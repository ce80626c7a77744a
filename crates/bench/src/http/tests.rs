use super::{Answer, id_in, parse_answer};

fn check(wire: &str, status: u16, location: Option<&str>, body: &str) {
    for cut in 0..wire.len() {
        let partial = parse_answer(&wire.as_bytes()[..cut]).expect("a beginning is no error");
        assert_eq!(partial, None, "cut at {cut}");
    }
    let expected =
        Answer { status, location: location.map(str::to_owned), body: body.as_bytes().to_vec() };
    let following = format!("{wire}HTTP/1.1 200 OK\r\n");
    let parsed = parse_answer(following.as_bytes()).expect("whole");
    assert_eq!(parsed, Some((expected, wire.len())));
}

#[test]
fn an_answer_is_read_when_it_is_whole_and_not_before() {
    check("HTTP/1.1 204 No Content\r\n\r\n", 204, None, "");
    check(
        "HTTP/1.1 201 Created\r\nlocation: /r4/Observation/1\r\ncontent-length: 2\r\n\r\n{}",
        201,
        Some("/r4/Observation/1"),
        "{}",
    );
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n",
        200,
        None,
        "abcd",
    );
}

#[test]
fn what_is_not_http_is_an_error() {
    for wire in ["nonsense\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nheader\r\n\r\n"] {
        assert!(parse_answer(wire.as_bytes()).is_err(), "{wire}");
    }
}

#[test]
fn the_id_follows_the_type_wherever_it_stands() {
    let check = |reference, expected| assert_eq!(id_in(reference, "Observation"), expected);
    check("Observation/7", Some("7"));
    check("http://127.0.0.1:1/r4/Observation/7/_history/1", Some("7"));
    check("http://127.0.0.1:1/r4/Patient/7", None);
    check("Observation/", None);
}
