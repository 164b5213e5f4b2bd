//! `harness kernel compute`: kernels of a network that was trained elsewhere.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, LineStyle, Table};
use serde::Serialize;

use super::super::print;
use crate::analysis::numbers::{or_dash, percent, significant};
use crate::arrays::{self, Array, Values, file};
use crate::config;
use crate::error::{Error, Result};
use crate::kernel::external::{read_names, read_weights};
use crate::kernel::spectrum::spectrum;
use crate::kernel::{self, Computed, Draw, Jacobians, Kind, Route};
use crate::record::{Tensors, files};

/// Rows of the largest kernel that is computed: one of 1.5 GiB, and twice that while it is summed up.
const MOST_ROWS: usize = 20_000;
/// Values of all projected gradients, at most: 8 GiB.
const MOST_PROJECTED: usize = 1 << 31;
/// Rows of the largest kernel whose eigenvalues are computed, which takes half a minute.
const MOST_EIGENVALUES: usize = 4_096;

const HELP: &str = "\
The model file holds a [model] table as in an experiment (an experiment will do):

  [model]
  kind = \"cnn\"              # mlp, cnn or resnet
  channels = [32, 64]

The shape of an example is that of the inputs, the number of outputs that of the last dense layer.
Weights are those of torch's state_dict, float32, as written by
safetensors.torch.save_file(net.state_dict(), \"W.safetensors\"). Layouts are PyTorch's, [out, in, k, k]
and [out, in], and so are names if the module's attributes are called

  mlp      fc1, fc2, … for the hidden layers, fc for the outputs
  cnn      c1, c2, … for the convolutions (which have no bias before a batch norm), b1, b2, …
           for their batch norms, then as mlp
  resnet   c, b, then blocks.0, blocks.1, … with c1, b1, c2, b2, and sc for the 1x1 convolution
           of a shortcut, then fc

The layers of a plain torch.nn.Sequential (1.weight, 3.weight, …) are taken in order. For other
names, --map takes a TOML file of ours = \"theirs\": a name or the beginning of one, of which the
longest that fits counts; the value of * is put before all others:

  c1 = \"features.0\"
  \"blocks.0\" = \"layer1.0\"
  \"*\" = \"module\"

The output file holds, as float32, a kernel [P, P] under the name of each kind (full: [P*C, P*C],
class innermost), not normalised, and logits [P, C]. Effective rank and top share are those of the
eigenvalues of the cosine-normalised kernel. RAYON_NUM_THREADS sets the number of threads; the
results do not depend on it.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ComputeArgs {
    /// TOML file with a [model] table
    #[arg(long, value_name = "M.toml")]
    model: PathBuf,
    /// Weights of the network
    #[arg(long, value_name = "W.safetensors")]
    weights: PathBuf,
    /// Inputs as the network gets them, [P, channels, height, width], [P, height, width] or [P, features]
    #[arg(long, value_name = "X.npy")]
    inputs: PathBuf,
    /// Which kernels, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "trace")]
    kinds: Vec<Kind>,
    /// Where the kernels go
    #[arg(long, value_name = "K.safetensors")]
    out: Option<PathBuf>,
    /// TOML file with the names of the weights, where they differ
    #[arg(long, value_name = "NAMES.toml")]
    map: Option<PathBuf>,
    /// Dimensions of the projected kernel
    #[arg(long, value_name = "K", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    dimensions: u32,
    /// Samples of the estimate
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    samples: u32,
    /// Seed of projection and estimate
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Working memory in MiB beside the kernels
    #[arg(long, value_name = "MIB", default_value_t = (kernel::DEFAULT_BUDGET >> 20) as u32)]
    memory: u32,
    /// Print one JSON object, schema harness.kernel/1, instead of a table
    #[arg(long)]
    json: bool,
}

impl ComputeArgs {
    /// Bytes of working memory.
    fn budget(&self) -> usize {
        (self.memory as usize).saturating_mul(1 << 20)
    }
}

#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    parameters: usize,
    /// Channels, height, width of an example.
    input: [usize; 3],
    examples: usize,
    outputs: usize,
    kernels: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    kind: &'static str,
    /// How the gradients were found, where it needs them.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'static str>,
    shape: [usize; 2],
    /// Of the cosine-normalised kernel, as the next two; None where it is too large.
    effective_rank: Option<f64>,
    top_share: Option<f64>,
    /// Largest first.
    eigenvalues: Option<Vec<f64>>,
    /// Standard error of an estimate over its Frobenius norm.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<f64>,
    /// That the kernel took, without its eigenvalues.
    seconds: f64,
}

