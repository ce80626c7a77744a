//! Types: FHIRPath's own, FHIR's from the definitions, and tests for them.

use std::fmt;

use cresset_definitions::{Definitions, TypeDefinition, TypeKind};

/// A type of FHIRPath itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SystemType {
    /// `System.Any`, the type of everything
    Any,
    /// `System.Boolean`
    Boolean,
    /// `System.Date`
    Date,
    /// `System.DateTime`
    DateTime,
    /// `System.Decimal`
    Decimal,
    /// `System.Integer`
    Integer,
    /// `System.Long`
    Long,
    /// `System.Quantity`
    Quantity,
    /// `System.String`
    String,
    /// `System.Time`
    Time,
    /// What `type()` yields.
    TypeInfo,
}

impl SystemType {
    const ALL: [Self; 11] = [
        Self::Any,
        Self::Boolean,
        Self::Date,
        Self::DateTime,
        Self::Decimal,
        Self::Integer,
        Self::Long,
        Self::Quantity,
        Self::String,
        Self::Time,
        Self::TypeInfo,
    ];

    /// Its name without namespace.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Any => "Any",
            Self::Boolean => "Boolean",
            Self::Date => "Date",
            Self::DateTime => "DateTime",
            Self::Decimal => "Decimal",
            Self::Integer => "Integer",
            Self::Long => "Long",
            Self::Quantity => "Quantity",
            Self::String => "String",
            Self::Time => "Time",
            Self::TypeInfo => "TypeInfo",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// The type of one item.
#[derive(Clone, Copy)]
pub(crate) enum ItemType {
    Fhir(&'static TypeDefinition),
    System(SystemType),
}

impl ItemType {
    /// The type an element's type reference names.
    pub(crate) fn named(definitions: &Definitions, name: &str) -> Option<Self> {
        match name.strip_prefix("System.") {
            Some(system) => SystemType::parse(system).map(Self::System),
            None => definitions.type_named(name).map(Self::Fhir),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fhir(definition) => definition.name,
            Self::System(system) => system.name(),
        }
    }

    pub(crate) const fn namespace(self) -> &'static str {
        match self {
            Self::Fhir(_) => "FHIR",
            Self::System(_) => "System",
        }
    }

    /// The system type its value has when it takes part in an operation; `None` for structures.
    pub(crate) fn value_type(self) -> Option<SystemType> {
        match self {
            Self::System(system) => Some(system),
            Self::Fhir(definition) => match definition.kind {
                TypeKind::Primitive => Some(primitive_value_type(definition.name)),
                TypeKind::Complex if is_quantity(definition) => Some(SystemType::Quantity),
                TypeKind::Complex | TypeKind::Backbone | TypeKind::Resource => None,
            },
        }
    }
}

impl PartialEq for ItemType {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fhir(a), Self::Fhir(b)) => std::ptr::eq(*a, *b),
            (Self::System(a), Self::System(b)) => a == b,
            (Self::Fhir(_), Self::System(_)) | (Self::System(_), Self::Fhir(_)) => false,
        }
    }
}

impl fmt::Debug for ItemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace(), self.name())
    }
}

/// The system type a FHIR primitive's value has.
pub(crate) fn primitive_value_type(name: &str) -> SystemType {
    match name {
        "boolean" => SystemType::Boolean,
        "date" => SystemType::Date,
        "dateTime" | "instant" => SystemType::DateTime,
        "decimal" => SystemType::Decimal,
        "integer" | "positiveInt" | "unsignedInt" => SystemType::Integer,
        "integer64" => SystemType::Long,
        "time" => SystemType::Time,
        _ => SystemType::String,
    }
}

/// Whether a FHIR type is `Quantity` or one of its specialisations.
pub(crate) fn is_quantity(definition: &TypeDefinition) -> bool {
    definition.name == "Quantity" || definition.base == Some("Quantity")
}

/// What `is`, `as` and `ofType` test for; a bare name may mean a type in either namespace.
#[derive(Clone, Copy)]
pub(crate) struct TypeTest {
    definitions: &'static Definitions,
    fhir: Option<&'static TypeDefinition>,
    system: Option<SystemType>,
}

impl TypeTest {
    /// The type a specifier names; `None` if there is none.
    ///
    /// An unknown name in the namespace `System` is a type that nothing has.
    pub(crate) fn new(
        definitions: &'static Definitions,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Self> {
        let fhir = definitions.type_named(name);
        let system = SystemType::parse(name).filter(|system| *system != SystemType::TypeInfo);
        let (fhir, system) = match namespace {
            None => (fhir, system),
            Some("FHIR") => (fhir, None),
            Some("System") => return Some(Self { definitions, fhir: None, system }),
            Some(_) => return None,
        };
        (fhir.is_some() || system.is_some()).then_some(Self { definitions, fhir, system })
    }

    pub(crate) fn of(definitions: &'static Definitions, fhir: &'static TypeDefinition) -> Self {
        Self { definitions, fhir: Some(fhir), system: None }
    }

    /// Whether a type is this one or a specialisation.
    pub(crate) fn includes(&self, item: ItemType) -> bool {
        match item {
            ItemType::System(system) => {
                self.system.is_some_and(|wanted| wanted == SystemType::Any || wanted == system)
            }
            ItemType::Fhir(definition) => self.fhir.is_some_and(|wanted| {
                std::ptr::eq(definition, wanted)
                    || self.definitions.is_subtype(definition.name, wanted.name)
            }),
        }
    }

    /// The same as `as` and `ofType` see it: a primitive is only of its own type, so that a `code` is
    /// no `string`.
    pub(crate) fn selects(&self, item: ItemType) -> bool {
        match (item, self.fhir) {
            (ItemType::Fhir(definition), Some(wanted))
                if definition.kind == TypeKind::Primitive =>
            {
                std::ptr::eq(definition, wanted)
            }
            _ => self.includes(item),
        }
    }

    /// Whether an item whose declared type is `declared` may turn out to be of this type.
    pub(crate) fn may_include(&self, declared: ItemType) -> bool {
        self.includes(declared)
            || match (declared, self.fhir) {
                (ItemType::Fhir(declared), Some(wanted)) => {
                    self.definitions.is_subtype(wanted.name, declared.name)
                }
                _ => false,
            }
    }

    /// The types it stands for.
    pub(crate) fn types(&self) -> impl Iterator<Item = ItemType> {
        let fhir = self.fhir.map(ItemType::Fhir);
        fhir.into_iter().chain(self.system.map(ItemType::System))
    }

    /// Whether it means a resource type by name.
    pub(crate) fn includes_resource(&self, name: &str) -> bool {
        self.fhir.is_some_and(|wanted| wanted.name == name)
            || self
                .definitions
                .type_named(name)
                .is_some_and(|one| self.includes(ItemType::Fhir(one)))
    }

    /// The concrete resource type that it means.
    pub(crate) fn resource_name(&self) -> Option<&'static str> {
        let is_one = |one: &&TypeDefinition| one.kind == TypeKind::Resource && !one.is_abstract;
        self.fhir.filter(is_one).map(|one| one.name)
    }

    /// Whether it means any resource type at all.
    pub(crate) fn is_resource(&self) -> bool {
        self.fhir.is_some_and(|one| one.kind == TypeKind::Resource)
    }
}

impl fmt::Debug for TypeTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.types()).finish()
    }
}
