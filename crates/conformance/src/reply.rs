//! What the server answered, with what was asked for messages.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::wire;

/// An HTTP response.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Method and URL, for messages.
    pub asked: String,
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// An OperationOutcome.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its issues.
    pub issues: Vec<OutcomeIssue>,
}

/// One issue of an OperationOutcome.
#[derive(Debug, Clone)]
pub struct OutcomeIssue {
    /// `severity`
    pub severity: String,
    /// `code`, FHIR's kind of issue.
    pub kind: String,
    /// Our own code, in `details.coding`.
    pub code: String,
    /// `expression`, all of them with a blank between.
    pub expression: String,
    /// `details.text`
    pub text: String,
}

impl Reply {
    /// Keeps what it says, if it is FHIR and not packed.
    pub(crate) fn keep(&self) {
        let content_type = self.headers.get("content-type").and_then(|value| value.to_str().ok());
        if let (Some(content_type), None) = (content_type, self.headers.get("content-encoding")) {
            wire::keep_typed(content_type, &self.asked, &self.body);
        }
    }

    /// The same, if it has this status.
    ///
    /// # Panics
    /// If it has another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("not JSON ({error}): {self}"),
        }
    }

    /// A header's value.
    ///
    /// # Panics
    /// If there is no such header, or it is no text.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_else(|| panic!("no header {name}: {self}"))
    }

    /// The OperationOutcome of a refusal with this status, every issue of which is complete.
    ///
    /// # Panics
    /// If it is anything else.
    #[track_caller]
    pub fn refused(&self, status: u16) -> Outcome {
        assert_eq!(self.status, status, "{self}");
        assert!(self.header("content-type").starts_with("application/fhir+json"), "{self}");
        let outcome = Outcome::read(&self.json()).unwrap_or_else(|| panic!("no outcome: {self}"));
        let told = outcome.issues.iter().all(|issue| {
            !issue.text.is_empty() && issue.code.starts_with('S') && !issue.kind.is_empty()
        });
        assert!(told, "{self}");
        assert!(outcome.issues.iter().any(|issue| issue.severity == "error"), "{self}");
        outcome
    }

    /// As [`Self::refused`], with an issue of this kind (`issue.code`).
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn refused_as(&self, status: u16, kind: &str) -> Outcome {
        let outcome = self.refused(status);
        assert!(outcome.issues.iter().any(|issue| issue.kind == kind), "no {kind}: {self}");
        outcome
    }

    /// As [`Self::refused`], with an issue at this element.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn refused_at(&self, status: u16, expression: &str) -> Outcome {
        let outcome = self.refused(status);
        let found = outcome.issues.iter().any(|issue| issue.expression.contains(expression));
        assert!(found, "nothing about {expression}: {self}");
        outcome
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(4000).collect();
        write!(f, "{} was answered {} with {body}", self.asked, self.status)
    }
}

impl Outcome {
    /// Reads an OperationOutcome; none if it is something else, or has no issue.
    pub fn read(value: &Value) -> Option<Self> {
        if value["resourceType"] != "OperationOutcome" {
            return None;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let issues: Vec<OutcomeIssue> = value["issue"]
            .as_array()?
            .iter()
            .map(|issue| OutcomeIssue {
                severity: text(&issue["severity"]),
                kind: text(&issue["code"]),
                code: text(&issue["details"]["coding"][0]["code"]),
                expression: issue["expression"]
                    .as_array()
                    .map(|all| all.iter().map(text).collect::<Vec<_>>().join(" "))
                    .unwrap_or_default(),
                text: text(&issue["details"]["text"]),
            })
            .collect();
        (!issues.is_empty()).then_some(Self { issues })
    }
}
