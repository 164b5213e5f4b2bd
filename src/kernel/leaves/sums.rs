//! Where the gradients are put together: on the host in the kernel's own sums, on any other device there, so that nothing but the
//! finished sums leaves it.

use burn::tensor::{Device, Tensor, TensorData, s};

use crate::kernel::projection::Signs;
use crate::kernel::target::{Pairs, Rows, Target};

/// Rows of the triangle that one product makes on a device: there are about as many launches as rows over this.
const BAND: usize = 64;

/// Sums of inner products over n examples and S outputs.
pub(super) struct Sums<'t> {
    target: &'t mut Target,
    /// What is summed on a device, as many values as the target has; None on the host.
    device: Option<Tensor<1>>,
}

impl<'t> Sums<'t> {
    pub fn new(target: &'t mut Target, device: &Device) -> Self {
        if on_host(device) { Self { target, device: None } } else { Self::on_device(target, device) }
    }

    /// Sums that stay on the device until they are finished.
    pub fn on_device(target: &'t mut Target, device: &Device) -> Self {
        let sums = Tensor::zeros([target.len()], &device.clone().inner());
        Self { target, device: Some(sums) }
    }

    pub fn target(&self) -> &Target {
        self.target
    }

    /// Adds the products of gradients `[n, S, length]` of the parameters from `offset` on.
    pub fn add_rows(&mut self, rows: Tensor<3>, offset: usize) {
        let [examples, outputs, length] = rows.dims();
        let Self { target, device } = self;
        match device {
            None => {
                let values = host(rows);
                target.add_rows(&Rows { values: &values, examples, outputs, length, offset });
            }
            Some(sums) => {
                let more = match target {
                    Target::Sum(_) => {
                        // Side by side: [n, S · length].
                        triangle(rows.reshape([1, examples, outputs * length]))
                    }
                    Target::Each(_) => triangle(rows.swap_dims(0, 1)),
                    Target::Full(_) => triangle(rows.reshape([1, examples * outputs, length])),
                    Target::Projected { signs, .. } => project(*signs, rows, offset),
                };
                add(sums, more);
            }
        }
    }

    /// Adds the products of gradients that are sums over T positions of outer products of inputs `[n, T, in]` and cotangents
    /// `[n, S, channels, T]`, without forming them: ⟨Σ_t g_t x_tᵀ, Σ_u g'_u x'_uᵀ⟩ = Σ_{t,u} ⟨g_t, g'_u⟩ ⟨x_t, x'_u⟩.
    pub fn add_outer(&mut self, inputs: Tensor<3>, cotangent: &Tensor<4>) {
        let [examples, outputs, channels, positions] = cotangent.dims();
        let size = inputs.dims()[2];
        let gradients = cotangent.clone().permute([0, 3, 1, 2]);
        let Self { target, device } = self;
        match device {
            None => {
                let (inputs, gradients) = (host(inputs), host(gradients));
                let bias = false;
                target.add_pairs(&Pairs { inputs: &inputs, gradients: &gradients, examples, positions, outputs, bias });
            }
            Some(sums) => {
                let rows = examples * positions;
                let inputs = inputs.reshape([rows, size]);
                let inputs = inputs.clone().matmul(inputs.transpose());
                // The sum over both positions of the product with the inputs' Gram matrix.
                let contracted = |left: Tensor<2>, right: Tensor<2>| {
                    let product = left.matmul(right.transpose()) * inputs.clone();
                    product
                        .reshape([examples, positions, examples, positions])
                        .sum_dim(3)
                        .sum_dim(1)
                        .reshape([examples, examples])
                };
                let of = |output: usize| {
                    gradients.clone().slice(s![.., .., output..output + 1, ..]).reshape([rows, channels])
                };
                let more = match target {
                    Target::Sum(_) => {
                        let all = gradients.reshape([rows, outputs * channels]);
                        contracted(all.clone(), all).reshape([-1])
                    }
                    Target::Each(_) => {
                        let each = (0..outputs).map(|s| contracted(of(s), of(s)).reshape([-1]));
                        Tensor::cat(each.collect(), 0)
                    }
                    Target::Full(_) => {
                        let pairs = (0..outputs * outputs).map(|at| contracted(of(at / outputs), of(at % outputs)));
                        let all: Tensor<3> = Tensor::stack(pairs.collect(), 0);
                        let all = all.reshape([outputs, outputs, examples, examples]).permute([2, 0, 3, 1]);
                        all.reshape([-1])
                    }
                    Target::Projected { .. } => unreachable!("a projection needs the gradients themselves"),
                };
                add(sums, more);
            }
        }
    }

    /// Brings what stands on a device to the target.
    pub fn finish(self) {
        if let Some(sums) = self.device {
            self.target.add_values(&host(sums));
        }
    }
}

/// Whether a device computes in the host's memory.
pub fn on_host(device: &Device) -> bool {
    let device = device.clone().inner();
    #[cfg(feature = "ndarray")]
    #[allow(deprecated, reason = "kept on purpose, to compare with")]
    if device == Device::ndarray() {
        return true;
    }
    device == Device::flex()
}

fn add(sums: &mut Tensor<1>, more: Tensor<1>) {
    *sums = sums.clone() + more;
}

/// Products of the rows of each matrix of `[m, n, columns]` with each other, flat `[m · n · n]`; above the diagonal bands are left 0.
fn triangle(rows: Tensor<3>) -> Tensor<1> {
    let n = rows.dims()[1];
    let bands = (0..n).step_by(BAND).map(|first| {
        let last = (first + BAND).min(n);
        let left = rows.clone().slice(s![.., first..last, ..]);
        let band = left.matmul(rows.clone().slice(s![.., 0..last, ..]).swap_dims(1, 2));
        if last == n { band } else { band.pad([(0, 0), (0, 0), (0, n - last)], 0.0) }
    });
    Tensor::cat(bands.collect(), 1).reshape([-1])
}

/// `[n, S, length]` times the signs of these parameters: `[n · S · K]`.
fn project(signs: Signs, rows: Tensor<3>, offset: usize) -> Tensor<1> {
    let [n, outputs, length] = rows.dims();
    let data = TensorData::new(signs.rows(offset, length), [length, signs.dimensions()]);
    let matrix = Tensor::<2>::from_data(data, &rows.device());
    rows.reshape([n * outputs, length]).matmul(matrix).reshape([-1])
}

/// The values of a tensor, row-major.
pub(super) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("networks compute in f32")
}
