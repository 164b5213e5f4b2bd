use super::*;
use crate::report::axis::Axis;

fn chart(layers: Vec<Layer>) -> Figure {
    let panel =
        Panel::chart("a < b", Axis::linear("x (%)", 0.0, 1.0, 5, 100.0), Axis::linear("y", 0.0, 2.0, 4, 1.0), layers);
    Figure::new(
        "sample",
        "Sample",
        "What to see.".into(),
        vec![panel],
        vec![Entry::new(Swatch::Mark(Look::of(Paint::Ink)), "m")],
    )
}

fn curve(points: &[(f64, f64)], hidden: bool) -> Layer {
    let look = Look::of(Paint::Series(0));
    Layer::Curve(Curve { points: points.to_vec(), key: "7".into(), look, width: 1.9, opacity: 1.0, hidden })
}

#[test]
fn a_file_leaves_out_what_is_hidden_and_a_page_keeps_it() {
    let figure = chart(vec![curve(&[(0.0, 0.0), (1.0, 2.0)], true)]);
    assert!(!figure.svg().unwrap().contains(" s0"));
    let page = figure.panels[0].inline().unwrap();
    assert!(page.contains("data-run=\"7\"") && page.contains("s0 hidden"), "{page}");
    // The page's script reads values off the axes: pixels, ends, factor, logarithm, label.
    assert!(page.contains("0 1 100 0 x (%)\"") && page.contains(" 0 2 1 0 y\""), "{page}");
}

#[test]
fn few_points_have_marks_and_many_have_none() {
    let marks = |count: u32| {
        let points: Vec<(f64, f64)> = (0..count).map(|i| (f64::from(i) / f64::from(count), 1.0)).collect();
        chart(vec![curve(&points, false)]).svg().unwrap().matches("a m s0").count()
    };
    assert_eq!((marks(3), marks(20)), (3, 0));
}

#[test]
fn a_line_has_gaps_where_values_are_missing() {
    let points = [(0.0, 1.0), (0.2, 1.0), (0.4, f64::NAN), (0.6, 1.0), (0.8, 1.0), (0.9, 1.0)];
    let text = chart(vec![curve(&points, false)]).svg().unwrap();
    let line = text.lines().find(|line| line.contains("l s0")).unwrap();
    assert_eq!(line.matches('M').count(), 2, "{line}");
}

#[test]
fn cells_say_what_they_are_and_pale_is_the_low_end() {
    let matrix = Matrix {
        keys: vec!["0".into(), "4".into()],
        looks: vec![None, Some(Look::of(Paint::Series(1)))],
        noun: "run",
        values: vec![(0, 1, 0.05)],
        label: "churn (%)".into(),
        range: (0.0, 0.1),
        factor: 100.0,
        decimals: 1,
    };
    let panel = Panel { title: "m".into(), size: (430.0, 500.0), kind: Kind::Matrix(matrix) };
    let text = panel.inline().unwrap();
    assert!(text.contains("opacity=\"0.5\"") && text.contains("data-tip=\"runs 0 and 4: 5.0 %\""), "{text}");
    // Its cell and the cross that marks its row and column.
    assert_eq!(text.matches("data-run=\"4\"").count(), 2);
}

#[test]
fn every_figure_is_a_pdf_of_a_columns_width() {
    let bytes = chart(vec![curve(&[(0.0, 0.0), (1.0, 2.0)], false)]).pdf();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("%PDF-1.4") && text.trim_end().ends_with("%%EOF"));
    assert!(text.contains("/MediaBox [0 0 244.00 "), "{text}");
}
