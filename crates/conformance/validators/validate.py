"""Has validators of others look at all that the server said while it was tested.

Arguments: the folder of what was said (`<version>/<type>/<shape>.json` or `.xml`), the folder of HL7's files. Every
alarm must be in `false-alarms.toml`, where its reason is; what is there must still be raised. Before that, the
validators have to find errors that are planted in HL7's examples: one that finds nothing proves nothing.
"""

import fnmatch
import json
import os
import pathlib
import sys
import tempfile
import tomllib
from concurrent.futures import ProcessPoolExecutor

import planted
import xml_form
from definitions import Definitions
from judges import judges_of

HERE = pathlib.Path(__file__).parent
VERSIONS = ("R4", "R4B", "R5")
# What there has to be of each version, in both formats; without it the tests were not recorded.
TYPES = ("Bundle", "CapabilityStatement", "OperationOutcome", "Parameters", "Subscription")
NOTIFICATIONS = ("event-notification", "handshake", "heartbeat", "query-event", "query-status")
FORMATS = ("json", "xml")
# And these in JSON.
TOKEN = "answer of $get-ws-binding-token"
OTHERS = ("CompartmentDefinition", "OperationDefinition", "SearchParameter", TOKEN)


class FalseAlarms:
    """What is listed, and what of it was raised."""

    def __init__(self, path):
        self.entries = tomllib.loads(path.read_text(encoding="utf-8"))["alarm"]
        self.raised = set()
        for entry in self.entries:
            unknown = set(entry) - {"judge", "versions", "path", "text", "reason"}
            if unknown or not entry.get("reason"):
                raise SystemExit(f"{path}: {entry} has {unknown or 'no reason'}")

    def lists(self, version, judge, path, text):
        listed = False
        for number, entry in enumerate(self.entries):
            if (
                judge == entry["judge"]
                and version in entry["versions"]
                and fnmatch.fnmatchcase(path, entry.get("path", "*"))
                and fnmatch.fnmatchcase(text, entry.get("text", "*"))
            ):
                self.raised.add(number)
                listed = True
        return listed

    def stale(self):
        return [entry for number, entry in enumerate(self.entries) if number not in self.raised]


def judged(version, wire, shared):
    """All alarms of a version: what is wrong, and the files where it is."""
    definitions = Definitions(shared, version)
    judges = judges_of(definitions, shared)
    unseen = [*planted.missed(version, judges, shared), *planted.missed_xml(definitions)]
    problems = [f"{version}: {text}" for text in unseen]
    alarms, files = {}, sorted((wire / version.lower()).glob("*/*.*"))
    seen = set()
    for file in files:
        resource, found = read(file, definitions)
        seen |= {(what, file.suffix[1:]) for what in contents(resource)}
        for judge in judges:
            found |= {(judge.name, path, what) for path, what in judge.judge(resource)}
        for alarm in found:
            alarms.setdefault(alarm, []).append(file)
    in_both = [(name, ending) for name in TYPES + NOTIFICATIONS for ending in FORMATS]
    for wanted in in_both + [(name, "json") for name in OTHERS]:
        if wanted not in seen:
            problems.append(f"{version}: no {wanted[0]} in {wanted[1]} was recorded in {wire}")
    return len(files), alarms, problems


def read(file, definitions):
    """A resource, and what is wrong with its form."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".json":
        return json.loads(text), set()
    resource, found = xml_form.resource_of(definitions, text)
    return resource, {("xml-form", path, what) for path, what in found}


def contents(resource):
    """Its type, and those of notifications and statuses that are told in it."""
    yield resource["resourceType"]
    names = {parameter.get("name") for parameter in resource.get("parameter", [])}
    if resource["resourceType"] == "Parameters" and {"token", "websocket-url"} <= names:
        yield TOKEN
    for entry in resource.get("entry", []):
        told = entry.get("resource") or {}
        if told.get("resourceType") == "SubscriptionStatus":
            yield told.get("type")
        for parameter in told.get("parameter", []):
            if parameter.get("name") == "type":
                yield parameter.get("valueCode")


def main(wire, shared):
    listed = FalseAlarms(HERE / "false-alarms.toml")
    failed = False
    with ProcessPoolExecutor(max_workers=2) as pool:
        runs = [pool.submit(judged, version, wire, shared) for version in VERSIONS]
        for version, run in zip(VERSIONS, runs):
            count, alarms, problems = run.result()
            unlisted = [(alarm, files) for alarm, files in sorted(alarms.items()) if not listed.lists(version, *alarm)]
            print(f"{version}: {count} documents, {len(alarms)} alarms, {len(unlisted)} not listed")
            for (judge, path, what), files in unlisted:
                print(f"  {judge}: {path}: {what}\n    {len(files)} times, such as {files[0]}")
            for problem in problems:
                print(f"  {problem}")
            failed = failed or bool(unlisted or problems)
    for entry in listed.stale():
        print(f"false-alarms.toml lists what is no alarm any more: {entry}")
    return 1 if failed or listed.stale() else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["VALIDATORS_SCRATCH"] = scratch
        sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]))
