//! JUnit XML, which CI systems show beside the tests of code.

/// What became of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// The check says no: of which kind, and in words.
    Failed {
        kind: String,
        message: String,
    },
    /// It could not be made.
    Errored {
        message: String,
    },
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub name: String,
    pub outcome: Outcome,
}

/// Checks that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// `digits.compare` and the like; also the class of its cases.
    pub name: String,
    pub cases: Vec<Case>,
}

/// The whole file. Text that XML cannot hold is replaced.
#[must_use]
pub fn xml(suites: &[Suite]) -> String {
    let counted = |suite: &Suite, of: fn(&Outcome) -> bool| suite.cases.iter().filter(|case| of(&case.outcome)).count();
    let failed = |outcome: &Outcome| matches!(outcome, Outcome::Failed { .. });
    let errored = |outcome: &Outcome| matches!(outcome, Outcome::Errored { .. });
    let counts = |suites: &[Suite]| {
        let sum = |of: fn(&Outcome) -> bool| suites.iter().map(|suite| counted(suite, of)).sum::<usize>();
        format!("tests=\"{}\" failures=\"{}\" errors=\"{}\"", sum(|_| true), sum(failed), sum(errored))
    };
    let mut text =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"harness\" {}>\n", counts(suites));
    for suite in suites {
        let name = escaped(&suite.name);
        text.push_str(&format!("  <testsuite name=\"{name}\" {}>\n", counts(std::slice::from_ref(suite))));
        for case in &suite.cases {
            let open = format!("    <testcase classname=\"{name}\" name=\"{}\"", escaped(&case.name));
            let inner = match &case.outcome {
                Outcome::Passed => None,
                Outcome::Failed { kind, message } => {
                    let (kind, message) = (escaped(kind), escaped(message));
                    Some(format!("<failure type=\"{kind}\" message=\"{message}\">{message}</failure>"))
                }
                Outcome::Errored { message } => {
                    let message = escaped(message);
                    Some(format!("<error type=\"error\" message=\"{message}\">{message}</error>"))
                }
            };
            match inner {
                None => text.push_str(&format!("{open}/>\n")),
                Some(inner) => text.push_str(&format!("{open}>\n      {inner}\n    </testcase>\n")),
            }
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// Text without meaning in XML 1.0, in elements and in attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            // An attribute's line breaks would be read as spaces.
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push_str("&#9;"),
            '\r' => safe.push_str("&#13;"),
            '\u{0}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => safe.push('\u{FFFD}'),
            _ => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_named_stays_text() {
        let failed = Outcome::Failed { kind: "worse".into(), message: "it's \"<1 %\" & falls\u{1}\nby 2".into() };
        let suites = [
            Suite {
                name: "a<b".into(),
                cases: vec![
                    Case { name: "accuracy".into(), outcome: Outcome::Passed },
                    Case { name: "nll".into(), outcome: failed },
                ],
            },
            Suite {
                name: "history".into(),
                cases: vec![Case { name: "all".into(), outcome: Outcome::Errored { message: "no".into() } }],
            },
        ];
        let text = xml(&suites);
        assert!(text.starts_with(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"harness\" tests=\"3\" failures=\"1\" errors=\"1\">\n"
        ));
        assert!(text.contains("<testsuite name=\"a&lt;b\" tests=\"2\" failures=\"1\" errors=\"0\">"));
        assert!(text.contains("<testcase classname=\"a&lt;b\" name=\"accuracy\"/>"));
        assert!(text.contains("message=\"it&apos;s &quot;&lt;1 %&quot; &amp; falls\u{FFFD}&#10;by 2\""));
        assert!(text.contains("<error type=\"error\" message=\"no\">no</error>"));
        assert_eq!(text.matches("<testcase").count(), text.matches("/>").count() + text.matches("</testcase>").count());
    }
}
