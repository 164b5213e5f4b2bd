//! From a figure's data to shapes: the only place that computes pixels.

use super::super::axis::Axis;
use super::super::scene::{Align, Point, Scene, Shape, cut, room_of};
use super::grids::{matrix, pictures, rows};
use super::{Curve, Dot, Entry, Figure, Kind, Layer, Look, Mark, Paint, Panel, Swatch};
use crate::analysis::Band;

/// Sizes of letters in pixels: ticks and legends, axis labels, titles.
pub const SMALL: f64 = 12.0;
pub const NORMAL: f64 = 13.0;
pub const LARGE: f64 = 14.0;
/// Lines of at most so many points have marks: a change of direction that is one measurement looks like one.
const FEW: usize = 5;

/// A panel's shapes, and its axes as attributes for the page's script.
pub struct Drawn {
    pub scene: Scene,
    pub axes: String,
}

/// Where values lie, in pixels, without ticks and labels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Frame {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

/// All panels with the legend below.
pub fn sheet(figure: &Figure) -> Scene {
    const GAP: f64 = 14.0;
    let columns = figure.columns.clamp(1, figure.panels.len().max(1));
    let mut scene = Scene::new(0.0, 0.0);
    for row in figure.panels.chunks(columns) {
        let (mut left, mut height) = (0.0, 0.0_f64);
        for shown in row {
            let drawn = panel(shown).scene;
            height = height.max(drawn.height);
            scene.place(Scene { width: 0.0, height: 0.0, items: drawn.items }, (left, scene.height));
            scene.width = scene.width.max(left + drawn.width);
            left += drawn.width + GAP;
        }
        scene.height += height;
    }
    let key = legend(&figure.legend, scene.width - 2.0 * GAP);
    if key.height > 0.0 {
        let height = key.height;
        scene.place(key, (GAP, scene.height + 6.0));
        scene.height += height + 12.0;
    }
    scene
}

/// Entries in rows of at most `room` pixels, each as wide as its text.
fn legend(entries: &[Entry], room: f64) -> Scene {
    const ROW: f64 = 20.0;
    const SWATCH: f64 = 24.0;
    const APART: f64 = 22.0;
    let mut scene = Scene::new(room, if entries.is_empty() { 0.0 } else { ROW });
    let (mut left, mut middle) = (0.0, ROW / 2.0);
    for entry in entries {
        let text = cut(&entry.text, SMALL, room - SWATCH - 8.0);
        let width = SWATCH + 7.0 + room_of(&text, SMALL);
        if left > 0.0 && left + width > room {
            (left, middle) = (0.0, middle + ROW);
            scene.height += ROW;
        }
        swatch(&mut scene, entry.swatch, (left, middle));
        scene.text((left + SWATCH + 7.0, middle), &text, SMALL, Align::Start, Paint::Ink);
        left += width + APART;
    }
    scene
}

/// 24 pixels wide, from a point at its left end.
fn swatch(scene: &mut Scene, swatch: Swatch, (left, middle): Point) {
    let line = vec![(left, middle), (left + 24.0, middle)];
    match swatch {
        Swatch::Band(fill, opacity, median) => {
            scene.rectangle((left, middle - 6.0), (left + 24.0, middle + 6.0), fill).opacity = opacity;
            scene.line(&line, median, 1.6);
        }
        Swatch::Line(look, width) => {
            scene.draw(Shape::Line { pieces: vec![line], width, dash: look.dash }, look.paint);
        }
        Swatch::Mark(look) => {
            scene.mark((left + 12.0, middle), look.mark, 4.5, look.paint);
        }
    }
}

/// A swatch by itself, for a page.
pub fn swatch_scene(shown: Swatch) -> Scene {
    let mut scene = Scene::new(24.0, 14.0);
    swatch(&mut scene, shown, (0.0, 7.0));
    scene
}

/// One panel.
pub fn panel(panel: &Panel) -> Drawn {
    let mut scene = Scene::new(panel.size.0, panel.size.1);
    match &panel.kind {
        Kind::Chart { x, y, layers } => return chart(panel, x, y, layers),
        Kind::Matrix(shown) => matrix(&mut scene, shown),
        Kind::Rows(shown) => rows(&mut scene, shown),
        Kind::Pictures(shown) => pictures(&mut scene, &panel.title, shown),
    }
    Drawn { scene, axes: String::new() }
}

struct Chart<'a> {
    scene: Scene,
    frame: Frame,
    x: &'a Axis,
    y: &'a Axis,
}

