//! Every key of an experiment file: its name, what it takes, its default and its meaning. The one source for messages about
//! unknown keys and wrong values, for the editor schema and for the reference in the README. A test keeps it in step with
//! the types.

/// What a key takes.
#[derive(Debug)]
pub(super) enum Shape {
    /// `true` or `false`.
    Flag,
    /// A whole number in a closed range.
    Whole { min: u64, max: u64 },
    /// An odd whole number from 1 to this.
    Odd { max: u64 },
    /// A finite number in a range.
    Real(Range),
    /// Text that can name a directory everywhere.
    Name,
    /// A path.
    File,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list.
    List { of: &'static Shape, min: usize, max: usize, unique: bool },
    /// A table of keys.
    Table(&'static [Key]),
    /// A table whose key `kind` decides which other keys it has.
    Kinds { default: Option<&'static str>, kinds: &'static [Kind] },
    /// A list, or else a table.
    ListOr { list: &'static Shape, table: &'static [Key] },
}

/// A range of numbers that need not contain its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub low: f64,
    pub low_included: bool,
    /// Infinite: no upper end.
    pub high: f64,
}

impl Range {
    /// The upper end never belongs to the range.
    pub fn contains(self, x: f64) -> bool {
        x.is_finite() && x < self.high && (x > self.low || (self.low_included && x == self.low))
    }
}

/// What holds where a key is not given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fallback {
    /// It must be given.
    Required,
    /// Nothing: the feature is off.
    Absent,
    /// This value, as TOML.
    Is(&'static str),
    /// The defaults of its own keys.
    Inner,
}

/// One key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub name: &'static str,
    pub shape: Shape,
    pub fallback: Fallback,
    pub meaning: &'static str,
}

/// One variant of a table that has a `kind`.
#[derive(Debug)]
pub(super) struct Kind {
    pub name: &'static str,
    pub meaning: &'static str,
    pub keys: &'static [Key],
}

const fn key(name: &'static str, shape: Shape, fallback: Fallback, meaning: &'static str) -> Key {
    Key { name, shape, fallback, meaning }
}

const fn whole(min: u64, max: u64) -> Shape {
    Shape::Whole { min, max }
}

/// At least `low`.
const fn from(low: f64) -> Shape {
    Shape::Real(Range { low, low_included: true, high: f64::INFINITY })
}

/// More than `low`.
const fn above(low: f64) -> Shape {
    Shape::Real(Range { low, low_included: false, high: f64::INFINITY })
}

/// `[0, 1)`
const SHARE: Shape = Shape::Real(Range { low: 0.0, low_included: true, high: 1.0 });
/// `(0, 1)`
const PROBABILITY: Shape = Shape::Real(Range { low: 0.0, low_included: false, high: 1.0 });
/// TOML's whole numbers end here.
const SEED: Shape = whole(0, i64::MAX as u64);
const MILLION: u64 = 1_000_000;
const EPOCH: Shape = whole(0, MILLION);
const LATER_EPOCH: Shape = whole(1, MILLION);
const UNITS: Shape = whole(1, MILLION);
const CLASS: Shape = whole(0, MILLION - 1);

const ACTIVATION: Shape = Shape::Choice(&["relu", "tanh", "gelu"]);
const STREAM: Shape = Shape::Choice(&["init", "order", "augment", "dropout", "bit"]);
const KERNEL_KIND: Shape = Shape::Choice(&["trace", "pseudo", "conjugate"]);

use Fallback::{Absent, Inner, Is, Required};

/// The whole file.
pub(super) static EXPERIMENT: Shape = Shape::Table(&[
    key("name", Shape::Name, Required, "Names the sweep's directory: letters, digits, `-`, `_` and `.`."),
    key("data", Shape::Table(DATA), Required, "What the networks learn from and are judged on."),
    key("model", Shape::Kinds { default: None, kinds: MODELS }, Required, "The architecture."),
    key("train", Shape::Table(TRAIN), Inner, "How one network is trained."),
    key("sweep", Shape::Table(SWEEP), Inner, "How many runs, and what differs between them."),
    key("record", Shape::Table(RECORD), Inner, "What is kept of every run."),
    key("analysis", Shape::Table(ANALYSIS), Inner, "How runs are judged."),
    key("flags", Shape::Table(FLAGS), Inner, "When a run is called atypical."),
]);

const DATA: &[Key] = &[
    key(
        "dataset",
        Shape::Choice(&["digits", "mnist", "fashion-mnist", "cifar10", "npz"]),
        Required,
        "Which data set: `digits` is embedded in the program, `npz` is a file of your own.",
    ),
    key(
        "path",
        Shape::File,
        Absent,
        "Folder of the files (npz: the file), from where the program is started; not for `digits`.",
    ),
    key(
        "classes",
        Shape::List { of: &CLASS, min: 2, max: 10_000, unique: true },
        Absent,
        "The classes that are kept; labels are renumbered in this order. All when absent.",
    ),
    key(
        "train_limit",
        whole(1, 1_000_000_000_000),
        Absent,
        "At most this many training examples, class-balanced, chosen by `data.seed`.",
    ),
    key(
        "eval_limit",
        whole(1, 1_000_000_000_000),
        Absent,
        "At most this many evaluation examples, class-balanced, chosen by `data.seed`.",
    ),
    key("seed", SEED, Is("0"), "Chooses the examples of the limits and the probe set."),
    key("augment", Shape::Table(AUGMENT), Inner, "Random changes of the training images, drawn anew in every epoch."),
];

