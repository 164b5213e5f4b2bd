//! Tables of keys: how a part of an experiment file is described once. From one table come the type that the program works
//! with, its defaults, the check of what a user wrote (unknown keys with the nearest known one, wrong types, ranges; all
//! mistakes in one go, each with its line), the JSON Schema for editors and `docs/keys.md`.
//!
//! Three macros make a type that is [`Keyed`]:
//!
//! - `keys!` a table: one field, its default and what it takes a line,
//! - `kinds!` a table whose key `kind` decides which other keys it has,
//! - `words!` a choice of words.
//!
//! ```text
//! keys! {
//!     /// How many runs, and what differs between them.
//!     pub struct Sweep {
//!         /// How many networks are trained.
//!         runs: usize = 10, whole(1, 100_000);
//!     }
//! }
//! ```
//!
//! A field without a default must be given. A field `Option<…> = None` is off when absent; it also needs
//! `#[serde(skip_serializing_if = "Option::is_none")]`. The doc comment is the meaning that users read.
//!
//! `check` holds a tree of values against a [`Shape`]; [`node`] reads and merges trees; `problem` puts everything that is
//! wrong into one message; `schema` writes schema and reference. Nothing here knows which keys there are: `config` puts the
//! whole experiment together, and other rooms may declare tables of their own.

pub(crate) mod check;
pub(crate) mod nearest;
pub mod node;
pub(crate) mod problem;
pub(crate) mod schema;
pub(crate) mod toml;

use serde_json::Value as Json;

pub use schema::KeyDoc;

/// A type that stands for a value of an experiment file.
pub trait Keyed {
    /// What the value takes.
    const SHAPE: Shape;
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// `true` or `false`.
    Flag,
    /// A whole number in a closed range.
    Whole {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// An odd whole number from 1 to this.
    Odd {
        /// The largest.
        max: u64,
    },
    /// A finite number in a range.
    Real(Range),
    /// Text that can name a directory everywhere.
    Name,
    /// A path.
    File,
    /// Any text that is not empty.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list.
    List {
        /// What its entries take: anything that is neither list nor table.
        of: &'static Shape,
        /// The fewest entries.
        min: usize,
        /// The most entries.
        max: usize,
        /// Whether no entry may occur twice.
        unique: bool,
    },
    /// A table of keys.
    Table(&'static [Key]),
    /// A table of names that the user chooses, each with a value of one shape: `rates = { fc = 10.0 }`.
    Map(&'static Shape),
    /// A table whose key `kind` decides which other keys it has.
    Kinds {
        /// The kind where none is given; none: it must be given.
        default: Option<&'static str>,
        /// The kinds in the order in which they are listed.
        kinds: &'static [Kind],
        /// Keys that every kind has besides its own.
        common: &'static [Key],
    },
    /// A list, or else a table.
    ListOr {
        /// The list.
        list: &'static Shape,
        /// The keys of the table.
        table: &'static [Key],
    },
    /// A value with a grammar of its own, such as a list of layers.
    Other(&'static dyn Grammar),
}

/// A value with a grammar of its own.
pub trait Grammar: std::fmt::Debug + Sync {
    /// The value in the form that its type is read from. What is wrong goes to `wrong`, a sentence each with the place of the
    /// value that it is about; the sentence begins with `path` where it names the key.
    fn check(&self, node: &node::Node, path: &str, wrong: &mut Vec<(node::Origin, String)>) -> Json;
    /// What it takes, in words, to follow "takes".
    fn takes(&self) -> String;
    /// Its JSON Schema.
    fn schema(&self) -> Json;
    /// A sound value, to go on checking with where there is none.
    fn stand_in(&self) -> Json;
}

/// A range of numbers that need not contain its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The lower end.
    pub low: f64,
    /// Whether the lower end belongs to the range.
    pub low_included: bool,
    /// The upper end, which never belongs to the range; infinite: there is none.
    pub high: f64,
}

impl Range {
    /// Whether the range has this number.
    #[must_use]
    pub fn contains(self, x: f64) -> bool {
        x.is_finite() && x < self.high && (x > self.low || (self.low_included && x == self.low))
    }
}

/// What holds where a key is not given.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// It must be given.
    Required,
    /// This value; null: nothing, the feature is off.
    Is(fn() -> Json),
}

impl Fallback {
    /// The default, if there is one.
    pub(crate) fn value(self) -> Option<Json> {
        match self {
            Self::Required => None,
            Self::Is(value) => Some(value()).filter(|value| !value.is_null()),
        }
    }

    /// Whether the key must be given.
    pub(crate) fn is_required(self) -> bool {
        matches!(self, Self::Required)
    }
}

/// One key of a table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As in the file.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// What holds where it is not given.
    pub fallback: Fallback,
    /// Lines of a doc comment, one after the other.
    pub(crate) doc: &'static str,
}

impl Key {
    /// A key that must be given.
    pub(crate) const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, fallback: Fallback::Required, doc }
    }

    /// What it means, for users.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        self.doc.trim()
    }
}

