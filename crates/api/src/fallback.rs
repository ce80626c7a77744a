//! Paths and methods that lead nowhere, told in FHIR's form.

use axum::http::{Method, Uri};
use cresset_model::IssueCode;
use cresset_node::{Error, Kind};

use crate::outcome::Refusal;

/// No such path.
pub(crate) async fn unknown_path() -> Refusal {
    let text = "there is nothing at this path; see /r4/metadata, /r4b/metadata or /r5/metadata";
    Refusal(Error::of(Kind::NotFound, IssueCode::UnknownPath, text))
}

/// The path exists, the method does not.
pub(crate) async fn unknown_method(method: Method, _: Uri) -> Refusal {
    let text = format!("{method} is not supported here");
    Refusal(Error::of(Kind::MethodNotAllowed, IssueCode::MethodNotAllowed, text))
}
