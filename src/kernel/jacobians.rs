//! Kernels of a network on a set of probes: which route is taken, which passes are made, and how they fit into memory.

use burn::module::Module;
use burn::tensor::Device;

use super::examples::ExamplePasses;
use super::host::{HostNetwork, HostPasses};
use super::kind::{Draw, Kind};
use super::leaves::{LeafPasses, on_host};
use super::projection::Signs;
use super::route::{Passes, Recorded, check_probes};
use super::target::{Rows, Target};
use crate::error::{Error, Result};
use crate::model::{HostTensor, Mode, Network, Plan};

/// Bytes of working memory where nobody says otherwise.
pub const DEFAULT_BUDGET: usize = 512 << 20;

/// A trained network of which kernels can be taken, all trainable parameters counted, batch norms in evaluation mode (docs/definitions.md,
/// "Trace NTK").
///
/// Products are in f32, their sums in f64; the bits do not depend on the number of threads. A budget bounds the bytes of working memory,
/// about: where they are short, fewer outputs are followed at a time, then fewer examples, with passes repeated. The cost is
/// linear in the classes and quadratic in the probes P at most.
pub struct Jacobians {
    network: Network,
    input: [usize; 3],
    classes: usize,
    host: Option<HostPasses>,
    leaves: LeafPasses,
    budget: usize,
    /// The route that is taken whatever it costs.
    forced: Option<Route>,
}

/// How the gradients of an exact kernel are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// On the host, with our own kernels that leave out what is zero: networks of convolutions with dense layers at the end.
    Host,
    /// On the network's device, through a zero at the output of every operation with parameters: any network.
    Leaves,
    /// Example by example: the oracle, and the last resort.
    Examples,
}

impl Route {
    /// As records name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Leaves => "leaves",
            Self::Examples => "examples",
        }
    }
}

/// A kernel as it was computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// `[P, P]` (full: `[P · C, P · C]`) row-major, symmetric, unnormalised.
    pub values: Vec<f32>,
    /// Of an estimate, estimated: ‖K̂ − K‖ / ‖K̂‖ in the Frobenius norm, the standard error of the mean over the samples.
    pub error: Option<f64>,
    /// How the gradients were found, where it needs them.
    pub route: Option<Route>,
}

impl Jacobians {
    /// Takes a plan's network as it stands on its device, which has automatic differentiation.
    ///
    /// # Errors
    /// `Invalid` if a weight is not finite or a variance negative.
    pub fn new(plan: &Plan, network: Network, budget: usize) -> Result<Self> {
        let device = network.devices().into_iter().next();
        let device = device.ok_or_else(|| Error::Invalid("a network without parameters has no kernel".into()))?;
        let host = match on_host(&device) {
            true => HostNetwork::new(plan, &network.to_host())?.map(|host| HostPasses::new(host, budget)),
            false => None,
        };
        let leaves = LeafPasses::new(network.clone(), plan.input.padded(), plan.classes, device, budget);
        let (input, classes) = (plan.input.padded(), plan.classes);
        Ok(Self { network, input, classes, host, leaves, budget, forced: None })
    }

    /// A plan's network of these weights, on the CPU.
    ///
    /// # Errors
    /// As for [`Self::new`], and `Invalid` if the weights are not the plan's.
    pub fn from_weights(plan: &Plan, weights: Vec<HostTensor>, budget: usize) -> Result<Self> {
        crate::ops::keep_freed();
        Self::new(plan, Network::new(plan, weights, &Device::flex().autodiff())?, budget)
    }

    /// The same with a route of the caller's choice.
    ///
    /// # Errors
    /// `Invalid` where that route does not serve this network.
    #[cfg(test)]
    pub fn with_route(self, route: Route) -> Result<Self> {
        if route == Route::Host && self.host.is_none() {
            return Err(Error::Invalid(
                "the host route serves networks of plain convolutions with dense layers at their end, on the CPU; this one is not".into(),
            ));
        }
        Ok(Self { forced: Some(route), ..self })
    }

