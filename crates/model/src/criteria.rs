//! Topics that nobody wrote: what a subscription with a search as its `criteria` is about (RQ-SB-02).
//!
//! There is one for each resource type. The subscription's search parameters are its filters, so that
//! such subscriptions are found, numbered and told of like all others.

use smol_str::{SmolStr, format_smolstr};

/// What the URLs of these topics begin with; no topic of anybody's may.
const START: &str = "https://cresset.dev/fhir/criteria/";

/// URL of the topic of a type.
pub fn criteria_topic_url(resource_type: &str) -> SmolStr {
    format_smolstr!("{START}{resource_type}")
}

/// Whether a URL is that of such a topic.
pub fn is_criteria_topic(url: &str) -> bool {
    url.starts_with(START)
}
