"""What Schemathesis is told of FHIR that OpenAPI has no words for."""

import json
import random

import schemathesis

# The test creates resources under it; others are mostly not there.
KNOWN = "a"
# One of them is of this type, and belongs to compartments.
KNOWN_TYPE = "Observation"
PREFIX = "#/components/schemas/"


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Data types may be in one another without end. In requests they have nothing but primitives in them; answers are
    looked at as described."""
    components = raw_schema["components"]
    answered = {f"answered-{name}": as_answered(one) for name, one in components["schemas"].items()}
    components["responses"] = as_answered(components["responses"])
    cut(components["schemas"])
    components["schemas"].update(answered)


def as_answered(value):
    return json.loads(json.dumps(value).replace(f'"{PREFIX}', f'"{PREFIX}answered-'))


def cut(schemas):
    is_object = {name: schema.get("type") == "object" for name, schema in schemas.items()}
    for name, schema in schemas.items():
        members = schema.get("properties", {})
        is_data_type = is_object[name] and "." not in name and "resourceType" not in members
        for member, one in list(members.items()):
            of = one.get("items", one).get("$ref", "").removeprefix(PREFIX)
            is_itself = "." in of and name.startswith(of)
            if is_itself or (is_data_type and is_object.get(of)):
                del members[member]


def chosen(value):
    """The same choice for the same request, so that runs repeat."""
    return random.Random(repr(value)).random()


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and "id" in path_parameters and chosen(path_parameters) < 0.5:
        path_parameters["id"] = KNOWN
        if "type" in path_parameters:
            path_parameters["type"] = KNOWN_TYPE
    return path_parameters


@schemathesis.hook
def map_body(context, body):
    """Half of the bodies without what stands beside primitives and in extensions, which nearly always is wrong."""
    return plain(body) if chosen(body) < 0.5 else body


def plain(value):
    if isinstance(value, list):
        return [plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    beside = [name for name in value if name.startswith("_") or name in ("extension", "modifierExtension", "contained")]
    return {name: plain(one) for name, one in value.items() if name not in beside}
