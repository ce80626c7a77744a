//! `$validate`: whether a resource could be written.

use axum::body::{Body, Bytes};
use axum::response::Response;
use cresset_definitions::{Definitions, FhirVersion};
use cresset_fhir::json;
use cresset_model::IssueCode;
use cresset_node::{Error, Kind, ValidationInput, ValidationMode};
use serde_json::Value;

use crate::context::{Answer, Context, Request};
use crate::{negotiate, respond};

/// `POST [base]/[type]/$validate` and `POST [base]/[type]/[id]/$validate`
pub(crate) async fn validate(
    context: &Context,
    version: FhirVersion,
    target: (&str, Option<&str>),
    (request, body): (&Request, Body),
) -> Answer<Response> {
    let caller = request.caller(context, version)?;
    if !Definitions::of(version).is_resource(target.0) {
        return Err(crate::resources::unknown_operation(version, "$validate"));
    }
    let bytes = crate::context::read_body(context, &request.headers, body).await?;
    let mut input = ValidationInput { resource: None, mode: None, has_profile: false };
    for (name, value) in request.parameters() {
        take(&mut input, &name, &value)?;
    }
    if !bytes.iter().all(u8::is_ascii_whitespace) {
        negotiate::check_content_type(version, &request.headers)?;
        read_input(&mut input, target.0, bytes)?;
    }
    let answer = context.node.validate(&caller, version, target, input).await?;
    Ok(respond::json(version, answer))
}

/// The body: Parameters with the resource in it, or the resource itself.
fn read_input(input: &mut ValidationInput, wanted: &str, bytes: Bytes) -> Result<(), Error> {
    let call = json::parse(&bytes).ok().filter(|value| is_call(value, wanted));
    let Some(mut call) = call else {
        input.resource = Some(bytes);
        return Ok(());
    };
    let parameters = call["parameter"].as_array_mut().map(std::mem::take).unwrap_or_default();
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap_or_default();
        match parameter.get("resource") {
            Some(resource) if name == "resource" => {
                input.resource = Some(Bytes::from(resource.to_string()));
            }
            Some(_) => return Err(unknown(name)),
            None => {
                let members = parameter.as_object().into_iter().flatten();
                let mut values = members.filter(|(name, _)| name.starts_with("value"));
                let text = values.find_map(|(_, value)| value.as_str()).unwrap_or_default();
                take(input, name, text)?;
            }
        }
    }
    Ok(())
}

/// Whether it is the input of the operation and not itself what is to be validated.
fn is_call(value: &Value, wanted: &str) -> bool {
    let named = |one: &Value| one["name"] == "resource" && one["resource"].is_object();
    let parameters = value["parameter"].as_array();
    value["resourceType"] == "Parameters"
        && (wanted != "Parameters" || parameters.is_some_and(|all| all.iter().any(named)))
}

fn take(input: &mut ValidationInput, name: &str, value: &str) -> Result<(), Error> {
    match name {
        "mode" => match ValidationMode::from_code(value) {
            Some(mode) => input.mode = Some(mode),
            None => {
                let text = "`mode` must be create, update, delete or profile";
                return Err(Error::of(Kind::Malformed, IssueCode::InvalidParameter, text));
            }
        },
        "profile" => input.has_profile = true,
        // Who asks for the usage only adds to what a profile says.
        "usageContext" | "_format" | "_pretty" => {}
        _ => return Err(unknown(name)),
    }
    Ok(())
}

fn unknown(name: &str) -> Error {
    let name: String = name.chars().take(64).collect();
    let text = format!("`{name}` is no parameter of $validate, or has no such value");
    Error::of(Kind::Malformed, IssueCode::InvalidParameter, text)
}