/// One variant of a table that has a `kind`.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// As in the file.
    pub name: &'static str,
    /// Lines of a doc comment, one after the other.
    pub(crate) doc: &'static str,
    /// The keys that it has besides `kind`.
    pub keys: &'static [Key],
}

impl Kind {
    /// What it means, for users.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        self.doc.trim()
    }
}

/// A whole number from `min` to `max`.
pub(crate) const fn whole(min: u64, max: u64) -> Shape {
    Shape::Whole { min, max }
}

/// A number of at least `low`.
pub(crate) const fn at_least(low: f64) -> Shape {
    Shape::Real(Range { low, low_included: true, high: f64::INFINITY })
}

/// A number above `low`.
pub(crate) const fn above(low: f64) -> Shape {
    Shape::Real(Range { low, low_included: false, high: f64::INFINITY })
}

/// A list of `min` to `max` entries.
pub(crate) const fn list(of: &'static Shape, min: usize, max: usize) -> Shape {
    Shape::List { of, min, max, unique: false }
}

/// A list of `min` to `max` entries, each once.
pub(crate) const fn set(of: &'static Shape, min: usize, max: usize) -> Shape {
    Shape::List { of, min, max, unique: true }
}

/// A number in `[0, 1)`.
pub(crate) const SHARE: Shape = Shape::Real(Range { low: 0.0, low_included: true, high: 1.0 });
/// A number in `(0, 1)`.
pub(crate) const PROBABILITY: Shape = Shape::Real(Range { low: 0.0, low_included: false, high: 1.0 });
/// A seed; TOML's whole numbers end here.
pub(crate) const SEED: Shape = whole(0, i64::MAX as u64);
/// A million.
pub(crate) const MILLION: u64 = 1_000_000;
/// An epoch; 0 is before training.
pub(crate) const EPOCH: Shape = whole(0, MILLION);
/// An epoch after training has begun.
pub(crate) const LATER_EPOCH: Shape = whole(1, MILLION);
/// The width of a layer.
pub(crate) const UNITS: Shape = whole(1, MILLION);

/// A default as it stands in a resolved file. What our types hold is plain data, which always becomes JSON.
pub(crate) fn plain<T: serde::Serialize>(value: T) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

