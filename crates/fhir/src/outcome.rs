//! OperationOutcome, the same in all versions.

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
        o.string("text", &issue.text);
    });
    o.strings("expression", &issue.expression);
}
