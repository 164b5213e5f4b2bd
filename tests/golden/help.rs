//! `--help` of every verb, as the program lists them.

use std::path::Path;

use crate::{golden, harness};

#[test]
fn every_verb_explains_itself() {
    explain(&mut Vec::new());
}

/// The help of a verb and of all verbs below it.
fn explain(verb: &mut Vec<String>) {
    let mut arguments: Vec<&str> = verb.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = harness(Path::new("."), &arguments).stdout;
    let name = if verb.is_empty() { "help".to_owned() } else { format!("help-{}", verb.join("-")) };
    golden(&name, &help);
    for below in verbs(&help) {
        verb.push(below);
        explain(verb);
        verb.pop();
    }
}

/// The verbs that a help lists.
fn verbs(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // Continued descriptions stand further to the right.
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let words = names.filter_map(|line| line.split_whitespace().next());
    words.filter(|word| *word != "help").map(str::to_owned).collect()
}

#[test]
fn verbs_are_found_in_a_help() {
    let help = "Usage: x\n\nCommands:\n  run   Train\n          more\n  help  Print this\n\nOptions:\n  -h\n";
    assert_eq!(verbs(help), ["run"]);
}
