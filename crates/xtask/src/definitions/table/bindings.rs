//! Value sets of required bindings, as far as they can be listed and are small.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{list, strings};

/// Larger sets are left out: a server that checks them needs a terminology server's means.
const CODES_MAX: usize = 500;

/// How deep value sets may include each other.
const DEPTH_MAX: usize = 8;

/// Codes by system.
type Codes = BTreeMap<String, BTreeSet<String>>;

/// All value sets and code systems of a package, by canonical URL.
pub(super) struct Terminology {
    pub(super) value_sets: BTreeMap<String, Value>,
    pub(super) code_systems: BTreeMap<String, Value>,
}

/// The sets that elements are bound to.
pub(super) struct Bindings<'t> {
    terminology: &'t Terminology,
    /// By name; none where a set cannot be listed.
    used: BTreeMap<String, Option<Codes>>,
    urls: BTreeMap<String, String>,
}

impl<'t> Bindings<'t> {
    pub(super) fn new(terminology: &'t Terminology) -> Self {
        Self { terminology, used: BTreeMap::new(), urls: BTreeMap::new() }
    }

    /// The name of the set that an element is bound to, if every code must be of it.
    pub(super) fn of(&mut self, element: &Value) -> Result<Option<String>> {
        let binding = &element["binding"];
        let Some(url) = binding["valueSet"].as_str().filter(|_| binding["strength"] == "required")
        else {
            return Ok(None);
        };
        let url = url.split('|').next().unwrap_or(url);
        let name = url.rsplit('/').next().unwrap_or(url).to_owned();
        let same = self.urls.entry(name.clone()).or_insert_with(|| url.to_owned());
        ensure!(same == url, "{same} and {url} have one name");
        let terminology = self.terminology;
        let codes = self.used.entry(name.clone()).or_insert_with(|| terminology.small(url));
        Ok(codes.is_some().then_some(name))
    }

    /// The sets, each with its codes by system.
    pub(super) fn render(&self, out: &mut String) {
        for (name, codes) in &self.used {
            let Some(codes) = codes else { continue };
            out.extend(["\nvalueset ", name, "\n"]);
            for (system, codes) in codes {
                let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
                out.extend([" ", system, " ", &codes.join(" "), "\n"]);
            }
        }
    }
}

impl Terminology {
    /// The codes of a set that is not too large and can be written in one line a system.
    fn small(&self, url: &str) -> Option<Codes> {
        let codes = self.expand(url, 0)?;
        let count: usize = codes.values().map(BTreeSet::len).sum();
        let is_plain = codes.values().flatten().all(|code| !code.is_empty() && !code.contains(' '));
        (count > 0 && count <= CODES_MAX && is_plain).then_some(codes)
    }

    fn expand(&self, url: &str, depth: usize) -> Option<Codes> {
        let url = url.split('|').next().unwrap_or(url);
        let compose = &self.value_sets.get(url)?["compose"];
        if depth > DEPTH_MAX {
            return None;
        }
        let mut codes = Codes::new();
        for include in list(compose, "include") {
            for (system, more) in self.included(include, depth)? {
                codes.entry(system).or_default().extend(more);
            }
        }
        for exclude in list(compose, "exclude") {
            for (system, less) in self.included(exclude, depth)? {
                codes.entry(system).or_default().retain(|code| !less.contains(code));
            }
        }
        codes.retain(|_, codes| !codes.is_empty());
        Some(codes)
    }

    /// What one include or exclude names: the codes that are in its system and in all its sets.
    fn included(&self, include: &Value, depth: usize) -> Option<Codes> {
        let mut found = match include["system"].as_str() {
            Some(system) => Some(Codes::from([(system.to_owned(), self.listed(system, include)?)])),
            None => None,
        };
        for url in strings(include, "valueSet") {
            let other = self.expand(url, depth + 1)?;
            found = Some(match found {
                None => other,
                Some(mut codes) => {
                    for (system, codes) in &mut codes {
                        codes
                            .retain(|code| other.get(system).is_some_and(|set| set.contains(code)));
                    }
                    codes
                }
            });
        }
        found
    }

    fn listed(&self, system: &str, include: &Value) -> Option<BTreeSet<String>> {
        if include["concept"].is_array() {
            return Some(concepts(include).collect());
        }
        let code_system = self.code_systems.get(system)?;
        if code_system["content"] != "complete" || !code_system["concept"].is_array() {
            return None;
        }
        let mut codes = BTreeSet::new();
        collect(code_system, &mut codes);
        for filter in list(include, "filter") {
            let root = filter["value"].as_str()?;
            let below = match (filter["property"].as_str()?, filter["op"].as_str()?) {
                ("concept" | "code", "is-a") => descendants(code_system, root, true)?,
                ("concept" | "code", "descendent-of") => descendants(code_system, root, false)?,
                _ => return None,
            };
            codes.retain(|code| below.contains(code));
        }
        Some(codes)
    }
}

fn concepts(of: &Value) -> impl Iterator<Item = String> {
    list(of, "concept").filter_map(|one| one["code"].as_str().map(str::to_owned))
}

/// All codes at and below the concepts of a code system or concept, but for abstract ones.
fn collect(of: &Value, codes: &mut BTreeSet<String>) {
    for concept in list(of, "concept") {
        let is_abstract = list(concept, "property").any(|property| {
            property["code"] == "notSelectable" && property["valueBoolean"] == true
        });
        if let Some(code) = concept["code"].as_str().filter(|_| !is_abstract) {
            codes.insert(code.to_owned());
        }
        collect(concept, codes);
    }
}

fn descendants(of: &Value, root: &str, with_root: bool) -> Option<BTreeSet<String>> {
    for concept in list(of, "concept") {
        if concept["code"] == root {
            let mut codes = BTreeSet::new();
            collect(concept, &mut codes);
            if with_root {
                codes.insert(root.to_owned());
            }
            return Some(codes);
        }
        if let Some(codes) = descendants(concept, root, with_root) {
            return Some(codes);
        }
    }
    None
}
