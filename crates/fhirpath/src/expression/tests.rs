mod errors;
mod features;
mod limits;
mod references;
mod search_parameters;
mod shared;
mod suite;
mod topics;
mod xml;

use cresset_definitions::{Definitions, FhirVersion};
use serde_json::Value;

use crate::{Context, EvaluationError, Expression, Item, Scope};

/// A strict scope of R4 for a type.
fn scope(root: &str) -> Scope<'_> {
    Scope::new(Definitions::of(FhirVersion::R4)).root(root)
}

/// The items an expression finds, as text; the resources of these tests are no secrets.
fn shown(
    source: &str,
    scope: &Scope<'_>,
    resource: &Value,
) -> Result<Vec<String>, EvaluationError> {
    let expression = Expression::compile(source, scope).unwrap_or_else(|error| panic!("{error}"));
    let context = Context::new(Some(resource), scope.root.unwrap_or_default());
    Ok(expression.evaluate(&context)?.iter().map(show).collect())
}

/// An item's value as text, dates and times as FHIRPath writes them.
fn show(item: &Item<'_>) -> String {
    match item {
        Item::Boolean(value) => value.to_string(),
        Item::Date(value) => format!("@{value}"),
        Item::DateTime(value) => format!("@{value}"),
        Item::Time(value) => format!("@T{value}"),
        Item::Decimal(value) => value.to_string(),
        Item::Integer(value) => value.to_string(),
        Item::Long(value) => value.to_string(),
        Item::Quantity(value) => value.to_string(),
        Item::String(value) => value.to_string(),
        Item::Type { name, .. } => (*name).to_owned(),
        Item::Node(node) => {
            let text = node.value().as_str().map(str::to_owned);
            let text = text.unwrap_or_else(|| node.value().to_string());
            let is_date = matches!(item.type_name(), "date" | "dateTime" | "instant");
            if is_date { format!("@{text}") } else { text }
        }
    }
}
