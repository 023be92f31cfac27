//! A problem: a space, a function on it, and what is known of the function.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use tuner::{
    Algorithm, Condition, Domain, History, Options, Parameter, Point, Scale, Space, Value, suggest,
};

use crate::functions::{self, Function};
use crate::moved::move_optimum;

/// One parameter as the suite's files write it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Described {
    pub name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    pub low: f64,
    #[serde(default)]
    pub high: f64,
    #[serde(default)]
    log: bool,
    #[serde(default)]
    pub values: Vec<Json>,
    #[serde(default)]
    when: Option<When>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct When {
    param: String,
    #[serde(rename = "in")]
    values: Vec<Json>,
}

#[derive(Deserialize)]
struct Parameters {
    params: Vec<Described>,
}

#[derive(Deserialize)]
struct File {
    name: String,
    function: String,
    maximize: bool,
    space: Parameters,
    #[serde(default)]
    args: Map<String, Json>,
    n: u32,
    n_async: u32,
    f_opt: f64,
    f_ref: f64,
}

/// A problem of the suite.
pub struct Problem {
    pub name: String,
    pub maximize: bool,
    pub described: Vec<Described>,
    pub space: Space,
    /// Evaluations, one after the other and in parallel.
    pub budget: u32,
    pub budget_parallel: u32,
    /// Value at the optimum, and the mean of a random point.
    pub optimum: f64,
    pub random: f64,
    function: Function,
    args: Map<String, Json>,
    table: BTreeMap<String, (f64, f64)>,
    /// Parameters that run the other way.
    mirrored: Vec<String>,
}

/// Points whose mean is that of a random point.
const RANDOM_POINTS: u32 = 4000;

impl Problem {
    /// Reads `FOLDER/NAME.json`, and the table beside it if the function is one.
    pub fn read(folder: &Path, name: &str) -> Result<Problem> {
        Problem::read_with(folder, name, None)
    }

    /// The same with its optimum [elsewhere](crate::moved), by a seed.
    pub fn read_moved(folder: &Path, name: &str, seed: u64) -> Result<Problem> {
        Problem::read_with(folder, name, Some(seed))
    }

    fn read_with(folder: &Path, name: &str, moved: Option<u64>) -> Result<Problem> {
        let path = folder.join(format!("{name}.json"));
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let mut file: File = serde_json::from_str(&text)
            .with_context(|| format!("understand {}", path.display()))?;
        let mirrored = match moved {
            Some(seed) => move_optimum(&file.function, &mut file.space.params, seed)?,
            None => Vec::new(),
        };
        let parameters = file.space.params.iter().map(parameter).collect::<Result<_>>()?;
        let table = match file.args.get("file").and_then(Json::as_str) {
            Some(table) => read_table(&folder.join("../tables").join(table))?,
            None => BTreeMap::new(),
        };
        let mut problem = Problem {
            name: file.name,
            maximize: file.maximize,
            described: file.space.params,
            space: Space::new(parameters)?,
            budget: file.n,
            budget_parallel: file.n_async,
            optimum: file.f_opt,
            random: file.f_ref,
            function: functions::by_name(&file.function)?,
            args: file.args,
            table,
            mirrored,
        };
        if let Some(seed) = moved {
            problem.random = problem.random_mean(seed)?;
        }
        Ok(problem)
    }

    /// The mean of random points.
    fn random_mean(&self, seed: u64) -> Result<f64> {
        let options = Options { algorithm: Algorithm::Random, ..Options::default() };
        let mut sum = 0.0;
        for number in 0..RANDOM_POINTS {
            let drawn =
                suggest(&self.space, &options, &History::default(), None, seed, number)?.point;
            sum += self.value(&self.space.decode(&drawn)).0;
        }
        Ok(sum / f64::from(RANDOM_POINTS))
    }

    /// The true value at a point, and the deviation of one measurement of it.
    pub fn value(&self, point: &Point) -> (f64, f64) {
        let at = At { problem: self, point };
        (self.function)(&at)
    }

    /// 0 at the optimum, 1 at a random point's mean.
    pub fn regret(&self, value: f64) -> f64 {
        // The sum makes the −0 of a maximum a 0.
        ((self.optimum - value) / (self.optimum - self.random)).clamp(0.0, 1.0) + 0.0
    }
}

/// A problem at one of its points: what functions read.
pub struct At<'a> {
    problem: &'a Problem,
    point: &'a Point,
}

