//! One JUnit document. The form has no standard; what is read of it is what the tools of Ant, Maven, pytest, nextest, Go and
//! others write alike: `testcase` elements, with a `failure`, an `error` or a `skipped` in them.

use protocol::tested::{FailingTest, MAX_FAILING, MAX_TEST_NAME, MAX_TEST_TEXT, TestReport, cut};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// Adds the tests of a document to a report. What is there is counted also where the document breaks off.
///
/// # Errors
/// Where the document can't be read on, in words.
pub(super) fn read(text: &str, path: &str, report: &mut TestReport) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    let mut tests = Tests { report, path, suite: String::new(), case: None, telling: None };
    loop {
        let at = reader.buffer_position();
        match reader.read_event() {
            Ok(Event::Start(element)) => tests.begins(&element),
            Ok(Event::Empty(element)) => {
                tests.begins(&element);
                tests.ends(element.name().as_ref());
            }
            Ok(Event::End(element)) => tests.ends(element.name().as_ref()),
            Ok(Event::Text(words)) => tests.says(&words.xml10_content()),
            Ok(Event::CData(words)) => tests.says(&words.xml10_content()),
            Ok(Event::GeneralRef(named)) => match (named.resolve_char_ref(), predefined(&named)) {
                (Ok(Some(character)), _) => tests.says(character.encode_utf8(&mut [0; 4])),
                (_, Some(text)) => tests.says(text),
                // What a document defines for itself is not expanded.
                _ => tests.says("\u{fffd}"),
            },
            Ok(Event::Eof) if tests.case.is_some() || tests.telling.is_some() => {
                tests.ends("testcase");
                return Err("it breaks off within a test".to_owned());
            }
            Ok(Event::Eof) => return Ok(()),
            Ok(_) => {}
            Err(error) => {
                tests.ends("testcase");
                return Err(format!("no XML at byte {at}: {error}"));
            }
        }
    }
}

fn predefined(name: &str) -> Option<&'static str> {
    quick_xml::escape::resolve_predefined_entity(name)
}

/// How a test came out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Came {
    Passed,
    Skipped,
    Failed,
}

struct Tests<'a> {
    report: &'a mut TestReport,
    path: &'a str,
    suite: String,
    case: Option<Case>,
    /// The element whose text is of a failure.
    telling: Option<String>,
}

struct Case {
    name: String,
    came: Came,
    message: String,
    body: String,
}

impl Tests<'_> {
    fn begins(&mut self, element: &BytesStart<'_>) {
        match element.name().as_ref() {
            "testsuite" => self.suite = attribute(element, "name"),
            "testcase" => {
                self.ends("testcase");
                self.case = Some(Case::new(name(element)));
            }
            "skipped" => {
                if let Some(case) = self.case.as_mut().filter(|case| case.came == Came::Passed) {
                    case.came = Came::Skipped;
                }
            }
            told @ ("failure" | "error") => {
                // A suite that failed as a whole has none.
                let (suite, path) = (&self.suite, self.path);
                let case = self
                    .case
                    .get_or_insert_with(|| Case::new(if suite.is_empty() { path.to_owned() } else { suite.clone() }));
                if case.came != Came::Failed {
                    case.message = attribute(element, "message");
                }
                case.came = Came::Failed;
                self.telling = Some(told.to_owned());
            }
            _ => {}
        }
    }

    fn ends(&mut self, element: &str) {
        if self.telling.as_deref() == Some(element) {
            self.telling = None;
        }
        let of_suite = self.case.is_some() && element == "testsuite";
        if element != "testcase" && !of_suite {
            return;
        }
        self.telling = None;
        let Some(case) = self.case.take() else { return };
        match case.came {
            Came::Passed => self.report.passed += 1,
            Came::Skipped => self.report.skipped += 1,
            Came::Failed => {
                self.report.failed += 1;
                if self.report.failing.len() < MAX_FAILING {
                    let text = case.text();
                    self.report.failing.push(FailingTest { name: case.name, text });
                }
            }
        }
    }

    /// Takes in text, where it is of a failure.
    fn says(&mut self, words: &str) {
        if let (Some(_), Some(case)) = (&self.telling, &mut self.case) {
            let room = MAX_TEST_TEXT.saturating_sub(case.body.len());
            case.body.push_str(cut(words, room));
        }
    }
}

impl Case {
    fn new(name: String) -> Self {
        Self { name, came: Came::Passed, message: String::new(), body: String::new() }
    }

