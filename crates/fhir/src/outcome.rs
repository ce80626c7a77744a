//! OperationOutcome, the same in all versions.

use std::borrow::Cow;

use cresset_model::{Issue, Issues, Severity};

use crate::json::{ObjectWriter, write_object};
use crate::urls::ISSUE_CODE_SYSTEM;

/// Writes an OperationOutcome with every issue; without any, one that says that all is well
/// (`issue` is 1..*).
pub fn render_outcome(issues: &Issues) -> Vec<u8> {
    let mut out = Vec::new();
    write_object(&mut out, |o| {
        o.string("resourceType", "OperationOutcome");
        o.array("issue", |a| {
            for issue in &issues.0 {
                a.object(|o| write_issue(issue, o));
            }
            if issues.0.is_empty() {
                a.object(|o| {
                    o.string("severity", "information");
                    o.string("code", "informational");
                    o.object("details", |o| o.string("text", "All is well."));
                });
            }
        });
    });
    out
}

fn write_issue(issue: &Issue, o: &mut ObjectWriter<'_>) {
    o.string(
        "severity",
        match issue.severity {
            Severity::Error => "error",
            Severity::Information => "information",
            Severity::Warning => "warning",
        },
    );
    o.string("code", issue.kind.code());
    o.object("details", |o| {
        o.array("coding", |a| {
            a.object(|o| {
                o.string("system", ISSUE_CODE_SYSTEM);
                o.string("code", issue.code.as_str());
            });
        });
        o.string("text", &sayable(&issue.text));
    });
    // FHIR has no empty strings; a parameter without a name is one that an issue may be at.
    let expression = issue.expression.as_deref().filter(|text| !text.trim().is_empty());
    o.strings("expression", expression.map(sayable));
}

/// A text as FHIR allows it, also in XML: what a client sent, and is shown again, may have control
/// characters.
fn sayable(text: &str) -> Cow<'_, str> {
    let is_forbidden = |one: char| one.is_control() && !matches!(one, '\n' | '\r' | '\t');
    if text.contains(is_forbidden) {
        Cow::Owned(text.replace(is_forbidden, "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use cresset_model::IssueCode;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_a_client_sent_is_shown_as_fhir_allows() {
        let issue = |at: &str| Issue::error(IssueCode::InvalidParameter, "no `\u{1}\n`").at(at);
        let issues = Issues(vec![issue(""), issue(" "), issue("a\u{0}\u{9F}b")]);
        let outcome: Value = serde_json::from_slice(&render_outcome(&issues)).unwrap();
        for (number, expression) in
            [Value::Null, Value::Null, json!(["a\u{FFFD}\u{FFFD}b"])].iter().enumerate()
        {
            assert_eq!(outcome["issue"][number]["expression"], *expression);
            assert_eq!(outcome["issue"][number]["details"]["text"], "no `\u{FFFD}\n`");
        }
    }
}