/// Declares a table of keys: a struct with the fields `name: Type = default, what it takes;`. Where every field has a default,
/// the struct is [`Default`].
macro_rules! keys {
    // Every key has a default.
    ($(#[doc = $about:literal])* $(#[derive($($derive:ident),+)])? pub struct $name:ident {
        $($(#[doc = $doc:literal])+ $(#[serde $serde:tt])? $key:ident: $ty:ty = $default:expr, $shape:expr;)*
    }) => {
        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default),* }
            }
        }
        $crate::keys::keys! { @table $(#[doc = $about])* $(#[derive($($derive),+)])? pub struct $name {
            $($(#[doc = $doc])+ $(#[serde $serde])? $key: $ty = $default, $shape;)*
        } }
    };
    ($(#[doc = $about:literal])* $(#[derive($($derive:ident),+)])? pub struct $name:ident { $($rest:tt)* }) => {
        $crate::keys::keys! { @table $(#[doc = $about])* $(#[derive($($derive),+)])? pub struct $name { $($rest)* } }
    };
    (@table $(#[doc = $about:literal])* $(#[derive($($derive:ident),+)])? pub struct $name:ident {
        $($(#[doc = $doc:literal])+ $(#[serde $serde:tt])? $key:ident: $ty:ty $(= $default:expr)?, $shape:expr;)*
    }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize $($(, $derive)+)?)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $doc])+ $(#[serde $serde])? pub $key: $ty,)*
        }
        impl $name {
            /// Its keys.
            pub const KEYS: &'static [$crate::keys::Key] = &[$($crate::keys::Key {
                name: stringify!($key),
                shape: $shape,
                fallback: $crate::keys::keys!(@fallback $ty $(, $default)?),
                doc: concat!($($doc),+),
            }),*];
        }
        impl $crate::keys::Keyed for $name {
            const SHAPE: $crate::keys::Shape = $crate::keys::Shape::Table(Self::KEYS);
        }
    };
    (@fallback $ty:ty) => { $crate::keys::Fallback::Required };
    (@fallback $ty:ty, $default:expr) => { $crate::keys::Fallback::Is(|| $crate::keys::plain::<$ty>($default)) };
}

/// Declares a table that has a `kind`: an enum with a variant for each kind, its name in the file, and its keys as in
/// `keys!`. `= "name"` after the enum's name is the kind where none is given.
macro_rules! kinds {
    ($(#[doc = $about:literal])* $(#[derive($($derive:ident),+)])? pub enum $name:ident $(= $fallback:literal)? {
        $($(#[doc = $means:literal])+ $variant:ident = $word:literal {
            $($(#[doc = $doc:literal])+ $(#[serde $serde:tt])? $key:ident: $ty:ty $(= $default:expr)?, $shape:expr;)*
        })*
    }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize $($(, $derive)+)?)]
        #[serde(tag = "kind", deny_unknown_fields)]
        pub enum $name {
            $($(#[doc = $means])+ #[serde(rename = $word)] $variant {
                $($(#[doc = $doc])+ $(#[serde $serde])? $key: $ty,)*
            },)*
        }
        impl $name {
            /// Its kinds.
            pub const KINDS: &'static [$crate::keys::Kind] = &[$($crate::keys::Kind {
                name: $word,
                doc: concat!($($means),+),
                keys: &[$($crate::keys::Key {
                    name: stringify!($key),
                    shape: $shape,
                    fallback: $crate::keys::keys!(@fallback $ty $(, $default)?),
                    doc: concat!($($doc),+),
                }),*],
            }),*];

            /// The name of its kind, as in the file.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $word),* }
            }
        }
        impl $crate::keys::Keyed for $name {
            const SHAPE: $crate::keys::Shape = $crate::keys::Shape::Kinds {
                default: $crate::keys::kinds!(@default $($fallback)?),
                kinds: Self::KINDS,
                common: &[],
            };
        }
    };
    (@default) => { None };
    (@default $word:literal) => { Some($word) };
}

/// Declares a choice of words: an enum with the word of each variant in the file.
macro_rules! words {
    ($(#[doc = $about:literal])* $(#[derive($($derive:ident),+)])? pub enum $name:ident {
        $($(#[doc = $means:literal])+ $variant:ident = $word:literal,)*
    }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize $($(, $derive)+)?)]
        pub enum $name {
            $($(#[doc = $means])+ #[serde(rename = $word)] $variant,)*
        }
        impl $name {
            /// All of them, in the order of this list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// Their words, in the same order.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// As in the file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
        impl $crate::keys::Keyed for $name {
            const SHAPE: $crate::keys::Shape = $crate::keys::Shape::Choice(Self::WORDS);
        }
    };
}

pub(crate) use {keys, kinds, words};
