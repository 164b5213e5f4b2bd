//! Which layers share units: read off names and shapes, so that networks from anywhere can be compared.
//!
//! A chain is recognised by its shapes (each layer reads what the one before writes; a dense layer after convolutions reads
//! a whole number of positions per channel). Residual networks are recognised by names such as `layer1.0.conv1`,
//! `blocks.3.conv2` and `….shortcut` or `….downsample.0`, held against the shapes. Anything else stays [`Axis::Unknown`] but for
//! which layers write hidden units, and the test then assumes nothing about how layers depend on each other.

use std::cmp::Ordering;

use super::network::Layer;

/// A set of units that layers read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Axis {
    /// Pixels or features: their order is fixed.
    Inputs,
    /// Hidden units, which have no order of their own.
    Hidden(usize),
    /// Classes: their order is fixed.
    Outputs,
    /// Nothing is known of it.
    Unknown,
}

/// Puts layers in forward order and names what they read and write; the second value says whether everything is known.
pub(super) fn arrange(mut layers: Vec<Layer>) -> (Vec<Layer>, bool) {
    layers.sort_by(|a, b| natural(&a.name, &b.name));
    if let Some(order) = residual(&layers) {
        return (placed(layers, &order), true);
    }
    let nested = has_blocks(&layers);
    if let Some(order) = chain(&layers).filter(|_| !nested) {
        let last = order.len() - 1;
        let steps = order.iter().enumerate().map(|(place, &layer)| Step {
            layer,
            from: if place == 0 { Axis::Inputs } else { Axis::Hidden(place - 1) },
            to: if place == last { Axis::Outputs } else { Axis::Hidden(place) },
        });
        return (placed(layers, &steps.collect::<Vec<_>>()), true);
    }
    // A layer that nothing could read writes the outputs.
    let shapes: Vec<(usize, usize, usize)> = layers.iter().map(|l| (l.units, l.inputs, l.positions)).collect();
    for (i, layer) in layers.iter_mut().enumerate() {
        let mut others = shapes.iter().enumerate().filter(|(j, _)| *j != i);
        let read = others.any(|(_, &next)| reads(shapes[i], next));
        layer.to = if read { Axis::Hidden(i) } else { Axis::Outputs };
    }
    (layers, false)
}

/// A layer with the axes that it reads and writes.
struct Step {
    layer: usize,
    from: Axis,
    to: Axis,
}

fn placed(layers: Vec<Layer>, steps: &[Step]) -> Vec<Layer> {
    let mut layers: Vec<Option<Layer>> = layers.into_iter().map(Some).collect();
    steps
        .iter()
        .filter_map(|step| {
            let layer = layers.get_mut(step.layer)?.take()?;
            Some(Layer { from: step.from, to: step.to, ..layer })
        })
        .collect()
}

/// Whether a layer of shape (units, inputs, positions) `next` can read what `layer` writes.
fn reads(layer: (usize, usize, usize), next: (usize, usize, usize)) -> bool {
    next.1 == layer.0 || (layer.2 > 1 && next.2 == 1 && next.1.is_multiple_of(layer.0))
}