    /// Number of outputs C.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Values of one example.
    #[must_use]
    pub fn example_len(&self) -> usize {
        self.input.iter().product()
    }

    /// The route to a kernel of P examples that follows S outputs at a time: of those that fit into memory, the one of the fewest
    /// operations.
    #[must_use]
    pub fn route(&self, examples: usize, outputs: usize) -> Route {
        if let Some(route) = self.forced {
            return route;
        }
        // Passes over single examples use a machine badly, so that each counts several times.
        const SINGLE: f64 = 8.0;
        let leaves = self.leaves.operations(examples, outputs);
        let host = self.host.as_ref().map(|host| (Route::Host, host.operations(examples, outputs)));
        let routes = host.into_iter().chain([(Route::Leaves, leaves), (Route::Examples, SINGLE * leaves)]);
        let fits = |route: &(Route, f64)| {
            self.with_passes(route.0, |passes| passes.examples_at_once(examples, 1))
                .is_ok_and(|most| most >= examples.min(2))
        };
        let best = routes.filter(fits).min_by(|a, b| a.1.total_cmp(&b.1));
        best.map_or(Route::Leaves, |(route, _)| route)
    }

    /// Logits `[P, C]` of probes `[P, channels · height · width]`.
    ///
    /// # Errors
    /// `Invalid` if the probes are not whole examples, or they or the logits are not finite.
    pub fn logits(&self, probes: &[f32]) -> Result<Vec<f32>> {
        self.leaves.logits(probes)
    }

    /// The kernel of that kind on probes `[P, channels · height · width]`. The cost of the full kernel is quadratic in C too.
    ///
    /// # Errors
    /// As for [`Self::logits`], and `Invalid` if the network has no dense layer (conjugate kernel only), the budget is too small (the
    /// message says what is needed), a projection has no dimensions or an estimate fewer than 2 samples.
    pub fn kernel(&self, probes: &[f32], kind: Kind, draw: &Draw) -> Result<Computed> {
        let examples = check_probes(probes, self.input)?;
        let route = self.route(examples, if kind == Kind::Estimate { draw.samples } else { self.classes });
        let (values, error) = match kind {
            Kind::Trace => (self.summed(probes, route, &identity(self.classes))?, None),
            Kind::Pseudo => (self.summed(probes, route, &vec![1.0; self.classes])?, None),
            Kind::Conjugate => (self.hidden(probes, false)?, None),
            Kind::Embedding => (self.hidden(probes, true)?, None),
            Kind::Projected => (self.projected(probes, route, Signs::new(draw.seed, draw.dimensions))?, None),
            Kind::Full => (self.full(probes, route)?, None),
            Kind::Estimate => {
                let (values, error) = self.estimate(probes, route, draw)?;
                (values, Some(error))
            }
        };
        Ok(Computed { values, error, route: kind.follows_gradients().then_some(route) })
    }

    fn full(&self, probes: &[f32], route: Route) -> Result<Vec<f32>> {
        let classes = self.classes;
        self.in_blocks(probes, route, classes, |recorded| {
            let side = recorded.examples() * classes;
            let mut target = Target::Full(vec![0.0; side * side]);
            recorded.reverse(&identity(classes), &mut target);
            vec![target.into_values()]
        })
        .and_then(one)
    }

    /// Gradients projected by the same signs for all classes (Engel 2024).
    fn projected(&self, probes: &[f32], route: Route, signs: Signs) -> Result<Vec<f32>> {
        let k = signs.dimensions();
        if k == 0 {
            return Err(Error::Invalid("a projection needs at least 1 dimension".into()));
        }
        self.in_blocks(probes, route, 1, |recorded| {
            let examples = recorded.examples();
            let mut kernel = Target::Sum(vec![0.0; examples * examples]);
            for combinations in passes(recorded, &identity(self.classes), self.classes) {
                let outputs = combinations.len() / self.classes;
                let mut target = Target::Projected { signs, values: vec![0.0; examples * outputs * k] };
                recorded.reverse(combinations, &mut target);
                if let Target::Projected { values, .. } = target {
                    kernel.add_rows(&Rows { values: &values, examples, outputs, length: k, offset: 0 });
                }
            }
            vec![kernel.into_values()]
        })
        .and_then(one)
    }

