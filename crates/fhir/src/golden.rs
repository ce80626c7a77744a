//! Wire goldens: the exact bytes of everything that is rendered, in `tests/golden/{r4,r4b,r5}`.
//!
//! `UPDATE_GOLDEN=1` rewrites them; a file that no test renders is an error, so that none is left
//! behind. Ids and instants are fixed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cresset_definitions::{FhirVersion, SearchKind};
use cresset_model::{
    Canonical, Interaction, Issue, IssueCode, Issues, NotificationEvent, NotificationType, Opaque,
    PayloadContent, RelatedQuery, ResourceId, ResourceType, SubscriptionError,
    SubscriptionErrorCode, SubscriptionStatus, VersionId,
};

use crate::notification::tests::{event, notification, resource};
use crate::{
    AnswerEntry, BindingTokenAnswer, BundleKind, CapabilityFacts, Codec, HistoryEntry, HistoryPage,
    MessageFrame, ResourceFacts, SearchEntry, SearchMode, SearchPage, SearchParameterFacts,
    SubscriptionOperation, TypeInteraction, json, parse_topic_any, render_batch_response,
    render_history, render_notified, render_outcome, render_searchset, render_token, urls,
};

struct Goldens {
    folder: PathBuf,
    seen: BTreeSet<String>,
}

impl Goldens {
    fn new(version: FhirVersion) -> Self {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"));
        Self { folder: root.join(version.path()), seen: BTreeSet::new() }
    }

    fn check(&mut self, name: &str, bytes: &[u8]) {
        json::parse(bytes).expect("what is rendered is JSON");
        self.compare(format!("{name}.json"), bytes);
    }

    /// Both forms; the one in XML reads as the same resource.
    fn check_forms(&mut self, version: FhirVersion, name: &str, bytes: &[u8]) {
        self.check(name, bytes);
        let codec = Codec::of(version);
        let xml = codec.xml_of_json(bytes).expect("what is rendered is JSON");
        let back = codec.json_of_xml(&xml).expect("what is written as XML can be read");
        assert_eq!(codec.xml_of_json(&back).expect("what is read is JSON"), xml);
        self.compare(format!("{name}.xml"), &xml);
    }

    fn compare(&mut self, name: String, bytes: &[u8]) {
        let path = self.folder.join(&name);
        self.seen.insert(name);
        // The file ends with a line feed, which the rendered bytes do not have.
        let rendered = [bytes, b"\n"].concat();
        if is_update() {
            fs::create_dir_all(&self.folder).unwrap();
            fs::write(path, rendered).unwrap();
            return;
        }
        let golden = fs::read(&path).unwrap_or_default();
        let (golden, rendered) =
            (String::from_utf8_lossy(&golden), String::from_utf8_lossy(&rendered));
        assert_eq!(golden, rendered, "{path:?}; UPDATE_GOLDEN=1 rewrites it");
    }

    fn finish(self) {
        let files = fs::read_dir(&self.folder).unwrap();
        let names: BTreeSet<_> =
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names, self.seen, "files that no test renders");
    }
}

#[expect(clippy::disallowed_methods, reason = "the one switch of this test")]
fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[test]
fn rendered_bytes_are_the_golden_ones() {
    for version in FhirVersion::ALL {
        let mut goldens = Goldens::new(version);
        notifications(version, &mut goldens);
        status_searchset(version, &mut goldens);
        topic(version, &mut goldens);
        message(version, &mut goldens);
        capability_statement(version, &mut goldens);
        answers(&mut goldens);
        goldens.finish();
    }
}

fn events() -> Vec<NotificationEvent> {
    use Interaction::{Create, Delete, Update};
    let patient = || resource("Patient/p", 3, None);
    let mut first = event(1, resource("Encounter/a", 1, Some(Create)), vec![patient()]);
    first.related_queries = vec![
        RelatedQuery {
            query_type: Some(Opaque(
                r#"{"system":"http://example.org","code":"prescribed"}"#.to_owned(),
            )),
            query: "http://example.org/MedicationRequest?patient=$notificationPatientId".to_owned(),
        },
        RelatedQuery { query_type: None, query: "http://example.org/$more".to_owned() },
    ];
    vec![
        first,
        event(2, resource("Encounter/b", 5, Some(Delete)), Vec::new()),
        event(
            3,
            resource("Encounter/a", 2, Some(Update)),
            vec![patient(), resource("Observation/o", 1, None)],
        ),
        // An event that is no change of data.
        event(4, resource("Encounter/c", 1, None), vec![patient()]),
    ]
}