/// Computes, prints, and writes the kernels where `--out` says.
///
/// # Errors
/// [`Error::Invalid`] for input that does not fit together, before anything is computed.
pub fn run(args: &ComputeArgs) -> Result<()> {
    let model = config::read_model(&args.model)?;
    let names = args.map.as_deref().map(read_names).transpose()?.unwrap_or_default();
    let (input, examples, pixels) = read_inputs(args)?;
    let (plan, weights) = read_weights(&model, input, &args.weights, &names)?;
    let network = Jacobians::from_weights(&plan, weights, args.budget())?;
    let outputs = network.classes();
    let rows = if args.kinds.contains(&Kind::Full) { examples.saturating_mul(outputs) } else { examples };
    if rows > MOST_ROWS {
        return Err(Error::Invalid(format!(
            "a kernel of {rows} rows is more than the {MOST_ROWS} that are computed; use fewer inputs"
        )));
    }
    let projected = examples.saturating_mul(outputs).saturating_mul(args.dimensions as usize);
    if args.kinds.contains(&Kind::Projected) && projected > MOST_PROJECTED {
        return Err(Error::Invalid(format!(
            "{examples} inputs, {outputs} outputs and {} dimensions are {projected} projected values, more than the {MOST_PROJECTED} that are held; use fewer dimensions or inputs",
            args.dimensions
        )));
    }
    if let Some(folder) = args.out.as_ref().and_then(|out| out.parent()).filter(|f| !f.as_os_str().is_empty())
        && !folder.is_dir()
    {
        return Err(Error::Invalid(format!(
            "{} is no folder to write kernels into; make it first",
            file::shown(folder)
        )));
    }
    let mut report = Report {
        schema: "harness.kernel/1",
        parameters: plan.parameters(),
        input,
        examples,
        outputs,
        kernels: Vec::new(),
    };
    let mut tensors = Tensors::new();
    tensors.insert("logits", &[examples, outputs], network.logits(&pixels)?)?;
    let draw = Draw { dimensions: args.dimensions as usize, samples: args.samples as usize, seed: args.seed };
    let mut kinds: Vec<Kind> = Vec::new();
    for &kind in &args.kinds {
        if kinds.contains(&kind) {
            continue;
        }
        kinds.push(kind);
        let start = Instant::now();
        let Computed { values, error, route } = network.kernel(&pixels, kind, &draw)?;
        let seconds = start.elapsed().as_secs_f64();
        let side = values.len().isqrt();
        let spectrum = (side <= MOST_EIGENVALUES).then(|| spectrum(&values)).transpose()?;
        report.kernels.push(Row {
            kind: kind.name(),
            route: route.map(Route::name),
            shape: [side; 2],
            effective_rank: spectrum.as_ref().map(|s| s.effective_rank),
            top_share: spectrum.as_ref().map(|s| s.top_share),
            eigenvalues: spectrum.map(|s| s.eigenvalues),
            error,
            seconds,
        });
        if args.out.is_some() {
            tensors.insert(kind.name(), &[side; 2], values)?;
        }
    }
    if let Some(out) = &args.out {
        files::write(out, &tensors.encode()?)?;
        super::super::say(&format!("kernels are in {}", file::shown(out)));
    }
    if args.json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|cause| Error::Unexpected(format!("cannot write the kernels as JSON: {cause}")))?;
        return print(&format!("{text}\n"));
    }
    print(&table(&report))
}

/// Shape of an example, number of examples, values.
fn read_inputs(args: &ComputeArgs) -> Result<([usize; 3], usize, Vec<f32>)> {
    let place = file::shown(&args.inputs);
    let Array { shape, values } = arrays::read_npy(&args.inputs)?;
    let (examples, input) = match *shape.as_slice() {
        [examples, features] => (examples, [features, 1, 1]),
        [examples, height, width] => (examples, [1, height, width]),
        [examples, channels, height, width] => (examples, [channels, height, width]),
        _ => {
            return Err(Error::Invalid(format!(
                "the inputs in {place} have shape {shape:?}, but [P, channels, height, width], [P, height, width] or [P, features] is needed"
            )));
        }
    };
    if values.is_empty() {
        return Err(Error::Invalid(format!("the inputs in {place} have shape {shape:?}: there is no example")));
    }
    if matches!(values, Values::U8(_) | Values::I64(_)) {
        return Err(Error::Invalid(format!(
            "the inputs in {place} are of type {}, but floats are needed: save them as the network gets them, standardised",
            values.type_name()
        )));
    }
    let pixels = values.into_f32();
    match pixels.iter().position(|v| !v.is_finite()) {
        None => Ok((input, examples, pixels)),
        Some(at) => Err(Error::Invalid(format!(
            "example {} of the inputs in {place} holds {}, which is no number to compute with",
            at / input.iter().product::<usize>(),
            pixels[at]
        ))),
    }
}

fn table(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table.set_header(["kernel", "shape", "effective rank", "top share", "seconds"]);
    for row in &report.kernels {
        let kind = match row.error {
            Some(error) => format!("{} (± {})", row.kind, percent(error)),
            None => row.kind.to_owned(),
        };
        table.add_row([
            kind,
            format!("{}x{}", row.shape[0], row.shape[1]),
            or_dash(row.effective_rank, significant),
            or_dash(row.top_share, percent),
            significant(row.seconds),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let [channels, height, width] = report.input;
    format!(
        "{} parameters, {} inputs of {channels}x{height}x{width}, {} outputs\n{table}\n",
        report.parameters, report.examples, report.outputs
    )
}
