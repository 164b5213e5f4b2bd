use super::*;
use crate::model::zoo::Model;
use crate::random::Random;

fn zoo() -> Vec<(Model, [usize; 3])> {
    let cnn = "kind = 'cnn', channels = [3, 4], head = [6], activation = 'tanh', dropout = 0.25";
    let all = [
        ("kind = 'mlp', widths = [5, 4], activation = 'gelu', dropout = 0.5", [1, 3, 3]),
        (cnn, [2, 9, 8]),
        (&format!("{cnn}, batch_norm = true"), [2, 8, 8]),
        ("kind = 'resnet', depth = 8, width = 3", [3, 7, 7]),
        ("kind = 'resnet', depth = 8, width = 3, shortcut = 'pad'", [3, 7, 7]),
        (
            "kind = 'resnet', stages = [1, 1], width = 3, shortcut = 'conv-norm', names = 'torchvision', stem = 'imagenet'",
            [3, 17, 19],
        ),
        ("kind = 'vit', patch = 3, width = 8, depth = 2, heads = 2", [2, 6, 9]),
        ("kind = 'mlp-mixer', patch = 3, width = 8, depth = 2", [2, 6, 9]),
        (
            "kind = 'mobilenet', stem = 4, channels = [4, 6], repeats = [1, 2], strides = [1, 2], windows = [3, 5], expansions = [1, 2], head_width = 8",
            [3, 9, 8],
        ),
        ("kind = 'text', vocabulary = 9, width = 4, pool = 'attention', positions = true", [1, 1, 7]),
    ];
    all.into_iter().map(|(text, shape)| (Model::parse(text), shape)).collect()
}

fn build(model: &Model, shape: [usize; 3], device: &Device) -> (Plan, Network) {
    let plan = Plan::new(model, shape, 3).unwrap();
    let weights = plan.draw(&mut Random::from_parts(3, "init", 0));
    let network = Network::new(&plan, weights, device).unwrap();
    (plan, network)
}

fn input(n: usize, [c, h, w]: [usize; 3], device: &Device) -> Tensor<4> {
    let mut random = Random::from_parts(5, "input", 0);
    let pixels: Vec<f32> = (0..n * c * h * w).map(|_| random.normal() as f32).collect();
    Tensor::from_data(TensorData::new(pixels, [n, c, h, w]), device)
}

#[test]
fn weights_survive_the_way_to_the_host_and_back() {
    for (model, shape) in zoo() {
        let device = Device::flex();
        let (plan, network) = build(&model, shape, &device);
        let again = Network::new(&plan, network.to_host(), &device).unwrap();
        assert_eq!(network.to_host(), again.to_host());
        assert_eq!(burn::module::Module::num_params(&network), plan.parameters());
        let x = input(4, shape, &device);
        let (a, b) = (network.forward(x.clone(), &mut Mode::Evaluate), again.forward(x, &mut Mode::Evaluate));
        assert_eq!(a.dims(), [4, 3]);
        assert_eq!(a.into_data(), b.into_data());
    }
}

#[test]
fn wrong_weights_are_refused_by_name() {
    let (plan, network) = build(&zoo()[0].0, [1, 3, 3], &Device::flex());
    let weights = network.to_host();
    let refusal = |weights: Vec<HostTensor>| Network::new(&plan, weights, &Device::flex()).unwrap_err().to_string();
    assert!(refusal(weights[1..].to_vec()).contains("fc1.weight is missing"));
    let mut reshaped = weights.clone();
    reshaped[0].shape = vec![9, 5];
    assert!(refusal(reshaped).contains("has shape [9, 5], but the model needs [5, 9]"));
    let mut extra = weights;
    extra.push(HostTensor::new("other", vec![1], vec![0.0]));
    assert!(refusal(extra).contains("tensor other belongs to no layer"));
}

/// Adds a zero to what every parametric operation gives and keeps it: its gradient is that of the output.
#[derive(Default)]
struct Zeros(Vec<(String, Tensor<3>)>);

impl Tap for Zeros {
    fn see(&mut self, site: Site, output: Tensor<3>, _: Layout) -> Tensor<3> {
        let zero = output.zeros_like().detach().require_grad();
        self.0.push((site.layer.into(), zero.clone()));
        output + zero
    }
}

#[test]
fn a_tap_sees_the_gradient_at_each_output() {
    for (model, shape) in zoo() {
        let device = Device::flex().autodiff();
        let (_, network) = build(&model, shape, &device);
        let mut zeros = Zeros::default();
        let x = input(2, shape, &device);
        let plain = network.forward(x.clone(), &mut Mode::Evaluate).into_data();
        let logits = network.forward(x, &mut Mode::Tapped(&mut zeros));
        assert_eq!(logits.clone().into_data(), plain);
        let gradients = logits.sum().backward();
        // The bias of the last dense layer: its gradient is the sum over examples of the output's.
        let (name, zero) = zeros.0.last().unwrap();
        assert_eq!(Some(name), network.plan().head().map(|head| &head.name));
        assert_eq!(zero.grad(&gradients).unwrap().into_data().iter::<f32>().collect::<Vec<_>>(), [1.0; 6]);
        for (name, zero) in &zeros.0 {
            let gradient: f32 = zero.grad(&gradients).unwrap().abs().sum().into_scalar();
            assert!(gradient > 0.0, "no gradient at {name}");
        }
    }
}

#[test]
fn running_statistics_move_as_in_pytorch() {
    let device = Device::flex().autodiff();
    let (_, mut network) = build(&zoo()[3].0, [3, 7, 7], &device);
    let mut training = Training { dropout: crate::random::ByExample::new(&[0; 32], 0), statistics: vec![] };
    let _ = network.forward(input(2, [3, 7, 7], &device), &mut Mode::Train(&mut training));
    let first = training.statistics[0].clone();
    network.update_statistics(training.statistics);
    let read = |t: Tensor<1>| t.into_data().iter::<f32>().collect::<Vec<_>>();
    let held = |name: &str| network.to_host().into_iter().find(|tensor| tensor.name == name).unwrap().values;
    for (running, batch) in held("b.running_mean").iter().zip(read(first.mean)) {
        assert!((running - 0.1 * batch).abs() < 1e-6);
    }
    for (running, batch) in held("b.running_var").iter().zip(read(first.var)) {
        assert!((running - (0.9 + 0.1 * batch * 98.0 / 97.0)).abs() < 1e-5);
    }
}

/// The weights of a drawn network have their bounds.
#[test]
fn initial_weights_are_within_their_bounds() {
    let plan = Plan::new(&Model::parse("kind = 'resnet', depth = 8, width = 4"), [3, 8, 8], 5).unwrap();
    let weights = plan.draw(&mut Random::from_parts(1, "init", 0));
    let described: Vec<_> = weights.iter().map(|t| (t.name.clone(), t.shape.clone())).collect();
    assert_eq!(described, plan.tensors());
    let trainable = weights.iter().filter(|t| !t.name.contains("running")).map(|tensor| tensor.values.len());
    assert_eq!(trainable.sum::<usize>(), plan.parameters());
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
