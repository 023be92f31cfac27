//! Another system, asked through a program of its own: a line of JSON each way.
//!
//! | to the program | from it |
//! |---|---|
//! | `{"space": [parameter, …], "maximize": false, "seed": 0, "workers": 4}`, once | |
//! | `{"ask": 7}` | `{"name": value, …}`: where to evaluate, parameters that do not matter there too |
//! | `{"tell": 7, "value": 0.31}` | |
//! | `{"fail": 7}` | |
//!
//! Parameters are as the suite's files have them. A program for Optuna is `benches/peers/optuna_peer.py`.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value as Json, json};
use tuner::{Domain, Parameter, Point, Space, Value};

use crate::{problem::Problem, run::Optimizer};

pub struct Program {
    child: Child,
    input: Option<BufWriter<ChildStdin>>,
    output: BufReader<ChildStdout>,
    space: Space,
    next: u64,
    open: BTreeMap<u64, Point>,
    lost: Vec<u64>,
}

impl Program {
    /// Starts a command of the shell, for one study.
    pub fn new(command: &str, problem: &Problem, workers: usize, seed: u64) -> Result<Program> {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start `{command}`"))?;
        let input = child.stdin.take().map(BufWriter::new);
        let output = BufReader::new(child.stdout.take().context("a piped output")?);
        let space = problem.space.clone();
        let (open, lost) = (BTreeMap::new(), Vec::new());
        let mut program = Program { child, input, output, space, next: 0, open, lost };
        program.say(&json!({
            "space": problem.described,
            "maximize": problem.maximize,
            "seed": seed,
            "workers": workers,
        }))?;
        Ok(program)
    }

    fn say(&mut self, line: &Json) -> Result<()> {
        let input = self.input.as_mut().context("an input that is open")?;
        writeln!(input, "{line}").and_then(|()| input.flush()).context("the program has ended")
    }
}

impl Optimizer for Program {
    fn ask(&mut self) -> Result<(u64, Point)> {
        // A lost trial is tried again, as if the system had leases.
        if let Some(token) = self.lost.pop() {
            return Ok((token, self.open[&token].clone()));
        }
        let token = self.next;
        self.next += 1;
        self.say(&json!({ "ask": token }))?;
        let mut line = String::new();
        let read = self.output.read_line(&mut line).context("read the program's answer")?;
        ensure!(read > 0, "the program ended when it was asked; its error is above");
        let values: Map<String, Json> =
            serde_json::from_str(&line).with_context(|| format!("understand {line:?}"))?;
        let point = point(&self.space, &values)?;
        self.open.insert(token, point.clone());
        Ok((token, point))
    }

    fn tell(&mut self, token: u64, value: f64) -> Result<()> {
        self.open.remove(&token);
        self.say(&json!({ "tell": token, "value": value }))
    }

    fn lose(&mut self, token: u64) -> Result<()> {
        self.lost.push(token);
        Ok(())
    }

    fn fail(&mut self, token: u64) -> Result<()> {
        self.open.remove(&token);
        self.say(&json!({ "fail": token }))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// The point of these values, without those that do not matter there.
fn point(space: &Space, values: &Map<String, Json>) -> Result<Point> {
    let mut point = Point::new();
    for parameter in space.parameters() {
        let Parameter { name, domain, condition, .. } = parameter;
        let matters = condition.as_ref().is_none_or(|condition| {
            let of = point.get(&condition.parameter);
            of.is_some_and(|value| condition.values.contains(value))
        });
        if matters {
            let json = values.get(name).with_context(|| format!("the answer lacks {name}"))?;
            let value = value(domain, json);
            let value = value.with_context(|| format!("{name} cannot be {json}"))?;
            point.insert(name.clone(), value);
        }
    }
    // What is not of the space is refused here, and what is comes back as Strop writes it.
    Ok(space.decode(&space.encode(&point)?))
}

fn value(domain: &Domain, json: &Json) -> Option<Value> {
    match domain {
        Domain::Bool => json.as_bool().map(Value::Bool),
        Domain::Int { .. } => json.as_f64().map(|number| Value::Int(number as i64)),
        Domain::Categorical { .. } => json.as_str().map(|text| Value::Text(text.to_owned())),
        Domain::Float { .. } | Domain::Ordinal { .. } => json.as_f64().map(Value::Float),
    }
}
