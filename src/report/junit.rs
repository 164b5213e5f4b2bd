//! JUnit XML, which CI systems show beside the tests of code.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::error::{Error, Result};

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

/// The whole file. Text that XML cannot hold is left out.
///
/// # Errors
/// [`Error::Unexpected`] if the file cannot be written.
pub fn xml(suites: &[Suite]) -> Result<String> {
    let mut report = Report::new("harness");
    for Suite { name, cases } in suites {
        let mut suite = TestSuite::new(name.as_str());
        for case in cases {
            let refused = |kind, name: &str, message: &str| {
                let mut status = TestCaseStatus::non_success(kind);
                status.set_type(name).set_message(message);
                status
            };
            let status = match &case.outcome {
                Outcome::Passed => TestCaseStatus::success(),
                Outcome::Failed { kind, message } => refused(NonSuccessKind::Failure, kind, message),
                Outcome::Errored { message } => refused(NonSuccessKind::Error, "error", message),
            };
            let mut held = TestCase::new(case.name.as_str(), status);
            held.set_classname(name.as_str());
            suite.add_test_case(held);
        }
        report.add_test_suite(suite);
    }
    report.to_string().map_err(|cause| Error::Unexpected(format!("cannot write JUnit XML: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_named_stays_text() {
        let failed = Outcome::Failed { kind: "worse".into(), message: "it's \"<1 %\" & falls\u{1}".into() };
        let suites = [
            Suite {
                name: "a<b".into(),
                cases: vec![
                    Case { name: "accuracy".into(), outcome: Outcome::Passed },
                    Case { name: "nll".into(), outcome: failed },
                ],
            },
            Suite {
                name: "nights".into(),
                cases: vec![Case { name: "all".into(), outcome: Outcome::Errored { message: "no".into() } }],
            },
        ];
        let text = xml(&suites).unwrap();
        assert!(
            text.contains("<testsuites name=\"harness\" tests=\"3\" skipped=\"0\" failures=\"1\" errors=\"1\""),
            "{text}"
        );
        assert!(text.contains("name=\"a&lt;b\" tests=\"2\"") && text.contains("classname=\"a&lt;b\""), "{text}");
        assert!(text.contains("&lt;1 %&quot; &amp; falls\""), "{text}");
        assert!(text.contains("<error message=\"no\" type=\"error\""), "{text}");
    }
}
