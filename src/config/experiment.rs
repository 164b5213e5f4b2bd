//! The whole file, and what a sweep varies, records and judges.

use super::{Model, Train};
use crate::data::Data;
use crate::error::{Error, Result};
use crate::keys::{
    EPOCH, Key, Keyed, LATER_EPOCH, MILLION, PROBABILITY, SEED, SHARE, Shape, above, keys, list, set, whole, words,
};
use crate::model::Plan;

keys! {
    /// A whole experiment, resolved: every default filled in.
    pub struct Experiment {
        /// Names the sweep's directory: letters, digits, `-`, `_` and `.`.
        name: String, Shape::Name;
        /// What the networks learn from and are judged on.
        data: Data, Data::SHAPE;
        /// The architecture.
        model: Model, Model::SHAPE;
        /// How one network is trained.
        train: Train = Train::default(), Train::SHAPE;
        /// How many runs, and what differs between them.
        sweep: Sweep = Sweep::default(), Sweep::SHAPE;
        /// What is kept of every run.
        record: Record = Record::default(), Record::SHAPE;
        /// How runs are judged.
        analysis: Analysis = Analysis::default(), Analysis::SHAPE;
        /// When a run is called atypical.
        flags: Flags = Flags::default(), Flags::SHAPE;
    }
}

impl Experiment {
    /// The experiment with the digest of the file that training starts from, which is then part of its hash.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the file cannot be read, or is not the one whose digest is there already.
    pub fn pinned(&self) -> Result<Self> {
        let mut pinned = self.clone();
        pinned.model.start = self.model.start.pinned()?;
        Ok(pinned)
    }

    /// The network that is trained on examples `[channels, height, width]` of that many classes, with the layers that are frozen.
    ///
    /// # Errors
    /// [`Error::Invalid`] where its layers do not fit together or to the data, and for names of `train.freeze` and `train.rates`
    /// that no layer has.
    pub fn plan(&self, input: [usize; 3], classes: usize) -> Result<Plan> {
        let mut plan = Plan::new(&self.model, input, classes)?;
        let unknown = |key: &str, name: &str, plan: &Plan| {
            Error::Invalid(format!("train.{key} names \"{name}\", which no layer is called; {}", plan.known()))
        };
        for name in self.train.freeze.iter().flatten() {
            if !plan.freeze(name) {
                return Err(unknown("freeze", name, &plan));
            }
        }
        if plan.trained_parameters() == 0 {
            return Err(Error::Invalid("train.freeze leaves nothing to be trained; take a layer out of it".into()));
        }
        match self.train.rates.iter().flatten().find(|(name, _)| !plan.has(name)) {
            Some((name, _)) => Err(unknown("rates", name, &plan)),
            None => Ok(plan),
        }
    }
}

words! {
    /// A source of randomness of its own. Its name is hashed into the seed of the stream: changing one changes every sweep.
    #[derive(Hash, PartialOrd, Ord)]
    pub enum Stream {
        /// Initial weights.
        Init = "init",
        /// Order of the examples.
        Order = "order",
        /// Flips, crops and cutouts.
        Augment = "augment",
        /// Dropout masks.
        Dropout = "dropout",
        /// Which training examples are drawn: as many as there are, with replacement (a bootstrap), by whole groups where the data have
        /// groups. Not drawn where it does not vary.
        Data = "data",
        /// The order in which a batch's examples are summed: differences of rounding only. Not drawn where it does not vary.
        Rounding = "rounding",
        /// The lowest mantissa bit of one weight is flipped in every run but those of level 0.
        Bit = "bit",
    }
}

const LEVELS: Shape = list(&SEED, 0, 100_000);

keys! {
    /// Which seed of a varied stream each run draws from, by stream: a number for each run. Runs with the same number share the
    /// stream.
    #[derive(Eq)]
    pub struct Levels {
        /// Of `init`.
        #[serde(skip_serializing_if = "Option::is_none")]
        init: Option<Vec<u64>> = None, LEVELS;
        /// Of `order`.
        #[serde(skip_serializing_if = "Option::is_none")]
        order: Option<Vec<u64>> = None, LEVELS;
        /// Of `augment`.
        #[serde(skip_serializing_if = "Option::is_none")]
        augment: Option<Vec<u64>> = None, LEVELS;
        /// Of `dropout`.
        #[serde(skip_serializing_if = "Option::is_none")]
        dropout: Option<Vec<u64>> = None, LEVELS;
        /// Of `data`.
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<Vec<u64>> = None, LEVELS;
        /// Of `rounding`.
        #[serde(skip_serializing_if = "Option::is_none")]
        rounding: Option<Vec<u64>> = None, LEVELS;
        /// Of `bit`.
        #[serde(skip_serializing_if = "Option::is_none")]
        bit: Option<Vec<u64>> = None, LEVELS;
    }
}

impl Levels {
    /// The numbers of a stream, if there are any.
    #[must_use]
    pub fn of(&self, stream: Stream) -> Option<&[u64]> {
        let held = match stream {
            Stream::Init => &self.init,
            Stream::Order => &self.order,
            Stream::Augment => &self.augment,
            Stream::Dropout => &self.dropout,
            Stream::Data => &self.data,
            Stream::Rounding => &self.rounding,
            Stream::Bit => &self.bit,
        };
        held.as_deref()
    }