fn notifications(version: FhirVersion, goldens: &mut Goldens) {
    for kind in NotificationType::ALL {
        let (status, events) = match kind {
            NotificationType::EventNotification | NotificationType::QueryEvent => {
                (SubscriptionStatus::Active, events())
            }
            NotificationType::Handshake => (SubscriptionStatus::Requested, Vec::new()),
            NotificationType::Heartbeat => (SubscriptionStatus::Active, Vec::new()),
            NotificationType::QueryStatus => (SubscriptionStatus::Error, Vec::new()),
        };
        for content in PayloadContent::ALL {
            let mut notification = notification(*kind, *content, events.clone());
            notification.status = status;
            if status == SubscriptionStatus::Error {
                notification.events_since_subscription_start = 310;
                notification.errors = vec![SubscriptionError {
                    code: Some(SubscriptionErrorCode::ErrorResponse),
                    text: "HTTP status 503".to_owned(),
                }];
            }
            let mut out = Vec::new();
            Codec::of(version).render_notification(&notification, &mut out);
            goldens.check_forms(version, &format!("{}-{}", kind.code(), content.code()), &out);
        }
    }
}

fn status_searchset(version: FhirVersion, goldens: &mut Goldens) {
    let mut one = notification(NotificationType::QueryStatus, PayloadContent::IdOnly, Vec::new());
    one.events_since_subscription_start = 7;
    let url = "https://host/base/Subscription/s1/$status";
    let status = Codec::of(version).render_status_searchset(&[one], url);
    goldens.check_forms(version, "status", &status);
    goldens.check("status-none", &Codec::of(version).render_status_searchset(&[], url));
}

fn message(version: FhirVersion, goldens: &mut Goldens) {
    let one = notification(NotificationType::Handshake, PayloadContent::IdOnly, Vec::new());
    let (mut content, mut out) = (Vec::new(), Vec::new());
    Codec::of(version).render_notification(&one, &mut content);
    let frame = MessageFrame {
        id: "7f8d5fd8-8d3c-8a63-9d0c-2f1d2b3c4d5e",
        timestamp: one.timestamp,
        event: ("http://example.org/fhir/message-events", "subscription-notification"),
        source: "https://host/base",
        destination: "https://there.test/fhir",
    };
    Codec::of(version).render_message(&frame, &content, &mut out);
    goldens.check_forms(version, "message-handshake", &out);
}

fn topic(version: FhirVersion, goldens: &mut Goldens) {
    let topic = serde_json::json!({
        "resourceType": "SubscriptionTopic", "url": "http://example.org/topic", "version": "1.0",
        "title": "Encounters that end", "status": "active", "description": "An encounter ended.",
        "name": "EncounterEnd", "date": "2026-01-01", "publisher": "Example",
        "versionAlgorithmCoding": { "code": "semver" }, "copyrightLabel": "(c)",
        "contact": [{ "name": "One" }, { "name": "Two" }], "experimental": false,
        "jurisdiction": [{ "text": "Everywhere" }],
        "effectivePeriod": { "start": "2026", "end": "2027-05" },
        "derivedFrom": ["http://example.org/other"],
        "resourceTrigger": [{
            "description": "It ended.",
            "resource": "http://hl7.org/fhir/StructureDefinition/Encounter",
            "supportedInteraction": ["create", "update"],
            "queryCriteria": {
                "previous": "status:not=finished", "resultForCreate": "test-passes",
                "current": "status=finished", "resultForDelete": "test-fails", "requireBoth": true,
            },
            "fhirPathCriteria": "%current.status = 'finished'",
        }],
        "eventTrigger": [{
            "event": { "coding": [{ "system": "http://example.org", "code": "A01" }], "text": "Admitted" },
            "resource": "Encounter",
        }],
        "canFilterBy": [{
            "description": "Whose.", "resource": "Encounter", "filterParameter": "subject",
            "filterDefinition": "http://hl7.org/fhir/SearchParameter/Encounter-subject",
            "comparator": ["eq"], "modifier": ["in", "missing"],
        }],
        "notificationShape": [{
            "resource": "Encounter", "include": ["Encounter:subject"],
            "revInclude": ["Observation:encounter"],
            "extension": [{
                "url": urls::RELATED_QUERY,
                "extension": [
                    { "url": "queryType", "valueCoding": { "code": "prescribed" } },
                    { "url": "query", "valueString": "http://example.org/$prescribed?x=[id]" },
                ],
            }],
        }],
    });
    let topic = parse_topic_any(&topic).unwrap();
    let id = ResourceId::new("encounter-end").unwrap();
    goldens.check("topic", &Codec::of(version).render_topic(&topic, &id));
}

