//! What people read: tables in a terminal, reports, pages, messages.

use std::path::Path;

use crate::{golden, harness, inputs, whole};

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_analysis_of_a_sweep() {
    let folder = inputs();
    golden("analyze-sweep", &whole(&harness(folder.path(), &["analyze", "a"])));
    golden("analyze-sweep-json", &harness(folder.path(), &["analyze", "a", "--json"]).stdout);
}

#[test]
fn the_report_of_a_sweep_and_its_page() {
    let folder = inputs();
    golden("report", &whole(&harness(folder.path(), &["report", "a"])));
    golden("report-markdown", &read(&folder.path().join("a/report/report.md")));
    golden("report-page", &page_text(&read(&folder.path().join("a/report/report.html"))));
}

#[test]
fn the_analysis_of_other_peoples_runs() {
    let folder = inputs();
    golden("analyze-files", &whole(&harness(folder.path(), &["analyze", "golden.npz", "--out", "out"])));
    golden("analyze-files-json", &harness(folder.path(), &["analyze", "golden.npz", "--json"]).stdout);
    golden("analyze-files-markdown", &read(&folder.path().join("out/report.md")));
}

#[test]
fn two_sweeps_compared() {
    let folder = inputs();
    golden("compare", &whole(&harness(folder.path(), &["compare", "a", "b", "--out", "out"])));
}

#[test]
fn ensembles_of_a_sweep() {
    let folder = inputs();
    golden("select", &whole(&harness(folder.path(), &["select", "a"])));
}

#[test]
fn sweeps_and_data_sets_listed() {
    let folder = inputs();
    golden("status", &whole(&harness(folder.path(), &["status", "a"])));
    golden("list", &whole(&harness(folder.path(), &["list", "."])));
    golden("verify", &whole(&harness(folder.path(), &["verify", "a"])));
    golden("data-list", &whole(&harness(folder.path(), &["data", "list"])));
}

#[test]
fn an_experiment_and_what_is_wrong_with_one() {
    let folder = inputs();
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/digits.toml");
    golden("show", &whole(&harness(folder.path(), &["show", digits.to_str().expect("text")])));
    std::fs::write(
        folder.path().join("wrong.toml"),
        "name = \"a b\"\n[data]\ndataset = \"digit\"\nagument = {}\n[model]\nkind = \"cnn\"\nkernel = 4\n\n[train]\nepochs = -1\nlearning_rate = 0.1\n",
    )
    .expect("written");
    golden("show-wrong", &whole(&harness(folder.path(), &["show", "wrong.toml"])));
}

/// The words of a page, one element a line: no scripts, styles or figures.
fn page_text(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let skipped = ["script", "style", "svg"].iter().find(|tag| rest[1..].starts_with(**tag));
        let end = match skipped {
            Some(tag) => rest.find(&format!("</{tag}>")).unwrap_or(rest.len()),
            None => rest.find('>').unwrap_or(rest.len()),
        };
        rest = &rest[(end + 1).min(rest.len())..];
        // A closing tag of something skipped is left over as text up to its end.
        if skipped.is_some() {
            rest = &rest[rest.find('>').map_or(rest.len(), |at| at + 1)..];
        }
        text.push('\n');
    }
    text.push_str(rest);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn a_page_is_reduced_to_its_words() {
    let html = "<h1 id=\"x\">Runs</h1><script>a < b</script><p>none of <b>6</b></p><svg><text>no</text></svg>";
    assert_eq!(page_text(html), "Runs\nnone of\n6\n");
}