    /// Sets the numbers of a stream.
    pub fn set(&mut self, stream: Stream, levels: Vec<u64>) {
        let held = match stream {
            Stream::Init => &mut self.init,
            Stream::Order => &mut self.order,
            Stream::Augment => &mut self.augment,
            Stream::Dropout => &mut self.dropout,
            Stream::Data => &mut self.data,
            Stream::Rounding => &mut self.rounding,
            Stream::Bit => &mut self.bit,
        };
        *held = Some(levels);
    }
}

keys! {
    /// How many runs, and what differs between them.
    pub struct Sweep {
        /// How many networks are trained.
        runs: usize = 10, whole(1, 100_000);
        /// Root of every random stream.
        seed: u64 = 0, SEED;
        /// The random streams that differ between runs; the others are shared.
        vary: Vec<Stream> = vec![Stream::Init, Stream::Order, Stream::Augment, Stream::Dropout],
            set(&Stream::SHAPE, 0, Stream::ALL.len());
        /// Which seed of a varied stream each run draws from; without it, that of its own index.
        #[serde(skip_serializing_if = "Option::is_none")]
        levels: Option<Levels> = None, Levels::SHAPE;
        /// How many steps of training come before `bit` flips its bit; none and 0 flip an initial weight.
        #[serde(skip_serializing_if = "Option::is_none")]
        bit_step: Option<u64> = None, SEED;
    }
}

/// The epochs at which a run is recorded; the last epoch always is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Checkpoints {
    /// These epochs; 0 is before training.
    At(Vec<usize>),
    /// Epoch 0 and every so many epochs.
    Every {
        /// From 1.
        every: usize,
    },
}

impl Keyed for Checkpoints {
    const SHAPE: Shape = Shape::ListOr {
        list: &list(&EPOCH, 0, 10_000),
        table: &[Key::required("every", LATER_EPOCH, "Epoch 0 and every so many epochs.")],
    };
}

words! {
    /// Which kernel of the network is recorded.
    #[derive(PartialOrd, Ord)]
    pub enum KernelKind {
        /// Σ_c of the inner products of the gradients of output c.
        Trace = "trace",
        /// Inner products of the gradients of the sum of the outputs.
        Pseudo = "pseudo",
        /// Gram matrix of the last hidden activations.
        Conjugate = "conjugate",
        /// Sum of the Gram matrices of the outputs of all operations with parameters.
        Embedding = "embedding",
    }
}

keys! {
    /// The empirical NTK snapshots.
    #[derive(Eq)]
    pub struct Kernel {
        /// Which kernels are recorded.
        kinds: Vec<KernelKind> = vec![KernelKind::Trace], set(&KernelKind::SHAPE, 1, KernelKind::ALL.len());
        /// Class-balanced examples of the evaluation set on which the kernel is computed.
        probes: usize = 128, whole(2, 100_000);
    }
}

keys! {
    /// What is kept of every run.
    #[derive(Eq)]
    pub struct Record {
        /// The epochs at which a run is recorded: a list (0 is before training) or `{ every = N }`; the last epoch always is.
        checkpoints: Checkpoints = Checkpoints::At(vec![0]), Checkpoints::SHAPE;
        /// Snapshots of the empirical NTK at every checkpoint; none when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        kernel: Option<Kernel> = None, Kernel::SHAPE;
        /// Keep the weights at every checkpoint, not only at the last.
        weights: bool = false, Shape::Flag;
        /// Record the singular values of every weight matrix at every checkpoint, and the weights at epoch 0 if it is one, to tell how far
        /// they move.
        spectra: bool = false, Shape::Flag;
    }
}

words! {
    /// What a run is compared with.
    pub enum Reference {
        /// All other runs.
        LeaveOneOut = "leave-one-out",
        /// The half of the runs that it does not belong to.
        SplitHalf = "split-half",
    }
}

keys! {
    /// How runs are judged.
    pub struct Analysis {
        /// What a run is compared with: all other runs, or the half that it does not belong to.
        reference: Reference = Reference::LeaveOneOut, Reference::SHAPE;
        /// The chance that a healthy run's ECDF leaves the band by itself (Dvoretzky–Kiefer–Wolfowitz).
        epsilon: f64 = 0.01, PROBABILITY;
        /// Bootstrap resamples for `alpha_hat` and for intervals.
        bootstraps: usize = 100, whole(1, MILLION);
        /// Margins of at least this size are set to 0, as Banerjee 2025 does with 15.
        #[serde(skip_serializing_if = "Option::is_none")]
        clip: Option<f64> = None, above(0.0);
        /// `alpha_hat` by the letter of the published protocol: its reference is interpolated through atoms too.
        literal: bool = false, Shape::Flag;
        /// Seed of the bootstraps.
        seed: u64 = 0, SEED;
    }
}

keys! {
    /// When a run is called atypical.
    pub struct Flags {
        /// Limit of `alpha_relative`.
        alpha: f64 = 0.1, SHARE;
        /// Chance that a sweep of healthy runs has a flagged one; the limits of flags are computed from it.
        false_alarm: f64 = 0.05, PROBABILITY;
        /// A limit of the modified z-score in place of the computed one.
        #[serde(skip_serializing_if = "Option::is_none")]
        outlier: Option<f64> = None, above(0.0);
    }
}
