//! The tree of many networks: who descends from whom.
//!
//! Networks of one family are joined by the exact test. Within a family the root is the network that the others lean away from
//! ([`super::direction`]); the others are placed from the nearest to the farthest, each walking down from the root, or from the network
//! that it was pruned from, to the last network whose way it has gone ([`super::way`]). A minimum spanning arborescence over distances alone
//! does worse: two networks tuned on the same examples move alike, and end nearer to each other than to their parent.

use std::collections::VecDeque;

use super::way::Passage;

/// One edge, by index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// Index of the earlier one.
    pub parent: usize,
    /// Index of what was made from it.
    pub child: usize,
    /// How clear the direction is, 0 to 1: the size of the lean.
    pub clear: f64,
}

/// What a tree is built from, over the networks 0..n.
pub struct Relations<'a> {
    /// How many.
    pub networks: usize,
    /// Whether two networks share an ancestor.
    pub related: &'a dyn Fn(usize, usize) -> bool,
    /// How far apart two of them are.
    pub distance: &'a dyn Fn(usize, usize) -> f64,
    /// Above 0: the first is the parent of the second rather than the other way round.
    pub lean: &'a dyn Fn(usize, usize) -> f64,
    /// Whether the third has gone the whole way from the first to the second.
    pub gone_through: &'a dyn Fn(usize, usize, usize) -> Passage,
    /// Whether the second was made from the first by setting its smallest weights to zero.
    pub pruned_from: &'a dyn Fn(usize, usize) -> bool,
    /// Whether the second is the first rounded.
    pub rounded_from: &'a dyn Fn(usize, usize) -> bool,
}

/// The edges, each child once; roots of families have none.
#[must_use]
pub fn edges(relations: &Relations) -> Vec<Edge> {
    let mut parents: Vec<Option<usize>> = vec![None; relations.networks];
    for family in families(relations) {
        place(relations, &family, &mut parents);
    }
    let edge = |(child, parent): (usize, &Option<usize>)| {
        let parent = (*parent)?;
        Some(Edge { parent, child, clear: (relations.lean)(parent, child).clamp(0.0, 1.0) })
    };
    parents.iter().enumerate().filter_map(edge).collect()
}

/// The networks in groups of the related, each in ascending order.
#[must_use]
pub fn families(relations: &Relations) -> Vec<Vec<usize>> {
    let mut group: Vec<usize> = (0..relations.networks).collect();
    for a in 0..relations.networks {
        for b in 0..a {
            if group[a] != group[b] && (relations.related)(b, a) {
                let (keep, drop) = (group[a].min(group[b]), group[a].max(group[b]));
                group.iter_mut().filter(|held| **held == drop).for_each(|held| *held = keep);
            }
        }
    }
    let mut families: Vec<Vec<usize>> = Vec::new();
    for root in 0..relations.networks {
        let members: Vec<usize> = (0..relations.networks).filter(|&i| group[i] == root).collect();
        if !members.is_empty() {
            families.push(members);
        }
    }
    families
}

fn place(relations: &Relations, family: &[usize], parents: &mut [Option<usize>]) {
    let away = |a: usize| -> f64 { family.iter().filter(|&&b| b != a).map(|&b| (relations.lean)(a, b)).sum() };
    let Some(root) = family.iter().copied().max_by(|&a, &b| away(a).total_cmp(&away(b)).then(b.cmp(&a))) else {
        return;
    };
    let mut others: Vec<usize> = family.iter().copied().filter(|&member| member != root).collect();
    others.sort_by(|&a, &b| (relations.distance)(root, a).total_cmp(&(relations.distance)(root, b)));
    let pruned_from = relations.pruned_from;
    let made_from = |made: &dyn Fn(usize, usize) -> bool, network: usize| {
        family.iter().copied().find(|&other| other != network && family.contains(&network) && made(other, network))
    };
    // Of a rounded network the one that was rounded, of a pruned one the one that it was pruned from.
    let exact: Vec<Option<usize>> = (0..relations.networks).map(|n| made_from(relations.rounded_from, n)).collect();
    let wholes: Vec<Option<usize>> =
        (0..relations.networks).map(|n| exact[n].or_else(|| made_from(pruned_from, n))).collect();
    let mut waiting: VecDeque<usize> = others.into();
    let mut children: Vec<(usize, usize)> = Vec::new();
    // Whether `to` lies below `through`. Where that is not sure, others below either may know: a descendant of `through` whose way `to`
    // has gone, or one of `to` that has gone that of `through`.
    let below = |children: &[(usize, usize)], at: usize, through: usize, to: usize| -> Passage {
        // Between a pruned network and the whole one stand only others with the same zeros; between a rounded one and its parent nothing.
        let open = exact[to].is_none() && wholes[to].is_none_or(|whole| pruned_from(whole, through));
        if !open || (relations.lean)(through, to) <= 0.0 {
            return Passage::Never;
        }
        let own = (relations.gone_through)(at, through, to);
        let more = || {
            let mut both = descendants(children, through).into_iter().map(|lower| (lower, to)).collect::<Vec<_>>();
            both.extend(descendants(children, to).into_iter().map(|lower| (through, lower)));
            both.into_iter().any(|(through, to)| (relations.gone_through)(at, through, to) == Passage::Surely)
        };
        match own {
            Passage::Unlikely | Passage::Likely if more() => Passage::Surely,
            own => own,
        }
    };
    // These wait until the whole one has its place.
    let mut turns = 0;
    while let Some(network) = waiting.pop_front() {
        let whole = wholes[network];
        let placed = |wanted: usize| wanted == root || children.iter().any(|(_, child)| *child == wanted);
        if whole.is_some_and(|whole| !placed(whole)) && turns <= waiting.len() {
            turns += 1;
            waiting.push_back(network);
            continue;
        }
        turns = 0;
        let mut at = whole.filter(|whole| placed(*whole)).unwrap_or(root);
        loop {
            let on_the_way = children.iter().filter(|(parent, _)| *parent == at).map(|(_, child)| *child);
            let next = on_the_way
                .map(|child| (below(&children, at, child, network), child))
                .filter(|(passage, _)| *passage >= Passage::Likely)
                .max_by(|(a, one), (b, other)| {
                    let nearer =
                        || (relations.distance)(*other, network).total_cmp(&(relations.distance)(*one, network));
                    a.cmp(b).then_with(nearer)
                });
            match next {
                Some((_, child)) => at = child,
                None => break,
            }
        }
        let taken: Vec<usize> = children
            .iter()
            .filter(|(parent, child)| *parent == at && below(&children, at, network, *child) >= Passage::Likely)
            .map(|(_, child)| *child)
            .collect();
        children.iter_mut().filter(|(_, child)| taken.contains(child)).for_each(|(parent, _)| *parent = network);
        children.push((at, network));
    }
    for (parent, child) in children {
        parents[child] = Some(parent);
    }
}