const AUGMENT: &[Key] = &[
    key("flip", Shape::Flag, Is("false"), "Mirror left to right with probability one half."),
    key(
        "crop",
        whole(0, 65_535),
        Is("0"),
        "Pad by this many reflected pixels, then crop back at a random place; 0 is off.",
    ),
    key("cutout", whole(0, 65_535), Is("0"), "Side in pixels of a random square set to the mean; 0 is off."),
];

const MODELS: &[Kind] = &[
    Kind {
        name: "mlp",
        meaning: "Dense layers.",
        keys: &[
            key(
                "widths",
                Shape::List { of: &UNITS, min: 0, max: 256, unique: false },
                Is("[128]"),
                "Width of each hidden layer; none makes a linear model.",
            ),
            key("activation", ACTIVATION, Is("\"relu\""), "The non-linearity."),
            key("dropout", SHARE, Is("0.0"), "Probability that dropout zeroes a unit."),
        ],
    },
    Kind {
        name: "cnn",
        meaning: "Blocks of convolution, optional batch norm, activation and max pooling; then dense layers.",
        keys: &[
            key(
                "channels",
                Shape::List { of: &UNITS, min: 1, max: 256, unique: false },
                Is("[32, 64]"),
                "Output channels of each block.",
            ),
            key(
                "kernel",
                Shape::Odd { max: 63 },
                Is("3"),
                "Side of the square kernel; padding keeps the image's size.",
            ),
            key("pool", whole(1, 64), Is("2"), "Side and stride of the max pooling after each block; 1 is none."),
            key("batch_norm", Shape::Flag, Is("false"), "Batch norm after each convolution."),
            key(
                "head",
                Shape::List { of: &UNITS, min: 0, max: 256, unique: false },
                Is("[]"),
                "Width of each hidden dense layer after the blocks.",
            ),
            key("activation", ACTIVATION, Is("\"relu\""), "The non-linearity."),
            key("dropout", SHARE, Is("0.0"), "Probability that dropout zeroes an input of a dense layer."),
        ],
    },
    Kind {
        name: "resnet",
        meaning: "Residual network for small images, with batch norm.",
        keys: &[
            key("depth", whole(8, 1202), Is("20"), "Number of layers, 6n + 2: 8, 14, 20, …"),
            key(
                "width",
                whole(1, 65_536),
                Is("16"),
                "Channels of the first of three stages; each next one doubles them.",
            ),
        ],
    },
];

const TRAIN: &[Key] = &[
    key("epochs", LATER_EPOCH, Is("10"), "Passes over the training set."),
    key("batch_size", whole(1, MILLION), Is("128"), "Examples per step."),
    key(
        "optimizer",
        Shape::Kinds { default: Some("sgd"), kinds: OPTIMIZERS },
        Inner,
        "The optimiser; weight decay spares biases and the parameters of norms.",
    ),
    key(
        "schedule",
        Shape::Kinds { default: Some("one-cycle"), kinds: SCHEDULES },
        Inner,
        "The learning rate over training.",
    ),
    key("label_smoothing", SHARE, Is("0.0"), "Share of the target that is spread over all classes."),
    key(
        "backend",
        Shape::Choice(&["flex", "ndarray", "wgpu"]),
        Is("\"flex\""),
        "What the tensors run on; `ndarray` and `wgpu` are Cargo features.",
    ),
];

const BETA1: Key = key("beta1", SHARE, Is("0.9"), "Decay of the mean of the gradients.");
const BETA2: Key = key("beta2", SHARE, Is("0.999"), "Decay of the mean of the squared gradients.");
const ADAM_EPSILON: Key = key("epsilon", above(0.0), Is("1e-8"), "Added to the denominator.");

const OPTIMIZERS: &[Kind] = &[
    Kind {
        name: "sgd",
        meaning: "Stochastic gradient descent with zero dampening.",
        keys: &[
            key("momentum", SHARE, Is("0.9"), "Momentum; 0 is plain gradient descent."),
            key("nesterov", Shape::Flag, Is("false"), "Nesterov's form of the momentum."),
            key("weight_decay", from(0.0), Is("0.0"), "Added to the gradient, times the weight."),
        ],
    },
    Kind {
        name: "adam",
        meaning: "Adam with weight decay added to the gradient.",
        keys: &[
            BETA1,
            BETA2,
            ADAM_EPSILON,
            key("weight_decay", from(0.0), Is("0.0"), "Added to the gradient, times the weight."),
        ],
    },
    Kind {
        name: "adamw",
        meaning: "Adam with decoupled weight decay.",
        keys: &[
            BETA1,
            BETA2,
            ADAM_EPSILON,
            key(
                "weight_decay",
                from(0.0),
                Is("0.01"),
                "Shrinks the weight by this share of the learning rate at each step.",
            ),
        ],
    },
];

