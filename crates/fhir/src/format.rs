//! The forms that resources have on the wire.

use cresset_model::MimeType;

use crate::mime;

/// What a resource looks like as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `application/fhir+json`.
    Json,
    /// `application/fhir+xml`.
    Xml,
}

impl Format {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Json, Self::Xml];

    /// The form that an accepted MIME type of a subscription asks for (RQ-SB-04); where it is that of a
    /// mail, the form of the attachment.
    pub fn of(mime_type: Option<&MimeType>) -> Self {
        let text = mime_type.map_or("", MimeType::as_str).to_ascii_lowercase();
        let attached = text.split(';').find_map(|part| part.trim().strip_prefix("attach="));
        let essence = attached.unwrap_or_else(|| text.split(';').next().unwrap_or_default());
        let is_xml = mime::XML.contains(&essence.trim_matches([' ', '"']));
        if is_xml { Self::Xml } else { Self::Json }
    }

    /// The usual ending of the names of files of this form.
    pub const fn file_ending(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mime_type_tells_the_form() {
        for (text, format) in [
            ("application/fhir+json", Format::Json),
            ("application/json; fhirVersion=4.0", Format::Json),
            ("text/plain", Format::Json),
            ("text/html;attach=application/fhir+json", Format::Json),
            ("application/fhir+xml", Format::Xml),
            ("Application/XML; charset=utf-8", Format::Xml),
            ("text/xml;fhirVersion=5.0", Format::Xml),
            ("text/html;attach=\"application/fhir+xml\"", Format::Xml),
            ("text/plain; Attach=application/xml", Format::Xml),
        ] {
            assert_eq!(Format::of(Some(&MimeType::new(text))), format, "{text}");
        }
        assert_eq!(Format::of(None), Format::Json);
    }
}