fn capability_statement(version: FhirVersion, goldens: &mut Goldens) {
    use TypeInteraction::{Create, Delete, HistoryInstance, Read, SearchType, Update, Vread};
    let status = SearchParameterFacts {
        code: "status",
        url: "http://hl7.org/fhir/SearchParameter/Subscription-status",
        kind: SearchKind::Token,
    };
    let all = [Read, Vread, Update, Delete, HistoryInstance, Create, SearchType];
    let includes = ["*".to_owned(), "Encounter:subject".to_owned()];
    let rev_includes = ["Provenance:target".to_owned()];
    let facts = |resource_type, search_parameters| ResourceFacts {
        resource_type,
        interactions: &all,
        search_parameters,
        search_includes: &includes,
        search_rev_includes: &rev_includes,
        update_create: true,
    };
    let bytes = Codec::of(version).capability_statement(&CapabilityFacts {
        base_url: "https://host/base",
        software_version: "0.1.0",
        date: "2026-01-01T00:00:00Z".parse().unwrap(),
        topics: &[Canonical::new("http://example.org/a"), Canonical::new("http://example.org/b|2")],
        channels: &["rest-hook", "email"],
        websocket_url: Some("wss://host/ws"),
        security: Some("Bearer tokens."),
        transactions: true,
        system_search: true,
        resources: &[
            facts("Basic", &[]),
            facts("Encounter", &[]),
            facts("Subscription", &[status]),
            facts("SubscriptionTopic", &[]),
        ],
        notify_event: true,
        operations: &[
            SubscriptionOperation::Status,
            SubscriptionOperation::Events,
            SubscriptionOperation::GetWsBindingToken,
            SubscriptionOperation::Resend,
        ],
    });
    goldens.check("capability-statement", &bytes);
}

/// What is the same in all versions, under each of them: a difference would be seen.
fn answers(goldens: &mut Goldens) {
    let mut issues = Issues::default();
    issues.push(
        Issue::error(IssueCode::UnknownTopic, "There is no topic \"x\".").at("Subscription.topic"),
    );
    issues.push(Issue::warning(IssueCode::SurprisingTopic, "It fires on every create."));
    goldens.check("outcome", &render_outcome(&issues));
    goldens.check("notified", &render_notified(3, &Issues::default()));
    goldens.check("notified-warning", &render_notified(0, &issues));
    goldens.check("outcome-none", &render_outcome(&Issues::default()));
    let ids = [ResourceId::new("s1").unwrap(), ResourceId::new("s2").unwrap()];
    let at = "2026-01-01T00:30:00.5Z".parse().unwrap();
    goldens.check(
        "token",
        &render_token(&BindingTokenAnswer {
            token: "opaque",
            expiration: at,
            subscriptions: &ids,
            websocket_url: "wss://host/ws",
        }),
    );
    pages(&issues, goldens);
    let entries = [
        AnswerEntry {
            status: 201,
            location: Some("https://host/base/Patient/p/_history/1".to_owned()),
            version: Some(VersionId::FIRST),
            last_modified: Some(at),
            resource: Some(b"{\"resourceType\":\"Patient\",\"id\":\"p\"}".to_vec()),
            outcome: None,
        },
        AnswerEntry { status: 422, outcome: Some(issues), ..AnswerEntry::default() },
    ];
    goldens.check("batch-response", &render_batch_response(BundleKind::Batch, &entries));
    let kind = BundleKind::Transaction;
    goldens.check("transaction-response", &render_batch_response(kind, &entries[..1]));
}

fn pages(issues: &Issues, goldens: &mut Goldens) {
    let resource_type = ResourceType::new("Patient").unwrap();
    let id = ResourceId::new("p").unwrap();
    let body = b"{\"resourceType\":\"Patient\",\"id\":\"p\",  \"x\":1.00}\n";
    let at = "2026-01-01T00:30:00.5Z".parse().unwrap();
    let match_entry =
        SearchEntry { resource_type: &resource_type, id: &id, body, mode: SearchMode::Match };
    let include = SearchEntry { mode: SearchMode::Include, ..match_entry };
    goldens.check(
        "searchset",
        &render_searchset(&SearchPage {
            base_url: "https://host/base",
            self_url: "https://host/base/Patient?_count=1",
            first_url: None,
            next_url: Some("https://host/base/Patient?_count=1&page=2"),
            total: Some(2),
            entries: &[match_entry, include],
            issues: Some(issues),
        }),
    );
    let entry = |version, interaction, body| HistoryEntry {
        resource_type: &resource_type,
        id: &id,
        version: VersionId::new(version).unwrap(),
        interaction,
        at,
        body,
    };
    let entries = [
        entry(3, Interaction::Delete, &b""[..]),
        entry(2, Interaction::Update, body),
        entry(1, Interaction::Create, body),
    ];
    goldens.check(
        "history",
        &render_history(&HistoryPage {
            base_url: "https://host/base",
            self_url: "https://host/base/Patient/p/_history",
            next_url: None,
            total: Some(3),
            entries: &entries,
        }),
    );
}
