//! Every link of the documentation to a file of this repository leads somewhere.

use std::path::{Path, PathBuf};

/// The targets of Markdown's links in a text, without what follows a `#`; none of other places of the network.
fn targets(text: &str) -> Vec<String> {
    let ends = text.match_indices("](").map(|(at, _)| &text[at + 2..]);
    let links = ends.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.split('#').next().unwrap_or(""));
    links
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.contains(' '))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
    };
    let mut missing = Vec::new();
    let mut links = 0;
    let experiments = root.join("experiments");
    let folders = std::fs::read_dir(&experiments).expect("a folder").map(|entry| entry.expect("an entry").path());
    let claims = folders.filter(|path| path.is_dir()).flat_map(|folder| pages(&folder)).collect();
    for page in [pages(root), pages(&root.join("docs")), pages(&experiments), claims].concat() {
        let text = std::fs::read_to_string(&page).expect("text");
        for target in targets(&text) {
            links += 1;
            if !page.parent().expect("a folder").join(&target).exists() {
                missing.push(format!("{}: {target}", page.strip_prefix(root).expect("inside").display()));
            }
        }
    }
    assert!(missing.is_empty(), "links that lead nowhere:\n{}", missing.join("\n"));
    assert!(links > 30, "only {links} links were found");
}

#[test]
fn links_are_found() {
    let text = "[a](b.md#c) [d](https://e.f) ![g](../h/i.svg) [j](#k) x](y z)";
    assert_eq!(targets(text), ["b.md", "../h/i.svg"]);
}
