//! Checks a topic file without a server, as creating the topic would.

use std::fmt;

use cresset_definitions::FhirVersion;
use cresset_fhir::{TopicForm, json, parse_topic_any, topic_form};
use cresset_model::{Issue, IssueCode, Issues, ResourceId};
use cresset_search::Parameters;

use crate::catalogs::compile_topic;

/// What a check of a topic file found.
#[derive(Debug, Clone)]
pub struct TopicCheck {
    /// In which form it is written; none if it is no topic.
    pub form: Option<TopicForm>,
    /// What was found, with the versions it is true of.
    pub issues: Vec<(Versions, Issue)>,
}

/// Some FHIR versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions(pub Vec<FhirVersion>);

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|one| one.path().to_uppercase()).collect();
        f.write_str(&names.join(", "))
    }
}

/// Checks a topic in the versions that can hold its form, or in these.
///
/// Each issue is told once, with the versions it is true of.
pub fn check_topic(bytes: &[u8], versions: &[FhirVersion]) -> TopicCheck {
    let value = match json::parse(bytes) {
        Ok(value) => value,
        Err(issues) => return TopicCheck { form: None, issues: of_all(issues, versions) },
    };
    let Some(form) = topic_form(&value) else {
        let text = "it is neither a SubscriptionTopic nor a Basic that holds one";
        let issue = Issue::error(IssueCode::WrongResourceType, text).at("resourceType");
        return TopicCheck { form: None, issues: of_all(issue.into(), versions) };
    };
    let versions = if versions.is_empty() { form.versions() } else { versions };
    let topic = match parse_topic_any(&value) {
        Ok(topic) => topic,
        Err(issues) => return TopicCheck { form: Some(form), issues: of_all(issues, versions) },
    };
    let id = ResourceId::new("check").expect("a literal of the right form");
    let mut found: Vec<(Versions, Issue)> = Vec::new();
    for version in versions {
        let catalog = cresset_engine::Catalog::new(Parameters::of(*version), "");
        let issues = match compile_topic(&catalog, &id, &topic) {
            Ok((_, warnings)) => warnings,
            Err(issues) => issues,
        };
        for issue in issues.0 {
            match found.iter_mut().find(|(_, one)| *one == issue) {
                Some((of, _)) => of.0.push(*version),
                None => found.push((Versions(vec![*version]), issue)),
            }
        }
    }
    TopicCheck { form: Some(form), issues: found }
}

fn of_all(issues: Issues, versions: &[FhirVersion]) -> Vec<(Versions, Issue)> {
    issues.0.into_iter().map(|issue| (Versions(versions.to_vec()), issue)).collect()
}
