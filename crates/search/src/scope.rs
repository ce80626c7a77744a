//! What criteria and values are read against: the parameters of a version and the own base.

use crate::Parameters;

/// The search parameters in force and the base URL under which resources are local.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'s> {
    /// The search parameters of the base's FHIR version.
    pub parameters: &'static Parameters,
    /// The own base URL, with or without a final `/`: absolute references on it equal relative ones
    /// (RQ-FL-12).
    pub base_url: &'s str,
}
