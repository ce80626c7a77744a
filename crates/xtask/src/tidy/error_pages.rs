//! Each code that clients may see has a page, and each page a code.

use std::collections::BTreeSet;

use anyhow::Result;
use cresset_model::IssueCode;

use super::Faults;
use crate::workspace;

/// The parts every page has.
const HEADINGS: [&str; 3] = ["## What it means", "## Likely causes", "## What to do"];

pub(super) fn check(faults: &mut Faults) -> Result<()> {
    let codes: BTreeSet<&str> = IssueCode::ALL.iter().map(|code| code.as_str()).collect();
    let mut pages = BTreeSet::new();
    for path in workspace::files(&workspace::root().join("docs/errors"))? {
        let path = workspace::relative(&path);
        let name = path.rsplit('/').next().unwrap_or_default();
        let Some(code) = name.strip_suffix(".md").filter(|code| codes.contains(code)) else {
            if name != "README.md" {
                faults.push(format!("{path} is the page of no code in crates/model/src/issue.rs"));
            }
            continue;
        };
        pages.insert(code.to_owned());
        let text = workspace::read(&path)?;
        if !text.starts_with(&format!("# {code}: ")) {
            faults.push(format!("{path} does not begin with `# {code}: `"));
        }
        for heading in HEADINGS {
            if !text.lines().any(|line| line == heading) {
                faults.push(format!("{path} has no `{heading}`"));
            }
        }
    }
    let index = workspace::read("docs/errors/README.md")?;
    for code in codes.iter().filter(|code| !index.contains(&format!("[{code}]({code}.md)"))) {
        faults.push(format!("docs/errors/README.md does not list {code}"));
    }
    for code in codes.iter().filter(|code| !pages.contains(**code)) {
        faults.push(format!("code {code} has no page docs/errors/{code}.md"));
    }
    Ok(())
}
