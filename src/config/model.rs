//! The architecture.

use crate::keys::{Keyed, SHARE, Shape, UNITS, kinds, list, whole, words};

words! {
    /// The non-linearity of a network.
    pub enum Activation {
        /// max(0, x)
        Relu = "relu",
        /// Hyperbolic tangent.
        Tanh = "tanh",
        /// x·Φ(x), exact.
        Gelu = "gelu",
    }
}

kinds! {
    /// The architecture.
    pub enum Model {
        /// Dense layers.
        Mlp = "mlp" {
            /// Width of each hidden layer; none makes a linear model.
            widths: Vec<usize> = vec![128], list(&UNITS, 0, 256);
            /// The non-linearity.
            activation: Activation = Activation::Relu, Activation::SHAPE;
            /// Probability that dropout zeroes a unit.
            dropout: f64 = 0.0, SHARE;
        }
        /// Blocks of convolution, optional batch norm, activation and max pooling; then dense layers.
        Cnn = "cnn" {
            /// Output channels of each block.
            channels: Vec<usize> = vec![32, 64], list(&UNITS, 1, 256);
            /// Side of the square kernel; padding keeps the image's size.
            kernel: usize = 3, Shape::Odd { max: 63 };
            /// Side and stride of the max pooling after each block; 1 is none.
            pool: usize = 2, whole(1, 64);
            /// Batch norm after each convolution.
            batch_norm: bool = false, Shape::Flag;
            /// Width of each hidden dense layer after the blocks.
            head: Vec<usize> = vec![], list(&UNITS, 0, 256);
            /// The non-linearity.
            activation: Activation = Activation::Relu, Activation::SHAPE;
            /// Probability that dropout zeroes an input of a dense layer.
            dropout: f64 = 0.0, SHARE;
        }
        /// Residual network for small images, with batch norm.
        Resnet = "resnet" {
            /// Number of layers, 6n + 2: 8, 14, 20, …
            depth: usize = 20, whole(8, 1202);
            /// Channels of the first of three stages; each next one doubles them.
            width: usize = 16, whole(1, 65_536);
        }
    }
}