    /// What is told of its failure: many tools say the message in the text once more.
    fn text(&self) -> String {
        let (message, body) = (self.message.trim(), self.body.trim());
        let whole = match (message, body) {
            ("", body) => body.to_owned(),
            (message, "") => message.to_owned(),
            (message, body) if body.contains(message) => body.to_owned(),
            (message, body) => format!("{message}\n{body}"),
        };
        cut(&whole, MAX_TEST_TEXT).to_owned()
    }
}

/// A test's name as its tool has it: with its class, unless that is said already.
fn name(element: &BytesStart<'_>) -> String {
    let (class, name) = (attribute(element, "classname"), attribute(element, "name"));
    let whole = if class.is_empty() || name.starts_with(&class) { name } else { format!("{class}.{name}") };
    let whole = if whole.is_empty() { "(a test without a name)".to_owned() } else { whole };
    cut(&whole, MAX_TEST_NAME).to_owned()
}

/// An attribute's value; empty where there is none or it can't be read.
fn attribute(element: &BytesStart<'_>, name: &str) -> String {
    let found = element.attributes().flatten().find(|attribute| attribute.key.as_ref() == name);
    let value = found.and_then(|found| found.normalized_value(XmlVersion::Implicit1_0).ok().map(|v| v.into_owned()));
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(text: &str) -> (TestReport, Result<(), String>) {
        let mut report = TestReport::default();
        let read = read(text, "a.xml", &mut report);
        (report, read)
    }

    #[test]
    fn what_the_tools_write_is_understood() {
        // As pytest, nextest, Maven (with a test that passed when it was run again), Go and a suite that fails as a whole.
        let text = r#"<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" tests="3">
<testcase classname="tests.test_a" name="test_one" time="0.1"><failure message="assert 1 == 2">def test_one():
&gt;       assert 1 == 2
E       assert 1 == 2</failure></testcase>
<testcase classname="tests.test_a" name="test_two"><skipped type="pytest.skip" message="no network"/></testcase>
<testcase classname="tests.test_a" name="test_three"><system-out>failure? no</system-out></testcase>
</testsuite>
<testsuite name="bb"><testcase name="spool::full" classname="bb"><error message="it panicked"><![CDATA[at <spool>]]></error></testcase>
<testcase name="Spool.empty" classname="Spool"><flakyFailure message="once">x</flakyFailure></testcase></testsuite>
<testsuite name="setup"><error message="no database"/></testsuite></testsuites>"#;
        let (report, read) = of(text);
        assert_eq!(read, Ok(()));
        assert_eq!((report.passed, report.failed, report.skipped), (2, 3, 1));
        let told: Vec<_> = report.failing.iter().map(|test| (test.name.as_str(), test.text.as_str())).collect();
        let one = "def test_one():\n>       assert 1 == 2\nE       assert 1 == 2";
        let expected =
            [("tests.test_a.test_one", one), ("bb.spool::full", "it panicked\nat <spool>"), ("setup", "no database")];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_breaks_off_counts_as_far_as_it_goes() {
        let whole = "<testsuite><testcase name='a'/><testcase name='b'><failure>left</failure></testcase></testsuite>";
        for end in 0..whole.len() {
            let (report, read) = of(&whole[..end]);
            assert!(report.check().is_ok());
            assert!(report.all() <= 2);
            if whole[..end].ends_with("left") {
                assert_eq!((report.passed, report.failed), (1, 1));
                assert!(read.is_err());
            }
        }
        assert_eq!(of(whole).0.failed, 1);
        assert!(of("not found").1.is_ok_and(|()| true));
        assert!(of("<a></b>").1.unwrap_err().starts_with("no XML at byte 3"));
    }

    #[test]
    fn nothing_that_a_document_defines_is_expanded() {
        let bomb = r#"<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;"><!ENTITY f SYSTEM "file:///etc/passwd">]>
<testsuite><testcase name="t&c;"><failure message="&f;">&c; &f; &#x41; &lt;</failure></testcase></testsuite>"#;
        let (report, read) = of(bomb);
        assert_eq!((read, report.failed), (Ok(()), 1));
        assert_eq!(report.failing[0].text, "\u{fffd} \u{fffd} A <");
        assert_eq!(report.failing[0].name, "(a test without a name)", "an attribute that can't be read is none");
        assert!(of(&"<testcase name='x'>".repeat(100_000)).0.check().is_ok());
        assert!(of(&"<failure>".repeat(100_000)).0.check().is_ok());
    }
}
