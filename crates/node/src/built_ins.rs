//! The server's own definitions, which are in no store: what its CapabilityStatement refers to.
//!
//! Operations, extensions and codes of its own, what the Backport guide defines of subscriptions, HL7's
//! compartments, and its search parameters as far as they are supported. What a client stores under the same type
//! and id hides them.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use cresset_definitions::{Definitions, FhirVersion, SearchParameter};
use cresset_fhir::{Codec, SearchParameterSupport};
use cresset_model::{
    Change, Comparator, Interaction, Modifier, Position, ResourceId, ResourceKey, ResourceType,
    VersionId,
};
use cresset_search::Parameters;
use jiff::Timestamp;

use crate::bases::base_of;
use crate::draft::server_name;
use crate::node::Node;

static R4: LazyLock<BuiltIns> = LazyLock::new(|| BuiltIns::new(FhirVersion::R4));
static R4B: LazyLock<BuiltIns> = LazyLock::new(|| BuiltIns::new(FhirVersion::R4B));
static R5: LazyLock<BuiltIns> = LazyLock::new(|| BuiltIns::new(FhirVersion::R5));

/// The server's own definitions in one version.
pub(crate) struct BuiltIns(Vec<Arc<Change>>);

impl BuiltIns {
    /// Those of a version; the first call makes them.
    pub(crate) fn of(version: FhirVersion) -> &'static Self {
        match version {
            FhirVersion::R4 => &R4,
            FhirVersion::R4B => &R4B,
            FhirVersion::R5 => &R5,
        }
    }

    /// Those of a type, as if each were a change: at places of the log that it never comes to.
    pub(crate) fn of_type(&self, resource_type: &str) -> impl Iterator<Item = &Arc<Change>> {
        self.0.iter().filter(move |one| one.key.resource_type.as_str() == resource_type)
    }

    fn new(version: FhirVersion) -> Self {
        let own = Codec::of(version).own_definitions().into_iter();
        let own = own.map(|one| (one.resource_type, one.id, one.body));
        let parameters =
            search_parameters(version).map(|(id, body)| ("SearchParameter", id.to_owned(), body));
        let all = own.chain(parameters).zip((1..=u64::MAX).rev());
        Self(all.map(|(one, position)| Arc::new(built_in(version, one, position))).collect())
    }
}

impl Node {
    /// A definition of the server's own; no rights are needed.
    pub fn built_in(&self, version: FhirVersion, resource_type: &str, id: &str) -> Option<Bytes> {
        let mut of_type = BuiltIns::of(version).of_type(resource_type);
        of_type.find(|one| one.key.id.as_str() == id).map(|one| one.body.clone())
    }
}

fn built_in(
    version: FhirVersion,
    (resource_type, id, body): (&'static str, String, Vec<u8>),
    position: u64,
) -> Change {
    Change {
        position: Position::new(position).expect("it counts down from the greatest"),
        key: ResourceKey {
            base: base_of(version),
            resource_type: ResourceType::new(resource_type).expect("FHIR's types are types"),
            id: ResourceId::new(&id).expect("HL7's ids and those of the files are ids"),
        },
        version: VersionId::FIRST,
        interaction: Interaction::Create,
        at: Timestamp::UNIX_EPOCH,
        author: server_name(),
        body: body.into(),
        trace: None,
    }
}

/// What is supported of one of HL7's search parameters.
struct Support {
    definition: &'static SearchParameter,
    base: Vec<&'static str>,
    modifiers: Vec<Modifier>,
    comparators: &'static [Comparator],
}

/// HL7's search parameters that the version defines and that can be searched by, with their ids, sorted
/// by URL.
fn search_parameters(version: FhirVersion) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let parameters = Parameters::of(version);
    let definitions = Definitions::of(version);
    let mut all: BTreeMap<&'static str, Support> = BTreeMap::new();
    for resource_type in definitions.resource_types() {
        for parameter in parameters.of_type(resource_type) {
            // `_in` is borrowed from R5 where a version lacks it.
            let is_defined = definitions.search_parameter_by_url(parameter.url()).is_some();
            if !is_defined || parameter.check().is_err() {
                continue;
            }
            let support = all.entry(parameter.url()).or_insert_with(|| Support {
                definition: parameter.definition(),
                base: Vec::new(),
                modifiers: parameter.modifiers().collect(),
                comparators: parameter.comparators(),
            });
            support.modifiers.retain(|one| parameter.modifiers().any(|other| other == *one));
            if !support.base.contains(&parameter.resource_type()) {
                support.base.push(parameter.resource_type());
            }
        }
    }
    all.into_iter().map(move |(url, support)| {
        let id = url.rsplit_once('/').map_or(url, |(_, id)| id);
        let body = Codec::of(version).search_parameter(&SearchParameterSupport {
            definition: support.definition,
            id,
            base: &support.base,
            modifiers: &support.modifiers,
            comparators: support.comparators,
        });
        (id, body)
    })
}