fn chart(panel: &Panel, x: &Axis, y: &Axis, layers: &[Layer]) -> Drawn {
    let (width, height) = panel.size;
    let widest = y.ticks().iter().map(|(_, text)| room_of(text, SMALL)).fold(0.0, f64::max).min(width * 0.4);
    let left = widest + if y.label.is_empty() { 18.0 } else { 38.0 };
    let top = if panel.title.is_empty() { 14.0 } else { 36.0 };
    let bottom = height - if x.label.is_empty() { 30.0 } else { 50.0 };
    // The last tick of the horizontal axis may reach beyond the frame.
    let last = x
        .ticks()
        .last()
        .map_or(0.0, |(at, text)| room_of(text, SMALL) / 2.0 - (1.0 - x.share(*at).unwrap_or(1.0)) * (width - left));
    let frame = Frame { left, top, right: width - last.max(8.0) - 4.0, bottom };
    let mut chart = Chart { scene: Scene::new(width, height), frame, x, y };
    chart.axes(&panel.title, layers);
    layers.iter().for_each(|layer| chart.layer(layer));
    let attributes = |name: &str, axis: &Axis, from: f64, to: f64| {
        let (low, high, factor, log) = axis.range();
        let label = super::super::text::markup(&axis.label);
        format!(" data-{name}=\"{from:.1} {to:.1} {low} {high} {factor} {} {label}\"", u8::from(log))
    };
    let axes = attributes("x", x, frame.left, frame.right) + &attributes("y", y, frame.bottom, frame.top);
    Drawn { scene: chart.scene, axes }
}