/// All that stand below a network, of pairs of parent and child.
fn descendants(children: &[(usize, usize)], of: usize) -> Vec<usize> {
    let mut below = vec![of];
    let mut at = 0;
    while let Some(&parent) = below.get(at) {
        below.extend(children.iter().filter(|(held, _)| *held == parent).map(|(_, child)| *child));
        at += 1;
    }
    below.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points in the plane: a network is where its training has led.
    fn tree_of(points: &[(f64, f64)], age: &[f64]) -> Vec<(usize, usize)> {
        tree_with(points, age, &[])
    }

    fn tree_with(points: &[(f64, f64)], age: &[f64], pruned: &[(usize, usize)]) -> Vec<(usize, usize)> {
        let minus = |a: usize, b: usize| (points[a].0 - points[b].0, points[a].1 - points[b].1);
        let norm = |(x, y): (f64, f64)| x * x + y * y;
        let relations = Relations {
            networks: points.len(),
            related: &|a, b| norm(minus(a, b)) < 10.0,
            distance: &|a, b| norm(minus(a, b)).sqrt(),
            lean: &|a, b| (age[b] - age[a]).signum(),
            gone_through: &|from, through, to| {
                let (way, gone) = (minus(through, from), minus(to, from));
                let share = (way.0 * gone.0 + way.1 * gone.1) / norm(way);
                if share >= 0.66 { Passage::Likely } else { Passage::Unlikely }
            },
            pruned_from: &|parent, child| pruned.contains(&(parent, child)),
            rounded_from: &|_, _| false,
        };
        let mut edges: Vec<(usize, usize)> = edges(&relations).iter().map(|edge| (edge.parent, edge.child)).collect();
        edges.sort_unstable();
        edges
    }

    #[test]
    fn by_hand() {
        // Root 1; 0 its child to the right, 3 further on to the right and up: 0's child; 2 upwards: the root's. 4 is a stranger.
        let points = [(1.0, 0.0), (0.0, 0.0), (-0.5, 1.0), (1.1, 1.0), (50.0, 50.0)];
        assert_eq!(tree_of(&points, &[1.0, 0.0, 1.0, 2.0, 0.0]), [(0, 3), (1, 0), (1, 2)]);
        // The middle one is placed last and takes its child over.
        let points = [(0.0, 0.0), (1.0, 0.1), (1.0, -0.2)];
        assert_eq!(tree_of(&points, &[0.0, 2.0, 1.0]), [(0, 2), (2, 1)]);
        assert!(tree_of(&[(0.0, 0.0)], &[0.0]).is_empty());
        // Pruned from 2, which stands farther away: the way to 1 does not count.
        let points = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.5), (1.2, 0.1)];
        assert_eq!(tree_with(&points, &[0.0, 1.0, 1.0, 2.0], &[(2, 3)]), [(0, 1), (0, 2), (2, 3)]);
        // Two that were said to be pruned from each other do not wait for ever.
        assert_eq!(tree_with(&points[..3], &[0.0, 1.0, 2.0], &[(1, 2), (2, 1)]).len(), 2);
    }
}
