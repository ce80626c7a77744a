"""Makes JSON of a resource in XML by the definitions of its version, and tells what is wrong with the XML: elements
and attributes that are not defined, elements that are not in their order or empty, and text."""

import xml.etree.ElementTree as ElementTree

FHIR = "{http://hl7.org/fhir}"
XHTML = "{http://www.w3.org/1999/xhtml}"
READ = {"boolean": lambda text: {"true": True, "false": False}.get(text, text)}
WHOLE = ("integer", "positiveInt", "unsignedInt")
SYSTEM = "http://hl7.org/fhirpath/System."


def resource_of(definitions, text):
    """The resource as JSON, and what is wrong with its form."""
    form = Form(definitions)
    return form.resource(ElementTree.fromstring(text)), form.found


class Form:
    def __init__(self, definitions):
        self.definitions = definitions
        self.found = set()

    def resource(self, element):
        name = element.tag.removeprefix(FHIR)
        structure = self.definitions.type(name)
        if structure is None:
            self.found.add((name, "is no resource of this version"))
            return {"resourceType": name}
        return {"resourceType": name, **self.members(element, structure.root, name)}

    def members(self, element, node, path):
        """The members of an element that is defined by the children of a node."""
        members, last = {}, -1
        attributes = {child.name for child in node.children if is_attribute(child)}
        for attribute, value in element.attrib.items():
            if attribute not in attributes:
                self.found.add((f"{path}.{attribute}", "is no attribute"))
            elif attribute != "value":
                members[attribute] = value
        if any((text or "").strip() for text in (element.text, *(child.tail for child in element))):
            self.found.add((path, "has text"))
        for child in element:
            name = child.tag.removeprefix(FHIR)
            at, defined, type_code = self.defined(node, name, child.tag)
            if defined is None:
                self.found.add((f"{path}.{name}", "is not defined"))
                continue
            if at < last:
                self.found.add((f"{path}.{name}", "is not in its order"))
            last = at
            value, beside = self.value(child, defined, type_code, f"{path}.{name}")
            put(members, name.removeprefix(XHTML), value, beside, defined.element.get("max") != "1")
        return members

    def defined(self, node, name, tag):
        """The place, node and type of a child; XHTML has a namespace of its own."""
        for at, child in enumerate(node.children):
            if is_attribute(child):
                continue
            start = child.name.removesuffix("[x]")
            codes = [one["code"] for one in child.types] or [None]
            for code in codes:
                named = start + code[0].upper() + code[1:] if child.is_choice() else start
                if named == name or (code == "xhtml" and tag == XHTML + start):
                    return at, child, code
        return -1, None, None

    def value(self, element, node, type_code, path):
        """A value, and what stands beside it."""
        if not element.attrib and len(element) == 0 and type_code != "xhtml":
            self.found.add((path, "is empty"))
        reference = node.element.get("contentReference")
        if reference:
            return self.members(element, node.structure.nodes[reference.rpartition("#")[2]], path), None
        if type_code == "xhtml":
            return ElementTree.tostring(element, encoding="unicode"), None
        if type_code.startswith(SYSTEM):
            return element.attrib.get("value"), None
        structure = self.definitions.type(type_code)
        if structure.kind == "resource":
            if len(element) != 1:
                self.found.add((path, "is not one resource"))
                return None, None
            return self.resource(element[0]), None
        within = node if node.children else structure.root
        members = self.members(element, within, path)
        if structure.kind != "primitive-type":
            return members, None
        text = element.attrib.get("value")
        return (None if text is None else scalar(type_code, text)), members or None


def is_attribute(node):
    return "xmlAttr" in node.element.get("representation", [])


def scalar(type_code, text):
    try:
        if type_code in WHOLE:
            return int(text)
        if type_code == "decimal":
            return float(text)
    except ValueError:
        return text
    return READ.get(type_code, lambda one: one)(text)


def put(members, name, value, beside, is_list):
    """A member, and one beside it with the same places."""
    if not is_list:
        members.update({key: one for key, one in ((name, value), (f"_{name}", beside)) if one is not None})
        return
    values = members.setdefault(name, [])
    values.append(value)
    if beside is not None or f"_{name}" in members:
        others = members.setdefault(f"_{name}", [])
        others += [None] * (len(values) - 1 - len(others)) + [beside]
