//! What the XHTML of a narrative may hold (txt-1, txt-2).

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::xml;

const NAMESPACE: &str = "http://www.w3.org/1999/xhtml";
const UNKNOWN: &str = "must have no references but those to characters";

/// The elements that FHIR allows: formatting, lists, tables, links and images.
const ELEMENTS: [&str; 55] = [
    "a",
    "abbr",
    "acronym",
    "address",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
];

/// Whether it is one `div` of XHTML with nothing in it that acts.
///
/// # Errors
/// What it must be.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    const NOT_XML: &str = "must be well-formed XHTML";
    let mut reader = Reader::from_str(text);
    let mut depth = 0_usize;
    let mut has_ended = false;
    loop {
        match reader.read_event().map_err(|_| NOT_XML)? {
            Event::Start(start) => {
                check_element(&start, depth == 0)?;
                depth += 1;
                if has_ended {
                    return Err(NOT_XML);
                }
            }
            Event::Empty(start) => {
                check_element(&start, depth == 0)?;
                if depth == 0 {
                    return Err("must have content");
                }
            }
            Event::End(_) => {
                depth = depth.checked_sub(1).ok_or(NOT_XML)?;
                has_ended |= depth == 0;
            }
            Event::Text(text) => {
                if depth == 0 && !text.bytes().all(|byte| byte.is_ascii_whitespace()) {
                    return Err("must be one div");
                }
            }
            Event::GeneralRef(name) if !xml::is_known(&name) => return Err(UNKNOWN),
            Event::CData(_) | Event::Comment(_) | Event::GeneralRef(_) => {}
            Event::Decl(_) | Event::DocType(_) | Event::PI(_) => {
                return Err("must have no declarations and no processing instructions");
            }
            Event::Eof => break,
        }
    }
    if has_ended && depth == 0 { Ok(()) } else { Err(NOT_XML) }
}

fn check_element(start: &BytesStart<'_>, is_root: bool) -> Result<(), &'static str> {
    let name = start.name();
    if is_root && name.as_ref() != "div" {
        return Err("must be one div");
    }
    if !ELEMENTS.contains(&name.as_ref()) {
        return Err("must have only elements that format, link or show an image");
    }
    let mut has_namespace = false;
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| "must be well-formed XHTML")?;
        let key = attribute.key.as_ref();
        if key == "xmlns" {
            if attribute.value.as_ref() != NAMESPACE {
                return Err("must be of the namespace http://www.w3.org/1999/xhtml");
            }
            has_namespace = true;
        }
        let acts = key.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("on"));
        if !xml::has_known_references(&attribute.value) {
            return Err(UNKNOWN);
        }
        if acts || is_script(key, attribute.value.as_ref()) {
            return Err("must have no attributes that act");
        }
    }
    if is_root && !has_namespace {
        return Err("must be of the namespace http://www.w3.org/1999/xhtml");
    }
    Ok(())
}

/// Whether a link or image runs a script.
fn is_script(key: &str, value: &str) -> bool {
    let scheme = value.trim_start().split_once(':').map(|(scheme, _)| scheme);
    let acts = |scheme: &str| {
        ["javascript", "vbscript"].iter().any(|one| scheme.eq_ignore_ascii_case(one))
    };
    matches!(key, "href" | "src") && scheme.is_some_and(acts)
}
