//! Panels without axes of numbers: matrices, lists of intervals, pictures.

use super::super::axis::Axis;
use super::super::scene::{Align, Scene, Shape, cut, room_of};
use super::draw::{LARGE, NORMAL, SMALL};
use super::{Matrix, Paint, Pictures, Row};
use crate::analysis::numbers::fixed;

/// A square of cells, with the scale of its colours below.
pub fn matrix(scene: &mut Scene, shown: &Matrix) {
    const STEPS: usize = 48;
    let count = shown.keys.len();
    let widest = shown.keys.iter().map(|key| room_of(key, SMALL)).fold(0.0, f64::max).min(90.0);
    let (left, top) = (widest + 34.0, 14.0);
    let side = (scene.width - left - 16.0).min(scene.height - top - 96.0);
    let size = side / count.max(1) as f64;
    let right = left + side;
    let share = |value: f64| ((value - shown.range.0) / (shown.range.1 - shown.range.0)).clamp(0.0, 1.0);
    scene.rectangle((left, top), (right, top + side), Paint::Paper);
    let unit = if shown.label.ends_with("(%)") { " %" } else { "" };
    for &(a, b, value) in &shown.values {
        let part = share(value);
        for (row, column) in [(a, b), (b, a)] {
            let at = (left + column as f64 * size, top + row as f64 * size);
            let cell = scene.rectangle(at, (at.0 + size, at.1 + size), Paint::Heat);
            cell.opacity = part.max(0.02);
            cell.key.clone_from(&shown.keys[row]);
            cell.tip = format!(
                "{}s {} and {}: {}{unit}",
                shown.noun,
                shown.keys[row],
                shown.keys[column],
                fixed(value * shown.factor, shown.decimals)
            );
        }
    }
    let letters = room_of(&fixed(shown.range.1 * shown.factor, shown.decimals), 11.0);
    if letters + 4.0 < size {
        for &(a, b, value) in &shown.values {
            let paint = if share(value) > 0.5 { Paint::Paper } else { Paint::Ink };
            let text = fixed(value * shown.factor, shown.decimals);
            for (row, column) in [(a, b), (b, a)] {
                let at = (left + (column as f64 + 0.5) * size, top + (row as f64 + 0.5) * size);
                scene.text(at, &text, 11.0, Align::Middle, paint);
            }
        }
    }
    let every =
        ((count as f64 * (widest + 6.0) / side).ceil() as usize).max((count as f64 * 15.0 / side).ceil() as usize);
    for (place, key) in shown.keys.iter().enumerate() {
        let at = (place as f64 + 0.5) * size;
        let corner = (left + place as f64 * size, top + place as f64 * size);
        // Something with itself is no measurement.
        scene.rectangle(corner, (corner.0 + size, corner.1 + size), Paint::Void);
        let look = shown.looks.get(place).copied().flatten();
        let paint = look.map_or(Paint::Soft, |look| look.paint);
        if place % every.max(1) == 0 || look.is_some() && size > 11.0 {
            scene.text((left + at, top + side + 11.0), &cut(key, SMALL, 90.0), SMALL, Align::Middle, paint);
            scene.text((left - 6.0, top + at), &cut(key, SMALL, 90.0), SMALL, Align::End, paint);
        }
        if let Some(look) = look {
            scene.draw(
                Shape::Area {
                    corners: vec![
                        (right + 3.0, top + at),
                        (right + 10.0, top + at - 4.5),
                        (right + 10.0, top + at + 4.5),
                    ],
                },
                look.paint,
            );
        }
        let (from, to) = (place as f64 * size, (place + 1) as f64 * size);
        let across =
            vec![(left, top + from), (right, top + from), (right, top + to), (left, top + to), (left, top + from)];
        let down = vec![
            (left + from, top),
            (left + to, top),
            (left + to, top + side),
            (left + from, top + side),
            (left + from, top),
        ];
        let cross = scene.draw(
            Shape::Line { pieces: vec![across, down], width: 1.5, dash: None },
            look.map_or(Paint::Ink, |l| l.paint),
        );
        cross.key.clone_from(key);
        cross.hidden = true;
    }
    scene.text((left + side / 2.0, top + side + 27.0), shown.noun, NORMAL, Align::Middle, Paint::Ink);
    let shape = Shape::Text {
        at: (12.0, top + side / 2.0),
        text: shown.noun.to_owned(),
        size: NORMAL,
        align: Align::Middle,
        bold: false,
        upright: true,
    };
    scene.draw(shape, Paint::Ink);
    let bar = top + side + 46.0;
    for step in 0..STEPS {
        let x = |step: usize| left + side * step as f64 / STEPS as f64;
        scene.rectangle((x(step), bar), (x(step + 1) + 0.2, bar + 10.0), Paint::Heat).opacity =
            (step as f64 + 0.5) / STEPS as f64;
    }
    let (low, high) = (shown.range.0.min(shown.range.1), shown.range.0.max(shown.range.1));
    for (value, text) in Axis::linear("", low, high, 5, shown.factor).ticks() {
        let x = left + share(*value) * side;
        scene.line(&[(x, bar + 10.0), (x, bar + 14.0)], Paint::Soft, 1.0);
        scene.text((x, bar + 22.0), text, SMALL, Align::Middle, Paint::Soft);
    }
    let label = cut(&shown.label, NORMAL, scene.width - 8.0);
    let half = room_of(&label, NORMAL) / 2.0;
    let middle = (left + side / 2.0).clamp(half + 2.0, (scene.width - half - 2.0).max(half + 2.0));
    scene.text((middle, bar + 40.0), &label, NORMAL, Align::Middle, Paint::Ink);
    scene.height = bar + 52.0;
}

