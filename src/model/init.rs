//! Initial weights, drawn on the host, so that one seed gives the same network on every backend.

use super::plan::{LayerPlan, Plan};
use super::weights::HostTensor;
use crate::random::Random;

/// Weights of every layer of `plan` in forward order.
///
/// Weights are uniform in ±√(6/fan_in) (He 2015, the bound of a uniform draw of variance 2/fan_in), those of the last
/// dense layer in ±1/√fan_in; biases and shifts are 0, scales 1. Uniform draws need no transcendental function, so the
/// bits are the same on every machine.
#[must_use]
pub fn draw(plan: &Plan, random: &mut Random) -> Vec<HostTensor> {
    let mut out = Vec::new();
    plan.visit(&mut |layer| match layer {
        LayerPlan::Conv { name, input, output, kernel, bias, .. } => {
            let fan_in = input[0] * kernel * kernel;
            let shape = vec![output[0], input[0], *kernel, *kernel];
            out.push(uniform(format!("{name}.weight"), shape, (6.0 / fan_in as f64).sqrt(), random));
            if *bias {
                out.push(constant(format!("{name}.bias"), output[0], 0.0));
            }
        }
        LayerPlan::Dense { name, inputs, outputs } => {
            let numerator = if name == "fc" { 1.0 } else { 6.0 };
            let bound = (numerator / *inputs as f64).sqrt();
            out.push(uniform(format!("{name}.weight"), vec![*outputs, *inputs], bound, random));
            out.push(constant(format!("{name}.bias"), *outputs, 0.0));
        }
        LayerPlan::BatchNorm { name, channels } => {
            for (part, value) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
                out.push(constant(format!("{name}.{part}"), *channels, value));
            }
        }
        _ => {}
    });
    out
}

fn uniform(name: String, shape: Vec<usize>, bound: f64, random: &mut Random) -> HostTensor {
    let count = shape.iter().product();
    let values = (0..count).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32).collect();
    HostTensor::new(name, shape, values)
}

fn constant(name: String, length: usize, value: f32) -> HostTensor {
    HostTensor::new(name, vec![length], vec![value; length])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Model;

    #[test]
    fn weights_have_their_bounds_and_the_plan_s_count() {
        let plan = Plan::new(&Model::Resnet { depth: 8, width: 4 }, [3, 8, 8], 5).unwrap();
        let weights = draw(&plan, &mut Random::from_parts(1, "init", 0));
        let described: Vec<_> = weights.iter().map(|t| (t.name.clone(), t.shape.clone())).collect();
        assert_eq!(described, plan.tensors());
        let trainable: usize =
            weights.iter().filter(|t| !t.name.contains("running")).map(|tensor| tensor.values.len()).sum();
        assert_eq!(trainable, plan.parameters());
        for tensor in &weights {
            let largest = tensor.values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            match tensor.name.as_str() {
                "c.weight" => assert!(largest <= (6.0f32 / 27.0).sqrt() && largest > 0.9 * (6.0f32 / 27.0).sqrt()),
                "fc.weight" => assert!(largest <= 0.25 && largest > 0.2),
                "b.weight" | "b.running_var" => assert_eq!(tensor.values, [1.0; 4]),
                "b.bias" | "fc.bias" => assert_eq!(largest, 0.0),
                _ => {}
            }
        }
    }
}
