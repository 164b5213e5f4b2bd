//! Training throughput of the three reference networks and of two that other layers make, as `harness run` trains them: images per second of an epoch
//! (batches gathered from the data set, forward, backward, SGD with Nesterov momentum 0.9 and weight decay 5e-4, running
//! statistics, loss and accuracy) at batch 128 of 3x32x32 and ten classes, on one thread unless `--threads N` says otherwise.
//!
//! `cargo bench --bench train -- [--threads N] [--plain] [NETWORK ...]`; the best of five repeats of each. With `--plain` the first
//! three on Burn's backend without our kernels, too.

use std::path::Path;
use std::time::{Duration, Instant};

use harness::config;
use harness::data::{Compact, Dataset, Images, Split};
use harness::random::Random;
use harness::train::trainer::Trainer;

#[path = "peers/plain_flex.rs"]
mod plain_flex;

const BATCH: usize = 128;
const CLASSES: usize = 10;
/// Repeats that are timed, after one that is not.
const REPEATS: usize = 5;
const SHAPE: [usize; 3] = [3, 32, 32];

struct Network {
    name: &'static str,
    /// The table `[model]` of the experiment.
    model: &'static str,
    /// Steps of a repeat.
    steps: usize,
}

const NETWORKS: [Network; 5] = [
    // linear(3072,512) relu linear(512,512) relu linear(512,10)
    Network { name: "mlp", model: r#"{ kind = "mlp", widths = [512, 512], activation = "relu" }"#, steps: 30 },
    // conv3x3(3,32) relu pool2 conv3x3(32,64) relu pool2 linear(4096,10)
    Network {
        name: "cnn",
        model: r#"{ kind = "cnn", channels = [32, 64], kernel = 3, pool = 2, batch_norm = false, head = [] }"#,
        steps: 8,
    },
    // conv3x3(3,16) bn relu, three stages of three blocks (16, 32, 64), 1x1 convolution shortcuts, global mean, linear(64,10)
    Network { name: "resnet20", model: r#"{ kind = "resnet", depth = 20, width = 16 }"#, steps: 3 },
    // patches of 4x4, a class token, four blocks of width 64 with four heads
    Network {
        name: "vit",
        model: r#"{ kind = "vit", patch = 4, width = 64, depth = 4, heads = 4, mlp_ratio = 4 }"#,
        steps: 3,
    },
    Network {
        name: "depthwise",
        model: r#"{ kind = "layers", layers = [
            { conv = 32, padding = 1 }, { group-norm = 4 }, "silu",
            { conv = 32, padding = 1, groups = "depthwise" }, { group-norm = 4 }, "relu6", { conv = 64, kernel = 1 }, "relu6",
            { max-pool = 3, stride = 2, padding = 1 },
            { conv = 64, kernel = 5, padding = 2, groups = "depthwise" }, { group-norm = 8 }, "relu6",
            { conv = 64, kernel = 1, groups = 4 }, "relu6", { max-pool = 3, stride = 2, padding = 1 },
            "flatten", { dense = "classes" } ] }"#,
        steps: 3,
    },
];

/// Noise with labels.
fn noise(len: usize) -> Dataset<Compact> {
    let mut random = Random::from_parts(0, "bench", 0);
    let pixels =
        |len, random: &mut Random| -> Vec<f32> { (0..len).map(|_| random.uniform() as f32 * 2.0 - 1.0).collect() };
    let split = |len: usize, random: &mut Random| Split {
        pixels: pixels(len * SHAPE.iter().product::<usize>(), random).into(),
        labels: (0..len).map(|i| ((i * 7 + 3) % CLASSES) as u32).collect(),
    };
    Dataset {
        shape: SHAPE,
        classes: (0..CLASSES).map(|class| class.to_string()).collect(),
        train: split(len, &mut random),
        eval: split(CLASSES, &mut random),
        groups: None,
        digest: String::new(),
    }
}

fn measure(network: &Network, plain: bool) {
    let text = format!(
        r#"
        name = "bench"
        data = {{ dataset = "npz", path = "unused" }}
        model = {}
        sweep = {{ runs = 1 }}
        [train]
        epochs = 1
        batch_size = {BATCH}
        optimizer = {{ kind = "sgd", momentum = 0.9, nesterov = true, weight_decay = 5e-4 }}
        schedule = {{ kind = "constant", rate = 0.01 }}
        "#,
        network.model
    );
    let experiment = config::from_stored(&text, Path::new("bench.toml")).expect("a valid experiment");
    let data = noise((1 + REPEATS) * network.steps * BATCH);
    let mut trainer = Trainer::new(&experiment, &data, 0).expect("a network for the data");
    let mut best = Duration::MAX;
    let mut start = Instant::now();
    let mut each_step = |done: usize| {
        if done.is_multiple_of(network.steps) {
            if done > network.steps {
                best = best.min(start.elapsed());
            }
            start = Instant::now();
        }
        true
    };
    let loss = trainer.train_epoch(&mut each_step).expect("nobody stops it").loss;
    let images = (network.steps * BATCH) as f64 / best.as_secs_f64();
    println!("harness {} threads={} {images:.1} (loss {loss:.6})", network.name, rayon::current_num_threads());
    if plain && plain_flex::NETWORKS.contains(&network.name) {
        let mut pixels = vec![0.0; BATCH * SHAPE.iter().product::<usize>()];
        for (index, image) in pixels.chunks_exact_mut(SHAPE.iter().product()).enumerate() {
            data.train.pixels.write(index, image).expect("images in memory");
        }
        let (images, loss) = plain_flex::measure(network.name, network.steps, &pixels, &data.train.labels);
        println!("flex {} threads={} {images:.1} (loss {loss:.6})", network.name, rayon::current_num_threads());
    }
}

fn main() {
    let (mut threads, mut plain) = (1, false);
    let mut names = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--threads" => threads = arguments.next().and_then(|n| n.parse().ok()).expect("--threads takes a number"),
            "--plain" => plain = true,
            "--bench" => {}
            _ => names.push(argument),
        }
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("the pool is built once");
    for network in NETWORKS {
        if names.is_empty() || names.iter().any(|name| name == network.name) {
            measure(&network, plain);
        }
    }
}