const RATE: Key = key("rate", from(0.0), Required, "The learning rate.");
const WARMUP: Key = key("warmup", SHARE, Is("0.0"), "Share of all steps over which the rate rises linearly from zero.");
const END: Key = key("end", from(0.0), Is("0.0"), "The rate at the end.");

const SCHEDULES: &[Kind] = &[
    Kind { name: "constant", meaning: "One rate.", keys: &[RATE, WARMUP] },
    Kind {
        name: "step",
        meaning: "Multiplied by a factor at some epochs.",
        keys: &[
            RATE,
            key(
                "at",
                Shape::List { of: &LATER_EPOCH, min: 1, max: 10_000, unique: true },
                Required,
                "The epochs after which the rate is multiplied.",
            ),
            key("factor", above(0.0), Is("0.1"), "What the rate is multiplied by."),
            WARMUP,
        ],
    },
    Kind { name: "cosine", meaning: "Half a cosine from `rate` to `end`.", keys: &[RATE, END, WARMUP] },
    Kind { name: "linear", meaning: "A straight line from `rate` to `end`.", keys: &[RATE, END, WARMUP] },
    Kind {
        name: "one-cycle",
        meaning: "Straight up from `peak`/25, then straight down to `peak`/10,000.",
        keys: &[
            key("peak", from(0.0), Is("0.1"), "The highest learning rate."),
            key("warmup", SHARE, Is("0.3"), "Share of all steps over which the rate rises."),
        ],
    },
];

const SWEEP: &[Key] = &[
    key("runs", whole(1, 100_000), Is("10"), "How many networks are trained."),
    key("seed", SEED, Is("0"), "Root of every random stream."),
    key(
        "vary",
        Shape::List { of: &STREAM, min: 0, max: 5, unique: true },
        Is("[\"init\", \"order\", \"augment\", \"dropout\"]"),
        "The random streams that differ between runs; the others are shared.",
    ),
];

const RECORD: &[Key] = &[
    key(
        "checkpoints",
        Shape::ListOr {
            list: &Shape::List { of: &EPOCH, min: 0, max: 10_000, unique: false },
            table: &[key("every", LATER_EPOCH, Required, "Epoch 0 and every so many epochs.")],
        },
        Is("[0]"),
        "The epochs at which a run is recorded: a list (0 is before training) or `{ every = N }`; the last epoch always is.",
    ),
    key(
        "kernel",
        Shape::Table(KERNEL),
        Absent,
        "Snapshots of the empirical NTK at every checkpoint; none when absent.",
    ),
    key("weights", Shape::Flag, Is("false"), "Keep the weights at every checkpoint, not only at the last."),
    key("spectra", Shape::Flag, Is("false"), "Record the singular values of every weight matrix at every checkpoint."),
];

const KERNEL: &[Key] = &[
    key(
        "kinds",
        Shape::List { of: &KERNEL_KIND, min: 1, max: 3, unique: true },
        Is("[\"trace\"]"),
        "Which kernels are recorded.",
    ),
    key(
        "probes",
        whole(2, 100_000),
        Is("128"),
        "Class-balanced examples of the evaluation set on which the kernel is computed.",
    ),
];

const ANALYSIS: &[Key] = &[
    key(
        "reference",
        Shape::Choice(&["leave-one-out", "split-half"]),
        Is("\"leave-one-out\""),
        "What a run is compared with: all other runs, or the half that it does not belong to.",
    ),
    key(
        "epsilon",
        PROBABILITY,
        Is("0.01"),
        "The chance that a healthy run's ECDF leaves the band by itself (Dvoretzky–Kiefer–Wolfowitz).",
    ),
    key("bootstraps", whole(1, MILLION), Is("100"), "Bootstrap resamples for `alpha_hat` and for intervals."),
    key("clip", above(0.0), Absent, "Margins of at least this size are set to 0, as Banerjee 2025 does with 15."),
    key(
        "literal",
        Shape::Flag,
        Is("false"),
        "`alpha_hat` by the letter of the published protocol: its reference is interpolated through atoms too.",
    ),
    key("seed", SEED, Is("0"), "Seed of the bootstraps."),
];

const FLAGS: &[Key] = &[
    key("alpha", SHARE, Is("0.1"), "Limit of `alpha_relative`."),
    key(
        "false_alarm",
        PROBABILITY,
        Is("0.05"),
        "Chance that a sweep of healthy runs has a flagged one; the limits of flags are computed from it.",
    ),
    key("outlier", above(0.0), Absent, "A limit of the modified z-score in place of the computed one."),
];
