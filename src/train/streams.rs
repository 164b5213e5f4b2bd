//! The random streams of a run. A stream that does not vary is that of run 0 for every run.

use crate::config::{Stream, Sweep};
use crate::random::Random;

/// Words between the starts of two epochs in a stream: more than any epoch can use, so that an epoch's draws depend on
/// its number alone and nothing of a stream needs to be saved.
const EPOCH_WORDS: u128 = 1 << 40;

impl Sweep {
    /// A run's stream from its beginning.
    #[must_use]
    pub fn stream(&self, stream: Stream, run: u64) -> Random {
        Random::from_parts(self.seed, stream.name(), self.index(stream, run))
    }

    /// The key of a run's stream, in hex, for the record: equal for two runs exactly if they share the stream.
    #[must_use]
    pub fn stream_seed(&self, stream: Stream, run: u64) -> String {
        use std::fmt::Write;
        Random::key(self.seed, stream.name(), self.index(stream, run)).iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    fn index(&self, stream: Stream, run: u64) -> u64 {
        if self.vary.contains(&stream) { run } else { 0 }
    }

    /// A run's stream as it stands at the beginning of an epoch.
    #[must_use]
    pub fn stream_at(&self, stream: Stream, run: u64, epoch: usize) -> Random {
        let mut random = self.stream(stream, run);
        random.set_position(epoch as u128 * EPOCH_WORDS);
        random
    }
}
