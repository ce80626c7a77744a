"""The models of fhir.resources, as they come: all that the server says is read, and what they write
is taken by it.

Arguments: URL of the base, the version ("R4B" or "R5"), a file with one resource as JSON per line.
Prints how many were read.
"""

import importlib
import json
import sys
import urllib.request

url, version, path = sys.argv[1:]
package = "fhir.resources" if version == "R5" else f"fhir.resources.{version}"


def model(resource_type):
    module = importlib.import_module(f"{package}.{resource_type.lower()}")
    return getattr(module, resource_type)


def read(resource):
    """Every resource, those within Bundles too: a Bundle's entry is not always checked by its type."""
    parsed = model(resource["resourceType"]).model_validate(resource)
    for entry in resource.get("entry", []):
        if "resource" in entry:
            read(entry["resource"])
    return parsed


def send(method, path, body=None):
    headers = {"Accept": "application/fhir+json", "Content-Type": "application/fhir+json"}
    data = None if body is None else body.encode()
    request = urllib.request.Request(f"{url}/{path}", data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


count = 0
with open(path, encoding="utf-8") as lines:
    for line in lines:
        resource = json.loads(line)
        parsed = read(resource)
        count += 1
        if resource["resourceType"] in ("Patient", "Subscription", "SubscriptionTopic"):
            # Their own output goes in, and what comes back is read again.
            written = parsed.model_dump_json(exclude_none=True)
            read(send("PUT", f"{resource['resourceType']}/{resource['id']}", written))
print(count)
