//! PyTorch in a process of its own.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use serde_json::{Value, json};
use whetstone::device::Choice;

use crate::network::Sizes;
use crate::part::Part;

/// A running `torch/train_step.py`; it ends with its standard input.
pub struct Torch {
    /// As it says itself.
    pub version: String,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    process: Child,
}

impl Torch {
    /// Starts it, or gives `None` if no Python was named.
    pub fn start(threads: usize, device: Choice, tf32: bool) -> anyhow::Result<Option<Torch>> {
        let Some(python) = env::var_os("STROP_BENCH_PYTHON") else { return Ok(None) };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("torch/train_step.py");
        let mut process = Command::new(&python)
            .arg(script)
            .args([threads.to_string(), device.to_string()])
            .args(tf32.then_some("tf32"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} cannot be run", python.display()))?;
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().context("no standard output")?);
        let mut torch = Torch { version: String::new(), questions, answers, process };
        torch.version = torch.answer()?["version"].as_str().unwrap_or("of no version").to_owned();
        Ok(Some(torch))
    }

    /// Runs a part once; milliseconds of the processor, or on a GPU of the clock.
    pub fn run(&mut self, sizes: &Sizes, part: Part, batch: usize) -> anyhow::Result<f64> {
        let question = json!({"network": sizes.json(), "batch": batch, "part": part.to_string()});
        let questions = self.questions.as_mut().context("PyTorch was told to end")?;
        writeln!(questions, "{question}").context("PyTorch's process has ended")?;
        self.answer()?["ms"].as_f64().context("PyTorch's answer has no `ms`")
    }

    fn answer(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line)
            .context("PyTorch's process said nothing: has this Python torch?")
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        drop(self.questions.take());
        // Its work is done; how it ended changes nothing.
        let _ = self.process.wait();
    }
}
