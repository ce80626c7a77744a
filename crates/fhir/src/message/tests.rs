//! The frame of messages, in each version.

use cresset_definitions::FhirVersion;
use serde_json::{Value, json};

use super::*;

#[test]
fn a_message_leads_with_its_header_whose_focus_is_the_notification() {
    let frame = MessageFrame {
        id: "0197c6d0-0000-8000-8000-00000000000a",
        timestamp: Timestamp::UNIX_EPOCH,
        event: ("http://example.org/events", "told"),
        source: "https://host/r4",
        destination: "https://there.test/fhir?key=marker",
    };
    let notification = br#"{"resourceType":"Bundle","id":"n"}"#;
    for version in FhirVersion::ALL {
        let mut out = Vec::new();
        render_message(version, &frame, notification, &mut out);
        let bundle: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (&bundle["resourceType"], &bundle["type"]),
            (&json!("Bundle"), &json!("message"))
        );
        let [first, second] = bundle["entry"].as_array().unwrap().as_slice() else {
            panic!("two entries")
        };
        let header = &first["resource"];
        assert_eq!(header["resourceType"], "MessageHeader");
        assert_eq!(first["fullUrl"], format!("urn:uuid:{}", frame.id));
        assert_eq!(header["eventCoding"], json!({"system": frame.event.0, "code": frame.event.1}));
        assert_eq!(header["focus"], json!([{"reference": second["fullUrl"]}]));
        assert_ne!(first["fullUrl"], second["fullUrl"]);
        assert_eq!(second["resource"], json!({"resourceType": "Bundle", "id": "n"}));
        let (name, other) = match version {
            FhirVersion::R4 | FhirVersion::R4B => ("endpoint", "endpointUrl"),
            FhirVersion::R5 => ("endpointUrl", "endpoint"),
        };
        for (place, url) in [
            (&header["source"], "https://host/r4"),
            (&header["destination"][0], "https://there.test/fhir"),
        ] {
            assert_eq!((&place[name], &place[other]), (&json!(url), &Value::Null));
        }
        for entry in [first, second] {
            assert!(entry.get("request").is_none() && entry.get("response").is_none());
        }
        assert!(!bundle.to_string().contains("marker"));
    }
}
