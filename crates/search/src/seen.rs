//! What a parameter finds in a resource, as text for people who want to know why a criterion holds.

use crate::parameter::Extraction;
use crate::resource_values::context;
use crate::{Parameter, ResourceValues};

impl ResourceValues<'_> {
    /// The elements that the parameter's expression finds, as they stand in the resource: content
    /// of it, which must not reach a log. At most `max` of them, and how many there are. Nothing
    /// where the expression cannot be evaluated, of which [`ResourceValues::of`] says why.
    pub fn seen(&self, parameter: &'static Parameter, max: usize) -> (Vec<String>, usize) {
        let expression = match parameter.extraction() {
            Ok(Extraction::Composite(expression, _) | Extraction::Items(expression)) => expression,
            Ok(Extraction::Itself) | Err(_) => return (Vec::new(), 0),
        };
        let context = context(self.resource_type(), self.resource());
        let items = expression.evaluate(&context).unwrap_or_default();
        let shown = items.iter().take(max).map(|item| item.text().into_owned());
        (shown.collect(), items.len())
    }
}