impl Chart<'_> {
    /// Grid, ticks and labels; shaded periods lie below the grid.
    fn axes(&mut self, title: &str, layers: &[Layer]) {
        let Frame { left, top, right, bottom } = self.frame;
        for layer in layers {
            if let Layer::Period { from, to } = layer
                && let (Some(from), Some(to)) = (self.across(*from), self.across(*to))
            {
                self.scene.rectangle((from.max(left), top), (to.min(right), bottom), Paint::Void);
            }
        }
        let mut end = f64::NEG_INFINITY;
        for (value, label) in self.x.ticks() {
            let Some(x) = self.across(*value) else { continue };
            self.scene.line(&[(x, top), (x, bottom)], Paint::Grid, 1.0);
            self.scene.line(&[(x, bottom), (x, bottom + 4.0)], Paint::Soft, 1.0);
            // A label that would lie on the one before is left out.
            let half = room_of(label, SMALL) / 2.0;
            if x - half > end + 4.0 {
                self.scene.text((x, bottom + 13.0), label, SMALL, Align::Middle, Paint::Soft);
                end = x + half;
            }
        }
        for (value, label) in self.y.ticks() {
            let Some(y) = self.up(*value) else { continue };
            self.scene.line(&[(left, y), (right, y)], Paint::Grid, 1.0);
            self.scene.line(&[(left - 4.0, y), (left, y)], Paint::Soft, 1.0);
            let label = cut(label, SMALL, left - 12.0);
            self.scene.text((left - 8.0, y), &label, SMALL, Align::End, Paint::Soft);
        }
        for x in self.x.minor().iter().filter_map(|&value| self.across(value)).collect::<Vec<_>>() {
            self.scene.line(&[(x, bottom), (x, bottom + 2.5)], Paint::Soft, 0.8);
        }
        for y in self.y.minor().iter().filter_map(|&value| self.up(value)).collect::<Vec<_>>() {
            self.scene.line(&[(left - 2.5, y), (left, y)], Paint::Soft, 0.8);
        }
        self.scene.line(&[(left, top), (left, bottom), (right, bottom)], Paint::Soft, 1.0);
        let label = cut(&self.x.label, NORMAL, right - 8.0);
        // Centred below the frame, but inside the panel.
        let half = room_of(&label, NORMAL) / 2.0;
        let middle = ((left + right) / 2.0).min(self.scene.width - half - 2.0).max(half + 2.0);
        self.scene.text((middle, bottom + 36.0), &label, NORMAL, Align::Middle, Paint::Ink);
        if !self.y.label.is_empty() {
            let text = cut(&self.y.label, NORMAL, bottom + 30.0);
            let half = room_of(&text, NORMAL) / 2.0;
            let middle = ((top + bottom) / 2.0).max(half + 4.0).min((self.scene.height - half).max(half + 4.0));
            let (at, upright) = ((12.0, middle), true);
            let shape = Shape::Text { at, text, size: NORMAL, align: Align::Middle, bold: false, upright };
            self.scene.draw(shape, Paint::Ink);
        }
        if !title.is_empty() {
            let title = cut(title, LARGE * 1.16, right - left + 20.0);
            self.scene.title((left, top - 16.0), &title, LARGE, Align::Start);
        }
    }

    /// Where a value of the horizontal axis lies, also beyond the frame.
    fn across(&self, value: f64) -> Option<f64> {
        self.x.share(value).map(|share| self.frame.left + share * (self.frame.right - self.frame.left))
    }

    /// Where a value of the vertical axis lies, also beyond the frame.
    fn up(&self, value: f64) -> Option<f64> {
        self.y.share(value).map(|share| self.frame.bottom - share * (self.frame.bottom - self.frame.top))
    }

    /// Where a point lies, held inside the frame.
    fn point(&self, x: f64, y: f64) -> Option<Point> {
        let Frame { left, top, right, bottom } = self.frame;
        Some((self.across(x)?.clamp(left, right), self.up(y)?.clamp(top, bottom)))
    }

    fn layer(&mut self, layer: &Layer) {
        match layer {
            Layer::Band { x, band, fill, opacity, line } => self.band(x, band, *fill, *opacity, *line),
            Layer::Curve(curve) => self.curve(curve),
            Layer::Points(dots) => dots.iter().for_each(|dot| self.dot(dot)),
            Layer::Limit { at, upright, look } => self.limit(*at, *upright, *look),
            Layer::Bars { bars, paint } => {
                let (low, ..) = self.y.range();
                for &(from, to, height) in bars {
                    if let (Some(from), Some(to)) = (self.point(from, low.max(0.0)), self.point(to, height)) {
                        self.scene.rectangle((from.0, self.frame.bottom), to, *paint);
                    }
                }
            }
            Layer::Period { .. } => {}
        }
    }

    /// The pieces of a line that lie in the frame.
    fn pieces(&self, points: &[(f64, f64)]) -> Vec<Vec<Point>> {
        let mut pieces: Vec<Vec<Point>> = Vec::new();
        let mut last: Option<Point> = None;
        for &(x, y) in points {
            let next = self.across(x).zip(self.up(y));
            if let Some((from, to)) = last.zip(next).and_then(|(from, to)| clip(from, to, self.frame)) {
                match pieces.last_mut() {
                    Some(piece) if piece.last() == Some(&from) => piece.push(to),
                    _ => pieces.push(vec![from, to]),
                }
            }
            last = next;
        }
        pieces
    }

    fn curve(&mut self, curve: &Curve) {
        let pieces = self.pieces(&curve.points);
        let finite = || curve.points.iter().filter(|point| point.0.is_finite() && point.1.is_finite());
        if !pieces.is_empty() {
            let shape = Shape::Line { pieces, width: curve.width, dash: curve.look.dash };
            let item = self.scene.draw(shape, curve.look.paint);
            item.opacity = curve.opacity;
            item.key.clone_from(&curve.key);
            item.hidden = curve.hidden;
        }
        let few = finite().count() <= FEW && curve.points.len() <= FEW;
        if few && !curve.key.is_empty() && curve.width > 1.0 {
            let radius = 2.2 + curve.width / 2.0;
            for (x, y) in finite().copied().collect::<Vec<_>>() {
                if let (Some(x), Some(y)) = (self.across(x), self.up(y))
                    && self.frame.holds((x, y))
                {
                    let item = self.scene.mark((x, y), curve.look.mark, radius, curve.look.paint);
                    item.key.clone_from(&curve.key);
                    item.hidden = curve.hidden;
                }
            }
        }
    }

    fn band(&mut self, x: &[f64], band: &Band, fill: Paint, opacity: f64, line: Paint) {
        let side = |y: &[Option<f64>]| -> Vec<Point> {
            x.iter().zip(y).filter_map(|(&x, &y)| self.across(x).zip(self.up(y?))).collect()
        };
        let mut outline = side(&band.high);
        outline.extend(side(&band.low).into_iter().rev());
        let outline = clip_area(outline, self.frame);
        if outline.len() > 2 {
            self.scene.draw(Shape::Area { corners: outline }, fill).opacity = opacity;
        }
        let median: Vec<(f64, f64)> =
            x.iter().zip(&band.median).map(|(&x, value)| (x, value.unwrap_or(f64::NAN))).collect();
        let pieces = self.pieces(&median);
        if !pieces.is_empty() {
            self.scene.draw(Shape::Line { pieces, width: 1.6, dash: None }, line);
        }
        if median.len() <= FEW {
            for (x, y) in median.into_iter().filter_map(|(x, y)| self.across(x).zip(self.up(y))).collect::<Vec<_>>() {
                if self.frame.holds((x, y)) {
                    self.scene.mark((x, y), Mark::Disc, 2.6, line);
                }
            }
        }
    }

    fn dot(&mut self, dot: &Dot) {
        let Some(at) = self.point(dot.x, dot.y) else { return };
        if let Some((low, high)) = dot.interval {
            let ends = if dot.across {
                (self.point(low, dot.y), self.point(high, dot.y))
            } else {
                (self.point(dot.x, low), self.point(dot.x, high))
            };
            if let (Some(from), Some(to)) = ends {
                self.scene.line(&[from, to], dot.look.paint, if dot.across { 1.8 } else { 1.2 }).opacity = 0.85;
            }
        }
        let item = self.scene.mark(at, dot.look.mark, dot.radius, dot.look.paint);
        item.opacity = dot.opacity;
        item.key.clone_from(&dot.key);
        item.tip.clone_from(&dot.tip);
    }

    fn limit(&mut self, at: f64, upright: bool, look: Look) {
        let Frame { left, top, right, bottom } = self.frame;
        let line = if upright {
            self.across(at).map(|x| vec![(x, top), (x, bottom)])
        } else {
            self.up(at).map(|y| vec![(left, y), (right, y)])
        };
        if let Some(line) = line.filter(|line| line.iter().all(|&point| self.frame.holds(point))) {
            self.scene.draw(Shape::Line { pieces: vec![line], width: 1.0, dash: look.dash }, look.paint).opacity = 0.8;
        }
    }
}