    /// The trace kernel from `samples` reverse passes instead of one for each class, and its relative error: with random signs v,
    /// E[⟨Σ_c v_c J^c(x), Σ_c v_c J^c(x')⟩] is the trace kernel (Hutchinson 1990). Worth it where C is far above `samples`.
    fn estimate(&self, probes: &[f32], route: Route, draw: &Draw) -> Result<(Vec<f32>, f64)> {
        let Draw { samples, seed, .. } = *draw;
        if samples < 2 {
            return Err(Error::Invalid(format!("{samples} samples tell nothing about the error: use at least 2")));
        }
        let signs: Vec<f32> = Signs::new(seed, self.classes).rows(0, samples).iter().map(|v| v.signum()).collect();
        // Sum and sum of squares over the samples.
        let sums = self.in_blocks(probes, route, 1, |recorded| {
            let count = recorded.examples() * recorded.examples();
            let (mut sum, mut squares) = (vec![0.0; count], vec![0.0; count]);
            for combinations in passes(recorded, &signs, self.classes) {
                let mut target = Target::Each(vec![0.0; combinations.len() / self.classes * count]);
                recorded.reverse(combinations, &mut target);
                for kernel in target.into_values().chunks_exact(count) {
                    sum.iter_mut().zip(kernel).for_each(|(s, v)| *s += v);
                    squares.iter_mut().zip(kernel).for_each(|(s, v)| *s += v * v);
                }
            }
            vec![sum, squares]
        })?;
        let n = samples as f64;
        let (kernel, variance): (Vec<f32>, Vec<f64>) = sums[0]
            .iter()
            .zip(&sums[1])
            .map(|(&sum, &squares)| {
                let mean = f64::from(sum) / n;
                (mean as f32, (f64::from(squares) / n - mean * mean).max(0.0) / (n - 1.0))
            })
            .unzip();
        let norm = kernel.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
        let error = if norm > 0.0 { (variance.iter().sum::<f64>() / norm).sqrt() } else { 0.0 };
        Ok((kernel, error))
    }

    /// The sum over combinations of the logits `[S, C]` of the kernels of their gradients.
    fn summed(&self, probes: &[f32], route: Route, combinations: &[f32]) -> Result<Vec<f32>> {
        self.in_blocks(probes, route, 1, |recorded| {
            let mut target = Target::Sum(vec![0.0; recorded.examples() * recorded.examples()]);
            passes(recorded, combinations, self.classes).for_each(|each| recorded.reverse(each, &mut target));
            vec![target.into_values()]
        })
        .and_then(one)
    }

    /// The Gram matrix of the last hidden activations (conjugate kernel), or the sum of those of the outputs of all operations with
    /// parameters (embedding kernel, Engel 2024).
    fn hidden(&self, probes: &[f32], all: bool) -> Result<Vec<f32>> {
        let examples = probes.len() / self.example_len();
        let at_once = self.leaves.examples_at_once(examples, 1)?;
        let kernels = blocks(probes, self.example_len(), at_once, 1, |pixels| {
            let examples = pixels.len() / self.example_len();
            let mut target = Target::Sum(vec![0.0; examples * examples]);
            for values in self.leaves.hidden(pixels, all)? {
                let length = values.len() / examples;
                target.add_rows(&Rows { values: &values, examples, outputs: 1, length, offset: 0 });
            }
            Ok(vec![target.into_values()])
        })?;
        one(kernels)
    }

