//! Value sets of required bindings.

/// The codes that an element with a required binding may have.
///
/// Only sets that HL7 lists code by code and that are small are here; an element bound to another
/// set has no set here and its codes cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueSet {
    /// The last part of its canonical URL, such as `administrative-gender`.
    pub name: &'static str,
    /// Its codes by code system, each list sorted.
    pub systems: Vec<(&'static str, Vec<&'static str>)>,
}

impl ValueSet {
    /// Whether a code of any of its systems is this one; for elements of type `code`.
    pub fn has_code(&self, code: &str) -> bool {
        self.systems.iter().any(|(_, codes)| codes.binary_search(&code).is_ok())
    }

    /// Whether it has this code of this system.
    pub fn has_coding(&self, system: &str, code: &str) -> bool {
        let mut own = self.systems.iter().filter(|(name, _)| *name == system);
        own.any(|(_, codes)| codes.binary_search(&code).is_ok())
    }

    /// All its codes, those of each system sorted.
    pub fn codes(&self) -> impl Iterator<Item = &'static str> {
        self.systems.iter().flat_map(|(_, codes)| codes.iter().copied())
    }
}
