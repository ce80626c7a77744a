use serde_json::Value;

use super::{body, create_request, patient};

#[test]
fn the_body_is_an_observation_of_one_to_two_kilobytes() {
    let body = body(&patient(7));
    assert!((1_000..=2_000).contains(&body.len()), "{} bytes", body.len());
    let value: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(value["resourceType"], "Observation");
    assert_eq!(value["subject"]["reference"], "Patient/p7");
}

#[test]
fn the_request_says_how_long_its_body_is() {
    let request = String::from_utf8(create_request("127.0.0.1:1", "Patient/p1")).expect("text");
    let (head, sent) = request.split_once("\r\n\r\n").expect("head and body");
    assert!(head.starts_with("POST /r4/Observation HTTP/1.1\r\nHost: 127.0.0.1:1\r\n"));
    assert!(head.ends_with(&format!("Content-Length: {}", sent.len())));
}