    /// Calls `work` with a route's passes.
    fn with_passes<T>(&self, route: Route, work: impl FnOnce(&dyn Passes) -> T) -> T {
        match (route, &self.host) {
            (Route::Host, Some(host)) => work(host),
            (Route::Examples, _) => work(&ExamplePasses {
                module: self.network.clone(),
                forward: |network: &Network, example| network.forward(example, &mut Mode::Evaluate),
                input: self.input,
                classes: self.classes,
                device: self.network.devices().remove(0),
                budget: self.budget,
            }),
            _ => work(&self.leaves),
        }
    }

    /// Computes symmetric matrices with `each` rows per example from recorded passes over as many probes as fit.
    fn in_blocks(
        &self,
        probes: &[f32],
        route: Route,
        each: usize,
        compute: impl Fn(&dyn Recorded) -> Vec<Vec<f64>>,
    ) -> Result<Vec<Vec<f32>>> {
        self.with_passes(route, |passes| {
            let examples = probes.len() / self.example_len().max(1);
            let at_once = passes.examples_at_once(examples, each)?;
            blocks(probes, self.example_len(), at_once, each, |pixels| Ok(compute(&*passes.record(pixels)?)))
        })
    }
}

fn identity(classes: usize) -> Vec<f32> {
    (0..classes * classes).map(|i| f32::from(u8::from(i % (classes + 1) == 0))).collect()
}

/// Combinations of the logits `[S, C]`, as many at a time as fit into memory.
fn passes<'c>(
    recorded: &dyn Recorded,
    combinations: &'c [f32],
    classes: usize,
) -> impl Iterator<Item = &'c [f32]> + use<'c> {
    let outputs = recorded.outputs_at_once(combinations.len() / classes);
    combinations.chunks(outputs * classes)
}

fn one(kernels: Vec<Vec<f32>>) -> Result<Vec<f32>> {
    kernels.into_iter().next().ok_or_else(|| Error::Unexpected("no kernel was computed".into()))
}

/// Computes symmetric matrices with `each` rows per example, of which `compute` gives the lower triangle: from all probes at once, or
/// from two blocks of them at a time where no more than `at_once` fit.
fn blocks(
    probes: &[f32],
    length: usize,
    at_once: usize,
    each: usize,
    compute: impl Fn(&[f32]) -> Result<Vec<Vec<f64>>>,
) -> Result<Vec<Vec<f32>>> {
    let examples = probes.len() / length.max(1);
    if at_once >= examples {
        return compute(probes)?.into_iter().map(|kernel| finished(&kernel)).collect();
    }
    let block = at_once / 2;
    let starts: Vec<usize> = (0..examples).step_by(block).collect();
    let side = examples * each;
    let mut kernels: Vec<Vec<f64>> = Vec::new();
    for (index, &first) in starts.iter().enumerate() {
        for &second in &starts[index + 1..] {
            let members: Vec<usize> =
                [first, second].iter().flat_map(|&start| start..(start + block).min(examples)).collect();
            let pixels: Vec<f32> = members.iter().flat_map(|&i| &probes[i * length..][..length]).copied().collect();
            let parts = compute(&pixels)?;
            kernels.resize_with(parts.len(), || vec![0.0; side * side]);
            for (kernel, part) in kernels.iter_mut().zip(&parts) {
                let rows = members.iter().flat_map(|&i| i * each..(i + 1) * each);
                for (row, part) in rows.zip(part.chunks_exact(members.len() * each)) {
                    for (&i, part) in members.iter().zip(part.chunks_exact(each)) {
                        kernel[row * side + i * each..][..each].copy_from_slice(part);
                    }
                }
            }
        }
    }
    kernels.iter().map(|kernel| finished(kernel)).collect()
}

/// The symmetric matrix in f32 from its lower triangle.
fn finished(kernel: &[f64]) -> Result<Vec<f32>> {
    let n = kernel.len().isqrt();
    let lower = |ij: usize| kernel[(ij / n).max(ij % n) * n + (ij / n).min(ij % n)] as f32;
    let out: Vec<f32> = (0..kernel.len()).map(lower).collect();
    super::matrix::side(&out, "the kernel")?;
    Ok(out)
}
