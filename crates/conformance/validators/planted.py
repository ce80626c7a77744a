"""Errors that are planted, most in HL7's own examples, and who has to find each."""

import copy
import json
import pathlib

import xml_form

GUIDE_R4 = "ig-1.1.0/r4/Bundle-r4-notification-id-only.json"
GUIDE_R4B = "ig-1.1.0/r4b/Bundle-r4b-notification-id-only.json"
SUBSCRIPTION = "ig-1.1.0/{}/Subscription-subscription-admission.json"
R5 = "examples/R5/Subscription/subscription-admission.json"
GONE = "nothing at all"

# Version, example, where, what is put there, and who has to raise an alarm.
PLANTED = [
    ("R4", GUIDE_R4, ("type",), "nothing", ("json-schema", "pyrofile", "snapshots")),
    ("R4", GUIDE_R4, ("timestamp",), "yesterday", ("json-schema", "pyrofile", "snapshots")),
    ("R4", GUIDE_R4, ("entry", 0, "request", "verb"), "GET", ("json-schema", "pyrofile", "snapshots")),
    ("R4", GUIDE_R4, ("entry", 0, "request"), GONE, ("pyrofile", "snapshots")),
    ("R4", GUIDE_R4, ("type",), "collection", ("snapshots",)),
    ("R4", GUIDE_R4, ("entry", 0, "resource", "parameter", 0, "name"), "subscriber", ("snapshots",)),
    ("R4", GUIDE_R4, ("entry", 0, "resource", "parameter", 2, "valueCode"), "asleep", ("snapshots",)),
    ("R4", SUBSCRIPTION.format("r4"), ("channel", "_payload"), GONE, ("snapshots",)),
    ("R4B", GUIDE_R4B, ("type",), "nothing", ("snapshots",)),
    ("R4B", GUIDE_R4B, ("entry", 0, "resource", "type"), GONE, ("fhir.resources", "snapshots")),
    ("R4B", GUIDE_R4B, ("entry", 0, "resource", "status"), "asleep", ("snapshots",)),
    ("R4B", GUIDE_R4B, ("entry", 0, "resource", "extra"), "x", ("fhir.resources", "json-schema", "snapshots")),
    ("R4B", SUBSCRIPTION.format("r4b"), ("channel", "_payload"), GONE, ("snapshots",)),
    ("R5", R5, ("status",), "asleep", ("snapshots",)),
    ("R5", R5, ("topic",), GONE, ("fhir.resources", "snapshots")),
    ("R5", R5, ("extra",), "x", ("fhir.resources", "json-schema", "snapshots")),
    ("R5", R5, ("timeout",), -1, ("fhir.resources", "snapshots")),
]

# XML in which nothing is wrong in any version; what of it is replaced, and by what.
XML = (
    '<Patient xmlns="http://hl7.org/fhir"><id value="p"/><text><status value="generated"/>'
    '<div xmlns="http://www.w3.org/1999/xhtml"><p title="t">Text</p></div></text>'
    '<extension url="http://x.test/e"><valueCode value="c"/></extension>'
    '<name id="n"><family value="F"/><given value="G"/></name><birthDate id="b" value="1970-01-01"/></Patient>'
)
PLANTED_XML = [
    ("<family", '<extra value="x"/><family'),
    ('<family value="F"/><given value="G"/>', '<given value="G"/><family value="F"/>'),
    ('<name id="n">', '<name id="n" value="x">'),
    ('<name id="n">', '<name id="n" url="http://x.test">'),
    (' id="b" value="1970-01-01"', ""),
    ("<given", "words<given"),
    ("</name>", "words</name>"),
    (' url="http://x.test/e">', '><url value="http://x.test/e"/>'),
]


def missed_xml(definitions):
    """What `xml-form` should have found, and has not; or has found where nothing is."""
    for found in xml_form.resource_of(definitions, XML)[1]:
        yield f"xml-form finds {found} where nothing is wrong"
    for old, new in PLANTED_XML:
        changed = XML.replace(old, new, 1)
        if changed == XML or not xml_form.resource_of(definitions, changed)[1]:
            yield f"xml-form does not see {new!r} for {old!r}"


def missed(version, judges, shared):
    """What a judge should have found, and has not."""
    for of, example, place, value, finders in PLANTED:
        if of != version:
            continue
        resource = read(shared, example)
        changed = copy.deepcopy(resource)
        plant(changed, place, value)
        for judge in judges:
            found = set(judge.judge(changed)) - set(judge.judge(resource))
            if judge.name in finders and not found:
                yield f"{judge.name} does not see {value!r} at {place} in {example}"


def read(shared, example):
    return json.loads((pathlib.Path(shared) / example).read_text(encoding="utf-8"))


def plant(resource, place, value):
    *parents, last = place
    for part in parents:
        resource = resource[part]
    if value is GONE:
        del resource[last]
    else:
        resource[last] = value
