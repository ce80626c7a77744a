//! From the items of an expression to search values: one table, parameter type × item type.
//!
//! An item of a type that the parameter's type cannot hold is skipped, as FHIR says; an item that
//! has the right type but not its form is an error.

use cresset_definitions::SearchKind;
use cresset_fhirpath::Item;
use serde_json::Value;

use crate::date::{DateRange, Malformed};
use crate::number::NumberRange;
use crate::{Parameter, Quantity, Reference, SearchValue, Text, Token, TokenSystem, Uri};

/// The code system of `true` and `false`, by its names in R4 and since.
const BOOLEAN_SYSTEMS: [&str; 2] =
    ["http://terminology.hl7.org/CodeSystem/special-values", "http://hl7.org/fhir/special-values"];
/// The parts of a name that are searched.
const NAME_PARTS: [&str; 5] = ["family", "given", "prefix", "suffix", "text"];
/// The parts of an address that are searched.
const ADDRESS_PARTS: [&str; 7] =
    ["line", "city", "district", "state", "postalCode", "country", "text"];

/// Whose values are extracted, and from where.
pub(crate) struct Source<'a> {
    pub(crate) parameter: &'static Parameter,
    /// Without a final `/`.
    pub(crate) base_url: &'a str,
    pub(crate) resource: &'a Value,
}

pub(crate) type Values<'a> = Vec<SearchValue<'a>>;

impl<'a> Source<'a> {
    /// Adds what an item is as a value of the parameter.
    pub(crate) fn push(&self, item: &Item<'a>, values: &mut Values<'a>) -> Result<(), Malformed> {
        match self.parameter.kind() {
            SearchKind::Date => values.extend(date(item)?.map(SearchValue::Date)),
            SearchKind::Number => values.extend(number(item)?.map(SearchValue::Number)),
            SearchKind::Quantity => values.extend(quantity(item)?.map(SearchValue::Quantity)),
            SearchKind::Reference => {
                if let Some(reference) = self.reference(item) {
                    values.push(SearchValue::Reference(reference));
                }
            }
            SearchKind::String => strings(item, values),
            SearchKind::Token => self.tokens(item, values),
            SearchKind::Uri => values.extend(self.uri(item).map(SearchValue::Uri)),
            SearchKind::Composite | SearchKind::Special => {}
        }
        Ok(())
    }

    fn reference(&self, item: &Item<'a>) -> Option<Reference<'a>> {
        let json = item.json()?;
        match item.type_name() {
            "Reference" => Reference::of_reference(json, self.base_url),
            "CodeableReference" => Reference::of_reference(json.get("reference")?, self.base_url),
            "canonical" | "uri" | "url" => Some(Reference::of_url(json.as_str()?, self.base_url)),
            _ if json.get("resourceType").is_some() => {
                Reference::of_resource(json, self.parameter.targets())
            }
            _ => None,
        }
    }

    fn tokens(&self, item: &Item<'a>, values: &mut Values<'a>) {
        let Some(json) = item.json() else {
            let truth = item.as_bool().map(truth);
            values.extend(truth.map(SearchValue::Token));
            return;
        };
        let text = json.as_str();
        let token = match item.type_name() {
            "CodeableConcept" => {
                values.extend(Token::of_concept(json).map(SearchValue::Token));
                return;
            }
            "CodeableReference" => {
                let concepts = json.get("concept").into_iter().flat_map(Token::of_concept);
                values.extend(concepts.map(SearchValue::Token));
                return;
            }
            "Coding" => Token::of_coding(json),
            "Identifier" => Token::of_identifier(json),
            "ContactPoint" => json.get("value").and_then(Value::as_str).map(unscoped),
            "boolean" => json.as_bool().map(truth),
            "code" => text.map(|code| {
                Token::new(TokenSystem::Implied(self.parameter.implied_systems()), code)
            }),
            "string" | "markdown" => text.map(Token::ignoring_case),
            "id" | "uri" | "url" | "canonical" | "oid" | "uuid" => text.map(unscoped),
            "integer" | "positiveInt" | "unsignedInt" | "integer64" | "decimal" => {
                json.as_number().map(serde_json::Number::as_str).or(text).map(unscoped)
            }
            _ => None,
        };
        values.extend(token.map(SearchValue::Token));
    }

    fn uri(&self, item: &Item<'a>) -> Option<Uri<'a>> {
        let text = item.json()?.as_str()?;
        match item.type_name() {
            "canonical" => Some(Uri::canonical(text)),
            // Canonical resources are found by `url|version` too.
            "uri" if self.parameter.code() == "url" => Some(Uri::own(text, self.resource)),
            // The backport guide's `topic` is one over the string `Subscription.criteria`.
            "uri" | "url" | "oid" | "uuid" | "string" => Some(Uri::plain(text)),
            _ => None,
        }
    }
}

fn unscoped(code: &str) -> Token<'_> {
    Token::new(TokenSystem::Absent, code)
}

fn truth(value: bool) -> Token<'static> {
    Token::new(TokenSystem::Implied(&BOOLEAN_SYSTEMS), if value { "true" } else { "false" })
}

fn date(item: &Item<'_>) -> Result<Option<DateRange>, Malformed> {
    let Some(json) = item.json() else { return Ok(None) };
    let read = |name, parse: fn(&str) -> Option<DateRange>| {
        json.as_str().and_then(parse).ok_or(Malformed(name)).map(Some)
    };
    match item.type_name() {
        "date" => read("date", DateRange::parse),
        "dateTime" => read("dateTime", DateRange::parse),
        "instant" => read("instant", DateRange::parse_instant),
        "Period" => DateRange::of_period(json),
        "Timing" => DateRange::of_timing(json),
        _ => Ok(None),
    }
}

fn number(item: &Item<'_>) -> Result<Option<NumberRange>, Malformed> {
    let Some(json) = item.json() else { return Ok(None) };
    match item.type_name() {
        "integer" | "positiveInt" | "unsignedInt" | "integer64" | "decimal" => {
            NumberRange::of_json(json).ok_or(Malformed("number")).map(Some)
        }
        "Range" => NumberRange::of_range(json),
        _ => Ok(None),
    }
}

fn quantity<'a>(item: &Item<'a>) -> Result<Option<Quantity<'a>>, Malformed> {
    let Some(json) = item.json() else { return Ok(None) };
    match item.type_name() {
        "Quantity" | "SimpleQuantity" | "Age" | "Count" | "Distance" | "Duration"
        | "MoneyQuantity" => Quantity::of_quantity(json),
        "Money" => Quantity::of_money(json),
        "Range" => Quantity::of_range(json),
        "SampledData" => Quantity::of_sampled_data(json),
        _ => Ok(None),
    }
}

fn strings<'a>(item: &Item<'a>, values: &mut Values<'a>) {
    let Some(json) = item.json() else { return };
    let parts: &[&str] = match item.type_name() {
        "string" | "markdown" | "code" | "id" | "uri" | "url" | "canonical" => {
            values.extend(json.as_str().map(Text::new).map(SearchValue::String));
            return;
        }
        "HumanName" => &NAME_PARTS,
        "Address" => &ADDRESS_PARTS,
        _ => return,
    };
    let parts = parts.iter().filter_map(|part| json.get(*part));
    let texts = parts.flat_map(|part| match part.as_array() {
        Some(list) => list.as_slice(),
        None => std::slice::from_ref(part),
    });
    values.extend(texts.filter_map(Value::as_str).map(Text::new).map(SearchValue::String));
}

#[cfg(test)]
mod tests;
