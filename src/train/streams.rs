//! The random streams of a run. A stream that does not vary is that of run 0 for every run.

use std::collections::BTreeMap;

use crate::config::{Stream, Sweep};
use crate::random::{ByExample, Random};

/// Words between the starts of two epochs in a stream: more than any epoch can use, so that an epoch's draws depend on
/// its number alone and nothing of a stream needs to be saved.
const EPOCH_WORDS: u128 = 1 << 40;

impl Sweep {
    /// A run's stream from its beginning.
    #[must_use]
    pub fn stream(&self, stream: Stream, run: u64) -> Random {
        Random::from_parts(self.seed, stream.name(), self.level(stream, run))
    }

    /// The key of a run's stream, in hex, for the record: equal for two runs exactly if they share the stream.
    #[must_use]
    pub fn stream_seed(&self, stream: Stream, run: u64) -> String {
        use std::fmt::Write;
        self.key(stream, run).iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// The level of a stream in a run: runs of one level share the stream.
    #[must_use]
    pub fn level(&self, stream: Stream, run: u64) -> u64 {
        let own = || if self.vary.contains(&stream) { run } else { 0 };
        let levels = self.levels.as_ref().and_then(|levels| levels.of(stream));
        levels.and_then(|levels| levels.get(run as usize)).copied().unwrap_or_else(own)
    }

    /// A run's stream as it stands at the beginning of an epoch.
    #[must_use]
    pub fn stream_at(&self, stream: Stream, run: u64, epoch: usize) -> Random {
        let mut random = self.stream(stream, run);
        random.set_position(epoch as u128 * EPOCH_WORDS);
        random
    }

    /// A run's stream for the examples of an epoch, whatever their order.
    #[must_use]
    pub fn examples_at(&self, stream: Stream, run: u64, epoch: usize) -> ByExample {
        ByExample::new(&self.key(stream, run), epoch as u64)
    }

    fn key(&self, stream: Stream, run: u64) -> [u8; 32] {
        Random::key(self.seed, stream.name(), self.level(stream, run))
    }

    /// The training examples of a run of `len` there are: all of them once, or a bootstrap where `data` varies. With `groups`, the group
    /// of each example, whole groups are drawn until there are as many examples; the last may lose some.
    #[must_use]
    pub fn examples(&self, run: u64, len: usize, groups: Option<&[u32]>) -> Vec<usize> {
        if !self.vary.contains(&Stream::Data) {
            return (0..len).collect();
        }
        let mut stream = self.stream(Stream::Data, run);
        let Some(groups) = groups else {
            return (0..len).map(|_| stream.uniform_below(len as u64) as usize).collect();
        };
        let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        groups.iter().take(len).enumerate().for_each(|(place, group)| members.entry(*group).or_default().push(place));
        let members: Vec<Vec<usize>> = members.into_values().collect();
        let mut drawn = Vec::with_capacity(len);
        while drawn.len() < len && !members.is_empty() {
            drawn.extend(&members[stream.uniform_below(members.len() as u64) as usize]);
        }
        drawn.truncate(len);
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_drawn_whole() {
        let sweep = Sweep { vary: vec![Stream::Data], ..Sweep::default() };
        // Ten groups of three examples that do not lie side by side.
        let groups: Vec<u32> = (0..30).map(|place| 7 * (place % 10)).collect();
        let drawn = sweep.examples(1, 30, Some(&groups));
        assert_eq!((drawn.len(), drawn.len() % 3), (30, 0));
        assert!(drawn.chunks(3).all(|trio| trio[1] == trio[0] + 10 && trio[2] == trio[0] + 20), "{drawn:?}");
        assert_ne!(drawn, sweep.examples(2, 30, Some(&groups)));
        assert!((0..30).eq(Sweep::default().examples(1, 30, Some(&groups))), "only where it varies");
    }
}