/// An order of all layers in which each reads the one before, as near to the order of names as there is one.
fn chain(layers: &[Layer]) -> Option<Vec<usize>> {
    /// Enough for any chain that is one; a set of layers that is none is given up soon.
    const STEPS: usize = 20_000;
    let shape = |i: usize| (layers[i].units, layers[i].inputs, layers[i].positions);
    fn grow(path: &mut Vec<usize>, count: usize, steps: &mut usize, reads: &impl Fn(usize, usize) -> bool) -> bool {
        if path.len() == count {
            return true;
        }
        for next in 0..count {
            *steps += 1;
            if *steps > STEPS {
                return false;
            }
            if !path.contains(&next) && path.last().is_none_or(|&last| reads(last, next)) {
                path.push(next);
                if grow(path, count, steps, reads) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }
    let (mut path, mut steps) = (Vec::new(), 0);
    let found = grow(&mut path, layers.len(), &mut steps, &|a, b| reads(shape(a), shape(b)));
    (found && !path.is_empty()).then_some(path)
}

/// The block that a layer belongs to, with its name inside it: `layer1.0.conv2` is `conv2` of `layer1.0`. A block's name ends
/// in a number.
fn block(name: &str) -> Option<(&str, &str)> {
    let inside = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut ends = name.match_indices('.').map(|(at, _)| at).collect::<Vec<_>>();
    ends.reverse();
    ends.into_iter()
        .map(|at| (&name[..at], &name[at + 1..]))
        .find(|(outer, inner)| outer.ends_with(|c: char| c.is_ascii_digit()) && inside(inner))
}

fn has_blocks(layers: &[Layer]) -> bool {
    let blocks: Vec<&str> = layers.iter().filter_map(|layer| Some(block(&layer.name)?.0)).collect();
    blocks.iter().enumerate().any(|(i, block)| blocks[..i].contains(block))
}

/// The steps of a residual network: layers before, blocks with or without a shortcut, layers after.
fn residual(layers: &[Layer]) -> Option<Vec<Step>> {
    const SHORTCUTS: [&str; 4] = ["shortcut", "downsample", "skip", "projection"];
    if !has_blocks(layers) {
        return None;
    }
    let mut steps = Vec::new();
    let (mut axis, mut hidden) = (Axis::Inputs, 0);
    let mut width = None;
    let mut new_axis = || {
        hidden += 1;
        Axis::Hidden(hidden - 1)
    };
    let fits = |width: Option<usize>, layer: &Layer| width.is_none_or(|width| width == layer.inputs);
    // Stem: the convolutions, or where there are none the dense layers, outside blocks that blocks can follow.
    let outside: Vec<usize> = (0..layers.len()).filter(|&i| block(&layers[i].name).is_none()).collect();
    let mut blocks: Vec<(&str, Vec<usize>)> = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        if let Some((outer, _)) = block(&layer.name) {
            match blocks.iter_mut().find(|(name, _)| *name == outer) {
                Some((_, members)) => members.push(i),
                None => blocks.push((outer, vec![i])),
            }
        }
    }
    let first = blocks.first()?.1.first().map(|&i| layers[i].inputs)?;
    let conv = |i: &usize| layers[*i].positions > 1;
    let (mut stem, mut head): (Vec<usize>, Vec<usize>) = if outside.iter().any(conv) {
        outside.into_iter().partition(conv)
    } else {
        let at = outside.iter().position(|&i| layers[i].units == first)?;
        (outside[..=at].to_vec(), outside[at + 1..].to_vec())
    };
    for i in stem.drain(..) {
        if !fits(width, &layers[i]) {
            return None;
        }
        let to = new_axis();
        steps.push(Step { layer: i, from: axis, to });
        (axis, width) = (to, Some(layers[i].units));
    }
    for (_, members) in &blocks {
        let is_shortcut = |i: &usize| {
            let inner = block(&layers[*i].name).map_or("", |(_, inner)| inner);
            SHORTCUTS.iter().any(|word| inner.starts_with(word))
        };
        let (shortcut, body): (Vec<usize>, Vec<usize>) = members.iter().copied().partition(is_shortcut);
        let (&last, before) = body.split_last()?;
        if shortcut.len() > 1 || before.is_empty() {
            return None;
        }
        let (start, start_width) = (axis, width);
        for &i in before {
            if !fits(width, &layers[i]) {
                return None;
            }
            let to = new_axis();
            steps.push(Step { layer: i, from: axis, to });
            (axis, width) = (to, Some(layers[i].units));
        }
        if !fits(width, &layers[last]) {
            return None;
        }
        let to = match shortcut.first() {
            None if start_width == Some(layers[last].units) => start,
            Some(&i) if fits(start_width, &layers[i]) && layers[i].units == layers[last].units => {
                let to = new_axis();
                steps.push(Step { layer: i, from: start, to });
                to
            }
            _ => return None,
        };
        steps.push(Step { layer: last, from: axis, to });
        (axis, width) = (to, Some(layers[last].units));
    }
    let last = head.pop()?;
    for i in head {
        if !fits(width, &layers[i]) {
            return None;
        }
        let to = new_axis();
        steps.push(Step { layer: i, from: axis, to });
        (axis, width) = (to, Some(layers[i].units));
    }
    if !width.is_some_and(|width| layers[last].inputs.is_multiple_of(width)) {
        return None;
    }
    steps.push(Step { layer: last, from: axis, to: Axis::Outputs });
    Some(steps)
}

/// Names in the order that people count: `conv2` before `conv10`.
fn natural(a: &str, b: &str) -> Ordering {
    let pieces = |text: &str| {
        let mut pieces: Vec<(String, u64)> = vec![(String::new(), 0)];
        let mut digits = false;
        for c in text.chars() {
            if digits && !c.is_ascii_digit() {
                pieces.push((String::new(), 0));
            }
            digits = c.is_ascii_digit();
            if let Some((word, number)) = pieces.last_mut() {
                match c.to_digit(10) {
                    Some(digit) => *number = number.saturating_mul(10).saturating_add(u64::from(digit)),
                    None => word.push(c),
                }
            }
        }
        pieces
    };
    pieces(a).cmp(&pieces(b)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str, shape: &[usize]) -> Layer {
        Layer::of(&format!("{name}.weight"), shape, vec![0.5; shape.iter().product()]).unwrap()
    }

    fn axes(layers: Vec<Layer>) -> (Vec<(String, Axis, Axis)>, bool) {
        let (layers, known) = arrange(layers);
        (layers.into_iter().map(|l| (l.name, l.from, l.to)).collect(), known)
    }

    #[test]
    fn chains_are_found_whatever_the_names() {
        use Axis::{Hidden, Inputs, Outputs};
        let (found, known) = axes(vec![
            layer("fc", &[10, 64]),
            layer("fc1", &[64, 784]),
            layer("fc10", &[64, 64]),
            layer("fc2", &[64, 64]),
        ]);
        assert!(known);
        let names: Vec<&str> = found.iter().map(|(name, _, _)| name.as_str()).collect();
        assert_eq!(names, ["fc1", "fc2", "fc10", "fc"]);
        assert_eq!((found[0].1, found[0].2, found[3].2), (Inputs, Hidden(0), Outputs));
        let (found, known) =
            axes(vec![layer("0", &[8, 1, 3, 3]), layer("3", &[16, 8, 3, 3]), layer("7", &[10, 16 * 49])]);
        assert!(known && found[2].1 == Hidden(1));
    }

    #[test]
    fn residual_networks_share_their_stream() {
        use Axis::{Hidden, Outputs};
        let mut layers = vec![layer("c1", &[16, 3, 3, 3]), layer("fc", &[10, 32])];
        for (i, (a, b)) in [(16, 16), (16, 32), (32, 32)].into_iter().enumerate() {
            layers.push(layer(&format!("blocks.{i}.conv1"), &[b, a, 3, 3]));
            layers.push(layer(&format!("blocks.{i}.conv2"), &[b, b, 3, 3]));
        }
        layers.push(layer("blocks.1.shortcut", &[32, 16, 1, 1]));
        let (found, known) = axes(layers.clone());
        assert!(known);
        let axis =
            |name: &str| found.iter().find(|(held, _, _)| held == name).map(|(_, from, to)| (*from, *to)).unwrap();
        assert_eq!(axis("c1").1, axis("blocks.0.conv2").1);
        assert_eq!(axis("blocks.1.conv2").1, axis("blocks.1.shortcut").1);
        assert_eq!(axis("blocks.2.conv2").1, axis("blocks.1.conv2").1);
        assert_eq!(axis("fc"), (axis("blocks.2.conv2").1, Outputs));
        assert_eq!(axis("c1").1, Hidden(0));
        // Without its shortcut the shapes do not fit: nothing is claimed, but every hidden layer is still one.
        layers.pop();
        let (found, known) = axes(layers);
        assert!(!known && found.iter().filter(|(_, _, to)| matches!(to, Hidden(_))).count() == 7);
    }

    #[test]
    fn strange_sets_of_tensors_are_no_chain() {
        let (_, known) = axes(vec![layer("a", &[7, 5]), layer("b", &[11, 5])]);
        assert!(!known);
        assert!(Layer::of("bias", &[3], vec![0.0; 3]).is_none());
        assert!(Layer::of("w", &[0, 3], Vec::new()).is_none());
        let many: Vec<Layer> = (0..60).map(|i| layer(&format!("l{i}"), &[4, if i == 59 { 9 } else { 4 }])).collect();
        let (found, _) = axes(many);
        assert_eq!(found.len(), 60);
    }
}
