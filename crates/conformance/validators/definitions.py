"""HL7's definitions of one FHIR version, and the guide's: structures by their canonical, and the codes of
value sets that can be listed."""

import io
import json
import pathlib

import zstandard

CORE = "http://hl7.org/fhir/StructureDefinition/"
# Folder of the guide's artefacts by version; R5 needs none.
GUIDES = {"R4": "ig-1.1.0/r4", "R4B": "ig-1.1.0/r4b", "R5": None}


def unpacked(path):
    """A JSON file packed with zstd."""
    with open(path, "rb") as packed:
        reader = zstandard.ZstdDecompressor().stream_reader(packed)
        return json.load(io.TextIOWrapper(reader, encoding="utf-8"))


class Node:
    """An element of a snapshot, with its children and slices."""

    def __init__(self, element, structure):
        self.element = element
        self.structure = structure
        last = element["id"].split(".")[-1]
        self.name, _, self.slice = last.partition(":")
        self.children = []
        self.slices = []
        self.min = element.get("min", 0)
        self.max = float("inf") if element.get("max", "1") == "*" else int(element["max"])
        self.types = element.get("type", [])
        given = {key: value for key, value in element.items() if key.startswith(("fixed", "pattern"))}
        self.fixed = next((value for key, value in given.items() if key.startswith("fixed")), None)
        self.pattern = next((value for key, value in given.items() if key.startswith("pattern")), None)

    def child(self, name):
        return next((one for one in self.children if one.name in (name, f"{name}[x]")), None)

    def is_choice(self):
        return self.name.endswith("[x]")


class Structure:
    """A StructureDefinition as a tree."""

    def __init__(self, resource):
        self.url = resource["url"]
        self.type = resource["type"]
        self.kind = resource["kind"]
        self.nodes = {}
        for element in resource["snapshot"]["element"]:
            self.add(element)
        self.root = next(iter(self.nodes.values()))

    def add(self, element):
        node = Node(element, self)
        self.nodes[element["id"]] = node
        parent, _, _ = element["id"].rpartition(".")
        if not parent:
            return
        parent = self.nodes[parent]
        if node.slice:
            parent.child(node.name.removesuffix("[x]")).slices.append(node)
        else:
            parent.children.append(node)


class Definitions:
    """All of one version."""

    def __init__(self, shared, version):
        self.version = version
        self.resources = []
        folder = pathlib.Path(shared) / "definitions" / version
        for name in ("profiles-types", "profiles-resources", "valuesets"):
            bundle = unpacked(folder / f"{name}.json.zst")
            self.resources += [entry["resource"] for entry in bundle["entry"]]
        guide = GUIDES[version]
        if guide:
            for path in sorted((pathlib.Path(shared) / guide).glob("*.json")):
                self.resources.append(json.loads(path.read_text(encoding="utf-8")))
        by_url = {}
        for resource in self.resources:
            if "url" in resource:
                by_url.setdefault((resource["resourceType"], resource["url"]), resource)
        self.by_url = by_url
        self.structures = {}
        self.codes = {}

    def structure(self, url):
        """The structure of this canonical, if it is known and has a snapshot."""
        url = url.split("|")[0]
        if url not in self.structures:
            resource = self.by_url.get(("StructureDefinition", url))
            known = resource is not None and "snapshot" in resource
            self.structures[url] = Structure(resource) if known else None
        return self.structures[url]

    def type(self, name):
        """The structure of a type of FHIR."""
        return self.structure(CORE + name)

    def value_set(self, url):
        """All (system, code) of a value set, or none if they cannot be listed here."""
        url = url.split("|")[0]
        if url not in self.codes:
            resource = self.by_url.get(("ValueSet", url))
            self.codes[url] = self.listed(resource) if resource else None
        return self.codes[url]

    def listed(self, value_set):
        compose = value_set.get("compose", {})
        if compose.get("exclude") or not compose.get("include"):
            return None
        found = set()
        for include in compose["include"]:
            part = self.included(include)
            if part is None:
                return None
            found |= part
        return found

    def included(self, include):
        if include.get("filter"):
            return None
        if "valueSet" in include:
            sets = [self.value_set(url) for url in include["valueSet"]]
            return None if "system" in include or None in sets else set.union(*sets)
        system = include["system"]
        if "concept" in include:
            return {(system, concept["code"]) for concept in include["concept"]}
        resource = self.by_url.get(("CodeSystem", system))
        if resource is None or resource.get("content") != "complete":
            return None
        return {(system, code) for code in codes_of(resource.get("concept", []))}


def codes_of(concepts):
    for concept in concepts:
        yield concept["code"]
        yield from codes_of(concept.get("concept", []))