impl At<'_> {
    /// A number of the problem's.
    pub fn arg(&self, name: &str) -> Option<f64> {
        self.problem.args.get(name).and_then(Json::as_f64)
    }

    /// Anything else of the problem's.
    pub fn json(&self, name: &str) -> &Json {
        self.problem.args.get(name).unwrap_or(&Json::Null)
    }

    /// Whether a parameter matters here.
    pub fn active(&self, name: &str) -> bool {
        self.point.contains_key(name)
    }

    /// A parameter's value as a number; 0 if it does not matter here.
    pub fn number(&self, name: &str) -> f64 {
        match self.point.get(name) {
            Some(Value::Bool(on)) => f64::from(u8::from(*on)),
            Some(value) => value.as_number().unwrap_or(0.0),
            None => 0.0,
        }
    }

    /// A parameter's value as text.
    pub fn text(&self, name: &str) -> &str {
        match self.point.get(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// All values in natural units, in order.
    pub fn numbers(&self) -> Vec<f64> {
        self.problem.described.iter().map(|p| self.number(&p.name)).collect()
    }

    /// All places on [0, 1], in order; options by rank.
    pub fn units(&self) -> Vec<f64> {
        self.problem.described.iter().map(|p| self.unit(&p.name)).collect()
    }

    /// The place of a parameter on [0, 1]: on its own scale, options by rank.
    pub fn unit(&self, name: &str) -> f64 {
        let Some(value) = self.point.get(name) else { return 0.0 };
        let described = self.described(name);
        if !described.values.is_empty() {
            let last = (described.values.len() - 1).max(1) as f64;
            return self.rank(name) as f64 / last;
        }
        let value = value.as_number().unwrap_or(0.0);
        let (low, high) = (described.low, described.high);
        let unit = match described.log {
            true => (value.ln() - low.ln()) / (high.ln() - low.ln()),
            false => (value - low) / (high - low),
        };
        if self.problem.mirrored.contains(&described.name) { 1.0 - unit } else { unit }
    }

    /// Which of its options a parameter has.
    pub fn rank(&self, name: &str) -> usize {
        let value = &self.point[name];
        let options = &self.described(name).values;
        options.iter().position(|option| same(option, value)).expect("an option of the space")
    }

    /// Mean and deviation of the table's row for this point.
    pub fn row(&self) -> (f64, f64) {
        let pairs: Vec<(&String, &Json)> = self
            .point
            .keys()
            .map(|name| {
                let described = self.described(name);
                let option = described.values.get(match described.values.is_empty() {
                    true => 0,
                    false => self.rank(name),
                });
                (name, option.unwrap_or(&Json::Null))
            })
            .collect();
        let words: Vec<String> = pairs
            .iter()
            .map(|(name, option)| match option {
                Json::Null => format!("[\"{name}\", {}]", self.number(name)),
                option => format!("[\"{name}\", {option}]"),
            })
            .collect();
        let key = format!("[{}]", words.join(", "));
        *self.problem.table.get(&key).unwrap_or_else(|| panic!("the table has no row {key}"))
    }

    fn described(&self, name: &str) -> &Described {
        let mut all = self.problem.described.iter();
        all.find(|described| described.name == name).expect("a parameter of the problem")
    }
}

fn same(option: &Json, value: &Value) -> bool {
    match (option, value) {
        (Json::Bool(option), Value::Bool(value)) => option == value,
        (Json::String(option), Value::Text(value)) => option == value,
        (Json::Number(option), value) => option.as_f64() == value.as_number(),
        _ => false,
    }
}

fn parameter(described: &Described) -> Result<Parameter> {
    let scale = if described.log { Scale::Log } else { Scale::Linear };
    let domain = match described.kind.as_str() {
        "float" => Domain::Float { low: described.low, high: described.high, scale },
        "int" => Domain::Int { low: described.low as i64, high: described.high as i64, scale },
        "ordinal" => {
            Domain::Ordinal { values: described.values.iter().filter_map(Json::as_f64).collect() }
        }
        "categorical" if described.values.iter().all(Json::is_boolean) => Domain::Bool,
        "categorical" => {
            let names = described.values.iter().filter_map(Json::as_str).map(str::to_owned);
            Domain::Categorical { choices: names.collect() }
        }
        other => bail!("a parameter of kind {other}"),
    };
    let condition = described.when.as_ref().map(|when| Condition {
        parameter: when.param.clone(),
        values: when.values.iter().map(value).collect(),
    });
    Ok(Parameter { name: described.name.clone(), domain, condition, default: None })
}

fn value(json: &Json) -> Value {
    match json {
        Json::Bool(on) => Value::Bool(*on),
        Json::String(text) => Value::Text(text.clone()),
        other => Value::Float(other.as_f64().unwrap_or(0.0)),
    }
}

fn read_table(path: &Path) -> Result<BTreeMap<String, (f64, f64)>> {
    #[derive(Deserialize)]
    struct Table {
        rows: BTreeMap<String, (f64, f64)>,
    }
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let table: Table = serde_json::from_str(&text)?;
    Ok(table.rows)
}
