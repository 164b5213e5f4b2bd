//! A network as a Python module whose state has the same names: what `harness model show --torch` prints.

use super::layer::Placed;
use super::plan::Plan;

/// A module that is being written down.
#[derive(Debug, Default)]
pub struct Python {
    /// What `__init__` makes: a name and an expression.
    parts: Vec<(String, String)>,
    /// What `forward` does with `x`.
    lines: Vec<String>,
    variables: usize,
}

impl Python {
    /// A module under a name, applied to `x`.
    pub fn module(&mut self, name: &str, expression: &str) {
        self.parts.push((name.to_owned(), expression.to_owned()));
        self.lines.push(format!("x = self.at({name:?})(x)"));
    }

    /// A parameter under a name: how `forward` names it.
    pub fn parameter(&mut self, name: &str, shape: &[usize]) -> String {
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        self.parts.push((name.to_owned(), format!("nn.Parameter(torch.zeros({}))", shape.join(", "))));
        format!("self.at({name:?})")
    }

    /// A line of `forward`.
    pub fn line(&mut self, line: &str) {
        self.lines.push(line.to_owned());
    }

    /// Layers one after the other.
    pub fn list(&mut self, layers: &[Placed]) {
        layers.iter().for_each(|layer| layer.python(self));
    }

    /// A name that no other variable has.
    pub fn variable(&mut self) -> String {
        self.variables += 1;
        format!("v{}", self.variables)
    }
}

/// The source of a module `Network` that computes what the plan's network does and loads its weights.
#[must_use]
pub fn module(plan: &Plan) -> String {
    let mut code = Python::default();
    code.list(&plan.layers);
    let mut text = String::from(
        "\"\"\"The network as PyTorch: Network().load_state_dict(safetensors.torch.load_file(\"weights.safetensors\")).\"\"\"\n\n\
         import torch\nfrom torch import nn\nfrom torch.nn import functional as F\n\n\n\
         class Network(nn.Module):\n    def __init__(self):\n        super().__init__()\n",
    );
    for (name, expression) in &code.parts {
        text += &format!("        self.put({name:?}, {expression})\n");
    }
    text += "\n    def put(self, name, part):\n        module = self\n        *path, last = name.split(\".\")\n        for step in path:\n            \
             if step not in module._modules:\n                module.add_module(step, nn.Module())\n            module = module._modules[step]\n        \
             if isinstance(part, nn.Parameter):\n            module.register_parameter(last, part)\n        else:\n            module.add_module(last, part)\n\n    \
             def at(self, name):\n        part = self\n        for step in name.split(\".\"):\n            \
             part = part._modules[step] if step in part._modules else part._parameters[step]\n        return part\n\n    def forward(self, x):\n";
    for line in &code.lines {
        text += &format!("        {line}\n");
    }
    text + "        return x\n"
}
