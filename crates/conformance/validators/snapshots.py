"""Checks resources against snapshots of StructureDefinitions, whatever they define: elements, cardinalities,
slices, types, fixed values and patterns, required bindings, invariants, and profiles of what is within.

Not checked: bindings whose codes cannot be listed from the definitions at hand, profiles and extensions that are
not among them, targets of references, and reslicing.
"""

import re

import fhirpathpy
from fhirpathpy.models import models

from definitions import CORE

SYSTEM = "http://hl7.org/fhirpath/System."
REGEX = "http://hl7.org/fhir/StructureDefinition/regex"
NUMBERS = {"decimal", "integer", "positiveInt", "unsignedInt"}
# `ele-1` is every element's, and looked at here without an expression; the others ask for `htmlChecks()`, which the
# evaluator does not have.
NOT_EVALUATED = {"ele-1", "txt-1", "txt-2"}
OPTIONS = {
    # What `trace()` tells goes nowhere.
    "traceFn": lambda *_: None,
    "userInvocationTable": {
        "hasValue": {"fn": lambda found: len(found) == 1 and not isinstance(data_of(found[0]), dict), "arity": {0: []}},
    },
}


class Item:
    """One occurrence of an element: a value, and what stands beside a primitive."""

    def __init__(self, value, beside, type_code, path):
        self.value = value
        self.beside = beside
        self.type = type_code
        self.path = path


class Snapshots:
    """A checker for one version."""

    def __init__(self, definitions):
        self.definitions = definitions
        self.model = models["r5" if definitions.version == "R5" else "r4"]
        self.compiled = {}

    def check(self, resource, profiles=()):
        """What is wrong with a resource, by the definition of its type, the profiles that it claims, and these."""
        check = Check(self, resource)
        check.resource(resource, resource.get("resourceType", "?"), profiles)
        return check.found

    def holds(self, expression, value, base, root):
        """Whether an invariant holds; an error of the evaluator is for the caller. `root` is the resource that the
        value is in, and what contains that one."""
        if expression not in self.compiled:
            self.compiled[expression] = fhirpathpy.parse(expression)
        node = fhirpathpy.ResourceNode.create_node(value, base)
        context = {"resource": root[0], "rootResource": root[1]}
        parsed = self.compiled[expression]
        return fhirpathpy.apply_parsed_path(node, parsed, context, self.model, OPTIONS) in ([True], [])


