use super::*;

/// The record of format 1, as it stands in logs; it is read for ever.
const FORMAT_1: &str = r#"{"context":[{"id":"p","type":"Patient","version":2}],"event":[{"code":"A01","system":"http://v2"},{"code":"x"}],"focus":{"id":"e","type":"Encounter","version":7},"format":1}"#;

fn subject(reference: &str, version: u64) -> Subject {
    let key = crate::reference::key_of(Base::new(1), reference).unwrap();
    Subject { key, version: VersionId::new(version).unwrap() }
}

#[test]
fn the_record_of_every_format_is_read() {
    let coding = |system: Option<&str>, code: &str| Coding {
        system: system.map(Into::into),
        code: code.into(),
    };
    let occurrence = Occurrence {
        event: vec![coding(Some("http://v2"), "A01"), coding(None, "x")],
        focus: subject("Encounter/e", 7),
        context: vec![subject("Patient/p", 2)],
    };
    assert_eq!(Occurrence::decode(Base::new(1), FORMAT_1.as_bytes()).as_ref(), Some(&occurrence));
    assert_eq!(occurrence.encode(), FORMAT_1.as_bytes());
}

#[test]
fn what_is_no_record_is_none() {
    for record in ["", "{}", r#"{"format":2}"#, &FORMAT_1.replace("\"version\":7", "\"version\":0")]
    {
        assert_eq!(Occurrence::decode(Base::new(1), record.as_bytes()), None, "{record}");
    }
}
