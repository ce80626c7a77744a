//! SearchParameters as HL7 defines them, with what of them is supported.

use cresset_definitions::{FhirVersion, SearchParameter};
use cresset_model::{Comparator, Modifier};

use crate::json::{ObjectWriter, write_object};

/// A search parameter of HL7's, and how it can be used here.
#[derive(Debug, Clone, Copy)]
pub struct SearchParameterSupport<'f> {
    /// What HL7 says of it.
    pub definition: &'f SearchParameter,
    /// Its id, the last part of its URL.
    pub id: &'f str,
    /// The types that it can be searched on; at least one.
    pub base: &'f [&'f str],
    /// The modifiers it can have on all of them.
    pub modifiers: &'f [Modifier],
    /// The comparators it can have.
    pub comparators: &'f [Comparator],
}

/// Writes the SearchParameter.
pub(crate) fn render_search_parameter(
    version: FhirVersion,
    support: &SearchParameterSupport<'_>,
) -> Vec<u8> {
    let SearchParameterSupport { definition, id, base, modifiers, comparators } = *support;
    let code = definition.code;
    let mut out = Vec::new();
    write_object(&mut out, |o| {
        o.string("resourceType", "SearchParameter");
        o.string("id", id);
        o.string("url", definition.url);
        o.string("name", code);
        o.string("status", "active");
        o.string(
            "description",
            &format!(
                "HL7's search parameter `{code}`, as Cresset supports it: the types, modifiers and \
                 comparators that are named here."
            ),
        );
        o.string("code", code);
        o.strings("base", base);
        o.string("type", definition.kind.code());
        expression(version, definition.expression, o);
        o.strings("target", &definition.targets);
        o.boolean("multipleOr", true);
        o.boolean("multipleAnd", true);
        o.strings("comparator", comparators.iter().map(|one| one.code()));
        o.strings("modifier", modifiers.iter().filter_map(|one| modifier_code(version, *one)));
        o.array("component", |a| {
            for component in &definition.components {
                a.object(|o| {
                    o.string("definition", component.definition);
                    o.string("expression", component.expression);
                });
            }
        });
    });
    out
}

/// The expression, in R5 with what is made of its values (spd-1).
fn expression(version: FhirVersion, expression: Option<&str>, o: &mut ObjectWriter<'_>) {
    let Some(expression) = expression else { return };
    o.string("expression", expression);
    match version {
        FhirVersion::R4 | FhirVersion::R4B => {}
        FhirVersion::R5 => o.string("processingMode", "normal"),
    }
}

/// The code of a modifier of parameters in `search-modifier-code` of the version, if it is there.
fn modifier_code(version: FhirVersion, modifier: Modifier) -> Option<&'static str> {
    match (modifier, version) {
        (Modifier::Iterate, _)
        | (Modifier::CodeText | Modifier::TextAdvanced, FhirVersion::R4 | FhirVersion::R4B) => None,
        (Modifier::OfType, FhirVersion::R4 | FhirVersion::R4B) => Some("ofType"),
        (
            Modifier::Above
            | Modifier::Below
            | Modifier::Contains
            | Modifier::Exact
            | Modifier::Identifier
            | Modifier::In
            | Modifier::Missing
            | Modifier::Not
            | Modifier::NotIn
            | Modifier::Text
            | Modifier::Type,
            _,
        )
        | (Modifier::CodeText | Modifier::OfType | Modifier::TextAdvanced, FhirVersion::R5) => {
            Some(modifier.code())
        }
    }
}