/// Each row: name and numbers above, the interval below.
pub fn rows(scene: &mut Scene, shown: &[Row]) {
    const ROW: f64 = 44.0;
    const TOP: f64 = 30.0;
    const EDGE: f64 = 10.0;
    let (middle, room) = (scene.width / 2.0, scene.width / 2.0 - EDGE - 4.0);
    let bottom = TOP + ROW * shown.len() as f64;
    scene.text((middle, 12.0), "no difference", SMALL, Align::Middle, Paint::Soft);
    for (place, row) in shown.iter().enumerate() {
        let (text, y) = (TOP + ROW * place as f64 + 8.0, TOP + ROW * place as f64 + 27.0);
        let numbers = room_of(&row.text, SMALL);
        scene.title(
            (EDGE, text),
            &cut(&row.name, SMALL * 1.16, scene.width - numbers - 3.0 * EDGE),
            SMALL,
            Align::Start,
        );
        scene.text((scene.width - EDGE, text), &row.text, SMALL, Align::End, Paint::Soft);
        let reach = row.low.abs().max(row.high.abs()).max(row.tolerance).max(row.value.abs());
        let x = |value: f64| if reach > 0.0 { middle + (value / reach).clamp(-1.0, 1.0) * room } else { middle };
        if row.tolerance > 0.0 {
            scene.rectangle((x(-row.tolerance), y - 8.0), (x(row.tolerance), y + 8.0), Paint::Grid);
        }
        scene.line(&[(middle, y - 9.0), (middle, y + 10.0)], Paint::Soft, 1.2);
        scene.line(&[(EDGE, y + 12.5), (scene.width - EDGE, y + 12.5)], Paint::Grid, 1.0);
        scene.line(&[(x(row.low), y), (x(row.high), y)], row.look.paint, 2.2).key.clone_from(&row.key);
        for end in [row.low, row.high] {
            scene.line(&[(x(end), y - 4.0), (x(end), y + 4.0)], row.look.paint, 1.4);
        }
        let mark = scene.mark((x(row.value), y), row.look.mark, 4.5, row.look.paint);
        mark.tip = format!("{}: {}", row.name, row.text);
        mark.key.clone_from(&row.key);
    }
    scene.height = bottom + 4.0;
}

/// Pictures with their lines below, each cut to its column.
pub fn pictures(scene: &mut Scene, title: &str, shown: &Pictures) {
    const SIDE: f64 = 84.0;
    const STEP: f64 = 108.0;
    const APART: f64 = 24.0;
    const TOP: f64 = 72.0;
    const LINE: f64 = 13.0;
    let lines = shown.rows.iter().flatten().map(|picture| picture.lines.len()).max().unwrap_or(0);
    let height = SIDE + 12.0 + LINE * lines as f64;
    let columns = shown.rows.iter().map(Vec::len).max().unwrap_or(1);
    let x = |place: usize| 12.0 + STEP * place as f64 + if place > 0 { APART } else { 0.0 };
    scene.width = scene.width.max(x(columns));
    scene.title((x(0), 14.0), &cut(title, LARGE * 1.16, scene.width - 24.0), LARGE, Align::Start);
    scene.text((x(0), 33.0), &cut(&shown.note, SMALL, scene.width - 24.0), SMALL, Align::Start, Paint::Soft);
    scene.title((x(0), TOP - 12.0), &shown.heads[0], SMALL, Align::Start);
    scene.title((x(1), TOP - 12.0), &cut(&shown.heads[1], SMALL * 1.16, scene.width - x(1)), SMALL, Align::Start);
    for (place, row) in shown.rows.iter().enumerate() {
        let y = TOP + height * place as f64;
        for (column, picture) in row.iter().enumerate() {
            let at = (x(column), y);
            scene.draw(Shape::Image { at, size: (SIDE, SIDE), pixels: picture.pixels.clone() }, Paint::Ink);
            let (right, bottom) = (at.0 + SIDE, at.1 + SIDE);
            let width = if picture.frame == Paint::Soft { 1.0 } else { 3.0 };
            scene.line(&[at, (right, at.1), (right, bottom), (at.0, bottom), at], picture.frame, width);
            for (line, text) in picture.lines.iter().enumerate() {
                let paint = if line == 0 { Paint::Ink } else { Paint::Soft };
                let text = cut(text, 11.0, STEP - 8.0);
                scene.text((at.0, bottom + 11.0 + LINE * line as f64), &text, 11.0, Align::Start, paint);
            }
        }
    }
    scene.height = TOP + height * shown.rows.len() as f64;
}