class Check:
    """The check of one resource."""

    def __init__(self, snapshots, root):
        self.snapshots = snapshots
        self.definitions = snapshots.definitions
        self.root = (root, root)
        self.found = set()

    def wrong(self, path, text):
        # Whichever of several it is: what is wrong is the same.
        self.found.add((re.sub(r"\[\d+\]", "", path), text))

    def resource(self, resource, path, profiles=()):
        structure = self.definitions.type(resource.get("resourceType", ""))
        if structure is None or structure.kind != "resource":
            self.wrong(path, "is no resource of this version")
            return
        claimed = resource.get("meta", {}).get("profile", [])
        outer = self.root
        self.root = (resource, outer[1] if path.split(".")[-1].startswith("contained") else resource)
        known = [self.definitions.structure(url) for url in dict.fromkeys([*claimed, *profiles])]
        for one in dict.fromkeys([structure, *filter(None, known)]):
            if one.type != structure.type:
                self.wrong(path, f"{one.url} is no profile of its type")
                continue
            item = Item(resource, None, structure.type, path)
            self.content(item, one.root)
            self.invariants(item, one.root)
        self.root = outer

    def content(self, item, node):
        """The members of an object against the children of a node."""
        if not isinstance(item.value, dict):
            self.wrong(item.path, "must be an object")
            return
        if not item.value:
            self.wrong(item.path, "is empty")
        members = {name for name in item.value if name != "resourceType" or node.structure.kind != "resource" or node is not node.structure.root}
        for child in node.children:
            items, used = self.items(item, child)
            members -= used
            self.element(items, child, f"{item.path}.{child.name}")
        for name in sorted(members):
            self.wrong(f"{item.path}.{name}", "is not defined")

    def items(self, item, child):
        """The occurrences of a child, and the members that hold them."""
        names = {child.name: child.types[0]["code"] if child.types else None}
        if child.is_choice():
            start = child.name.removesuffix("[x]")
            codes = [one["code"] for one in child.types]
            names = {start + code[0].upper() + code[1:]: code for code in codes}
        items, used = [], set()
        for name, code in names.items():
            value, beside = item.value.get(name), item.value.get(f"_{name}")
            if value is None and beside is None:
                continue
            used |= {name, f"_{name}"}
            is_list = child.element.get("base", {}).get("max", child.element.get("max")) not in ("0", "1")
            path = f"{item.path}.{name}"
            if is_list != isinstance(beside if value is None else value, list):
                self.wrong(path, "must be an array" if is_list else "must not be an array")
                continue
            if not is_list:
                items.append(Item(value, beside, code, path))
                continue
            if value == [] or beside == []:
                self.wrong(path, "is empty")
            count = max(len(value or []), len(beside or []))
            padded = [list(one or []) + [None] * (count - len(one or [])) for one in (value, beside)]
            for index, (one, other) in enumerate(zip(*padded)):
                items.append(Item(one, other, code, f"{path}[{index}]"))
        return items, used

    def element(self, items, node, path):
        """All occurrences of an element under one parent."""
        self.count(items, node, path)
        rest = list(items)
        for slice_node in node.slices:
            discriminators = node.element["slicing"].get("discriminator", [])
            matching = [one for one in rest if self.matches(one, slice_node, discriminators)]
            rest = [one for one in rest if one not in matching]
            self.count(matching, slice_node, f"{path}:{slice_node.slice}")
            for one in matching:
                self.one(one, slice_node)
        if node.slices and rest and node.element["slicing"].get("rules") == "closed":
            self.wrong(path, "is of no slice")
        for one in rest:
            self.one(one, node)

    def count(self, items, node, path):
        if len(items) < node.min:
            self.wrong(path, f"is there {len(items)} times, must be at least {node.min}")
        if len(items) > node.max:
            self.wrong(path, f"is there {len(items)} times, may be at most {node.max}")

    def matches(self, item, slice_node, discriminators):
        return all(self.discriminated(item, slice_node, one) for one in discriminators)

    def discriminated(self, item, slice_node, discriminator):
        kind, path = discriminator["type"], discriminator["path"]
        node, values = slice_node, [item.value]
        for name in [] if path == "$this" else path.split("."):
            values = [one[name] for one in values if isinstance(one, dict) and name in one]
            node = self.child_of(node, name)
        if kind == "type" and node is not None:
            types = {one.get("resourceType", item.type) for one in values if isinstance(one, dict)}
            return bool(types & {one["code"] for one in node.types})
        if kind in ("value", "pattern") and node is not None:
            wanted = node.fixed if node.fixed is not None else node.pattern
            return any(includes(one, wanted) for one in values)
        if kind == "exists" and node is not None:
            return bool(values) == (node.min > 0)
        raise NotImplementedError(f"discriminator {kind} {path} of {slice_node.element['id']}")

    def child_of(self, node, name):
        """A child of a node where it is: its own, or that of the profile of its type."""
        own = node.child(name)
        if own is not None or not node.types:
            return own
        for url in node.types[0].get("profile", []):
            structure = self.definitions.structure(url)
            if structure is not None:
                return structure.root.child(name)
        structure = self.definitions.type(node.types[0]["code"])
        return structure and structure.root.child(name)

    def one(self, item, node):
        """One occurrence."""
        if node.fixed is not None and item.value != node.fixed:
            self.wrong(item.path, f"must be {node.fixed}")
        if node.pattern is not None and not includes(item.value, node.pattern):
            self.wrong(item.path, f"must match {node.pattern}")
        reference = node.element.get("contentReference")
        if reference:
            target = node.structure.nodes[reference.rpartition("#")[2]]
            # What is sliced where it is defined is sliced there only.
            self.content(item, target)
            return self.invariants(item, node)
        # One that is defined by reference has its type where it is a slice.
        item.type = item.type or node.types[0]["code"]
        type_ref = next((one for one in node.types if one["code"] == item.type), node.types[0])
        if item.type.startswith(SYSTEM):
            if not isinstance(item.value, str):
                self.wrong(item.path, "must be a text")
            return None
        structure = self.definitions.type(item.type)
        if structure.kind == "resource":
            return self.within(item, type_ref.get("profile", []))
        if structure.kind == "primitive-type":
            self.primitive(item, node, structure)
        elif node.children:
            self.content(item, node)
        else:
            self.typed(item, type_ref, structure)
        self.binding(item, node)
        return self.invariants(item, node)

    def within(self, item, profiles):
        """A resource in a resource."""
        resource = item.value
        if not isinstance(resource, dict):
            self.wrong(item.path, "must be an object")
        elif item.type not in ("Resource", "DomainResource", resource.get("resourceType")):
            self.wrong(item.path, f"must be {item.type}")
        else:
            self.resource(resource, item.path, profiles)

    def typed(self, item, type_ref, structure):
        """An occurrence of a data type, and of the profiles of it that apply."""
        urls = list(type_ref.get("profile", []))
        if item.type == "Extension" and isinstance(item.value, dict):
            urls.append(item.value.get("url", ""))
        profiles = [one for one in map(self.definitions.structure, dict.fromkeys(urls)) if one is not None]
        for one in profiles or [structure]:
            if one.type != item.type:
                self.wrong(item.path, f"is no place for {one.url}")
                continue
            self.content(item, one.root)
            self.invariants(item, one.root)

    def primitive(self, item, node, structure):
        if item.beside is not None:
            self.content(Item(item.beside, None, item.type, item.path), node if node.children else structure.root)
        else:
            for child in node.children:
                self.count([], child, f"{item.path}.{child.name}")
        if item.value is None:
            if item.beside is None:
                self.wrong(item.path, "is null without anything beside it")
            return
        wanted = bool if structure.type == "boolean" else (int, float) if structure.type in NUMBERS else str
        if not isinstance(item.value, wanted) or (wanted != bool and isinstance(item.value, bool)):
            self.wrong(item.path, f"is no {structure.type} in JSON")
            return
        text = str(item.value).lower() if wanted is not str else item.value
        expression = regex_of(structure)
        if text == "" or (expression and not re.fullmatch(expression, text)):
            self.wrong(item.path, f"is no {structure.type}")

    def binding(self, item, node):
        binding = node.element.get("binding", {})
        if binding.get("strength") != "required" or "valueSet" not in binding or item.value is None:
            return
        codes = self.definitions.value_set(binding["valueSet"])
        if codes is None:
            return
        if isinstance(item.value, str):
            given = [(None, item.value)]
        else:
            given = [(one.get("system"), one.get("code")) for one in item.value.get("coding", [item.value])]
        if not any((system, code) in codes or (system is None and code in {one for _, one in codes}) for system, code in given):
            self.wrong(item.path, f"has no code of {binding['valueSet']}")

    def invariants(self, item, node):
        structure = self.definitions.type(item.type or "")
        is_type = structure is not None and structure.kind == "complex-type" and not node.children
        base = item.type if is_type else node.element.get("base", node.element)["path"]
        for constraint in node.element.get("constraint", []):
            key, expression = constraint["key"], constraint.get("expression")
            if key in NOT_EVALUATED or constraint["severity"] != "error" or not expression or item.value is None:
                continue
            try:
                holds = self.snapshots.holds(expression, item.value, base, self.root)
            except Exception as error:  # Whatever the evaluator raises, it has not said that it holds.
                self.wrong(item.path, f"{key} cannot be evaluated: {str(error)[:80]}")
                continue
            if not holds:
                self.wrong(item.path, f"breaks {key}: {constraint['human']}")


def includes(value, pattern):
    """Whether a value has all of a pattern."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(includes(value.get(key), one) for key, one in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(includes(one, wanted) for one in value) for wanted in pattern)
    return value == pattern


def data_of(found):
    return getattr(found, "data", found)


def regex_of(structure):
    value = structure.root.child("value")
    extensions = value.types[0].get("extension", []) if value else []
    return next((one["valueString"] for one in extensions if one["url"] == REGEX), None)
