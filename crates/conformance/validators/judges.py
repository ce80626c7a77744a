"""Those who judge documents: each gives what is wrong as (path, text)."""

import contextlib
import importlib
import json
import os
import re

import jsonschema_rs
from pydantic import ValidationError
from pyrofile_validator.config import TerminologyConfig, ValidatorConfig
from pyrofile_validator.core.engine import Validator

from definitions import unpacked
from snapshots import Snapshots

# What pyrofile sees of a list: its time grows with the square of what there is. The other judges see all.
LIST_MAX = 8
GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"


def resources(value, path=None):
    """A resource and all within it, with their paths."""
    if isinstance(value, dict):
        if isinstance(value.get("resourceType"), str) and (path is None or path.endswith(("resource", "contained", "outcome"))):
            path = path or value["resourceType"]
            yield path, value
        for name, one in value.items():
            yield from resources(one, f"{path}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from resources(one, path)


class JsonSchema:
    """HL7's JSON Schema of the version."""

    name = "json-schema"

    def __init__(self, definitions, shared):
        schema = unpacked(f"{shared}/definitions/{definitions.version}/fhir.schema.json.zst")
        # The expression for decimals in R5 has a brace too many and is none.
        schema = json.loads(json.dumps(schema).replace("{1,9}})?", "{1,9})?"))
        self.schema = {"$schema": schema["$schema"], "definitions": schema["definitions"]}
        # One of all types: what is within is judged by itself, for its own type.
        self.schema["definitions"]["ResourceList"] = True
        self.compiled = {}

    def judge(self, resource):
        for path, one in resources(resource):
            for error in self.of_type(one["resourceType"]).iter_errors(one):
                names = [str(name) for name in error.instance_path if not isinstance(name, int)]
                yield ".".join([path, *names]), one_line(error.message)

    def of_type(self, name):
        if name not in self.compiled:
            schema = {**self.schema, "$ref": f"#/definitions/{name}"}
            self.compiled[name] = jsonschema_rs.validator_for(schema)
        return self.compiled[name]


class FhirResources:
    """The models of fhir.resources, for R4B and R5."""

    name = "fhir.resources"

    def __init__(self, definitions, _shared):
        self.package = "fhir.resources" + ("" if definitions.version == "R5" else ".R4B")

    def judge(self, resource):
        # A Bundle's entries are not always read by their type.
        for path, one in resources(resource):
            name = one["resourceType"]
            try:
                module = importlib.import_module(f"{self.package}.{name.lower()}")
                getattr(module, name).model_validate(one)
            except ModuleNotFoundError:
                yield path, "is no resource of this version"
            except ValidationError as errors:
                for error in errors.errors():
                    names = [str(part) for part in error["loc"] if not isinstance(part, int)]
                    yield ".".join([path, *names]), one_line(error["msg"])


class Pyrofile:
    """pyrofile-validator, for R4, with HL7's definitions and the guide's."""

    name = "pyrofile"

    def __init__(self, definitions, _shared):
        folder = f"{os.environ['VALIDATORS_SCRATCH']}/{definitions.version}"
        os.makedirs(folder, exist_ok=True)
        for number, resource in enumerate(definitions.resources):
            with open(f"{folder}/{number}.json", "w", encoding="utf-8") as file:
                json.dump(resource, file)
        config = ValidatorConfig(
            local_package_paths=[folder],
            terminology=TerminologyConfig(mode="local"),
            # HL7's definitions at hand have hardly any extensions.
            allow_unknown_extensions=True,
            # A rule of its own, not of FHIR.
            custom_rules={"encounterRequiresPatient": False},
        )
        self.validator = Validator(config)

    def judge(self, resource):
        # What `trace()` in an invariant tells is printed.
        with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
            issues = self.validator.validate_resource(shortened(resource)).issues
        for issue in issues:
            if issue.severity.value == "error":
                yield re.sub(r"\[\d+\]", "", issue.path or ""), f"{issue.code}: {one_line(issue.message)}"


def shortened(value):
    """A resource with the first elements of its lists."""
    if isinstance(value, list):
        return [shortened(one) for one in value[:LIST_MAX]]
    return {name: shortened(one) for name, one in value.items()} if isinstance(value, dict) else value


class OwnSnapshots:
    """Snapshots of StructureDefinitions, those of the guide's profiles too."""

    name = "snapshots"

    def __init__(self, definitions, _shared):
        self.snapshots = Snapshots(definitions)

    def judge(self, resource):
        # No Subscription has to claim the guide's profile; those that have anything of it must fit.
        is_guided = resource.get("resourceType") == "Subscription" and GUIDE in json.dumps(resource)
        return self.snapshots.check(resource, [f"{GUIDE}backport-subscription"] if is_guided else [])


def one_line(text):
    """A message without what differs from run to run, and not longer than a line."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|127\.0\.0\.1:\d+", "…", " ".join(text.split()))
    return text if len(text) <= 200 else text[:199] + "…"


def judges_of(definitions, shared):
    others = [Pyrofile] if definitions.version == "R4" else [FhirResources]
    return [one(definitions, shared) for one in (JsonSchema, *others, OwnSnapshots)]