impl Frame {
    fn holds(&self, (x, y): Point) -> bool {
        let slack = 0.5;
        x >= self.left - slack && x <= self.right + slack && y >= self.top - slack && y <= self.bottom + slack
    }
}

/// The part of the stroke between two points that lies in the frame (Liang and Barsky 1984).
fn clip(from: Point, to: Point, frame: Frame) -> Option<(Point, Point)> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    let sides = [
        (-dx, from.0 - frame.left),
        (dx, frame.right - from.0),
        (-dy, from.1 - frame.top),
        (dy, frame.bottom - from.1),
    ];
    for (towards, distance) in sides {
        if towards == 0.0 {
            if distance < 0.0 {
                return None;
            }
        } else if towards < 0.0 {
            enter = enter.max(distance / towards);
        } else {
            leave = leave.min(distance / towards);
        }
    }
    let at = |share: f64| (from.0 + dx * share, from.1 + dy * share);
    (enter <= leave).then(|| (if enter > 0.0 { at(enter) } else { from }, if leave < 1.0 { at(leave) } else { to }))
}

/// The part of an area that lies in the frame (Sutherland and Hodgman 1974).
fn clip_area(mut corners: Vec<Point>, frame: Frame) -> Vec<Point> {
    // How far inside each side a point lies.
    let sides: [&dyn Fn(Point) -> f64; 4] =
        [&|p| p.0 - frame.left, &|p| frame.right - p.0, &|p| p.1 - frame.top, &|p| frame.bottom - p.1];
    for inside in sides {
        let mut kept = Vec::with_capacity(corners.len() + 4);
        for (place, &to) in corners.iter().enumerate() {
            let from = corners[(place + corners.len() - 1) % corners.len()];
            let (before, after) = (inside(from), inside(to));
            if (before < 0.0) != (after < 0.0) {
                let share = before / (before - after);
                kept.push((from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share));
            }
            if after >= 0.0 {
                kept.push(to);
            }
        }
        corners = kept;
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };

    #[test]
    fn strokes_end_at_the_frame() {
        assert_eq!(clip((1.0, 1.0), (9.0, 9.0), FRAME), Some(((1.0, 1.0), (9.0, 9.0))));
        assert_eq!(clip((5.0, 5.0), (5.0, 25.0), FRAME), Some(((5.0, 5.0), (5.0, 10.0))));
        assert_eq!(clip((-10.0, 5.0), (20.0, 5.0), FRAME), Some(((0.0, 5.0), (10.0, 5.0))));
        assert_eq!(clip((5.0, 12.0), (9.0, 20.0), FRAME), None);
        assert_eq!(clip((-5.0, 4.0), (4.0, -6.0), FRAME), None);
    }

    #[test]
    fn areas_end_at_the_frame() {
        let square = [(1.0, 1.0), (9.0, 1.0), (9.0, 9.0), (1.0, 9.0)];
        assert_eq!(clip_area(square.to_vec(), FRAME), square);
        assert_eq!(clip_area(vec![(20.0, 1.0), (30.0, 1.0), (30.0, 9.0)], FRAME), []);
        // Half of a triangle across the lower side.
        let mut cut = clip_area(vec![(0.0, 5.0), (10.0, 5.0), (5.0, 15.0)], FRAME);
        cut.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(cut, [(0.0, 5.0), (2.5, 10.0), (7.5, 10.0), (10.0, 5.0)]);
    }

    #[test]
    fn legends_take_as_many_rows_as_they_need() {
        let entry = |text: &str| Entry::new(Swatch::Mark(Look::of(Paint::Ink)), text);
        let entries = vec![entry("a"), entry(&"long ".repeat(12)), entry("b")];
        assert_eq!(legend(&entries, 2000.0).height, 20.0);
        assert_eq!(legend(&entries, 330.0).height, 60.0);
        assert_eq!(legend(&[], 330.0).height, 0.0);
    }
}
