//! `strop study pareto`: the trade-offs that a study has found.

mod axis;
mod picture;
mod plot;

use std::path::Path;

use proto::v1::{GetParetoFrontResponse, Study, Trial};

use crate::client::Coordinator;
use crate::exit::Failure;
use crate::options::Options;
use crate::study::grouped;
use crate::table::{self, Side};
use crate::{json, print, value, words};

pub use axis::{Axis, axes};

/// Lines of the picture in a terminal.
const LINES: usize = 14;
/// Columns beyond which a picture says no more.
const COLUMNS_MAX: usize = 76;

/// Shows the front of a study, and draws it if asked to.
pub async fn run(
    options: &Options,
    coordinator: &mut Coordinator,
    name: &str,
    svg: Option<&Path>,
) -> Result<(), Failure> {
    let study = coordinator.study(name).await?;
    let front = coordinator.front(name).await?;
    let axes = axes(&study.spec.clone().unwrap_or_default());
    if svg.is_some() && axes.len() < 2 {
        return Err(Failure::Usage(format!(
            "`{name}` has one objective, and a picture shows two; `strop study show {name}` lists \
             its trials"
        )));
    }
    if options.json && svg.is_none() {
        print::json(&json::front(&study, &front));
        return Ok(());
    }
    let trials = match axes.len() {
        1 => Vec::new(),
        _ => coordinator.trials(name).await?,
    };
    let marks = picture::marks(&trials, &front.trials, &axes);
    if let Some(path) = svg {
        let drawn = plot::svg(name, &axes, &marks);
        std::fs::write(path, drawn).map_err(|error| {
            Failure::Other(anyhow::anyhow!("could not write {}: {error}", path.display()))
        })?;
    }
    if options.json {
        print::json(&json::front(&study, &front));
        return Ok(());
    }
    print::lines(&told(&study, &front, &axes));
    if !front.trials.is_empty() {
        print::lines(&format!("\n{}", rows(&study, &front.trials, &axes)));
    }
    if axes.len() >= 2 && !marks.is_empty() {
        let width = usize::from(print::width()).min(COLUMNS_MAX);
        print::lines(&format!("\n{}", picture::drawn(&axes, &marks, width, LINES)));
    }
    if let Some(path) = svg {
        options.hint(format!("drawn in {}", path.display()));
    }
    Ok(())
}

/// What the front is of, how large it is, and its volume.
fn told(study: &Study, front: &GetParetoFrontResponse, axes: &[Axis]) -> String {
    let spec = study.spec.clone().unwrap_or_default();
    let goals: Vec<String> =
        axes.iter().map(|a| format!("{} {}", words::direction(a.direction), a.label)).collect();
    let results = study.counts.map_or(0, |counts| counts.completed + counts.pruned);
    let mut pairs = vec![
        ("study", format!("{}, {}", spec.name, words::study_state(study))),
        ("objectives", goals.join(", ")),
    ];
    if !spec.constraints.is_empty() {
        let bounds: Vec<String> = spec.constraints.iter().map(words::constraint).collect();
        let kept = format!("kept by {} of {}", front.feasible, words::count(results, "result"));
        pairs.push(("constraints", format!("{}; {kept}", bounds.join(", "))));
    }
    pairs.push((
        "front",
        match (front.size, results) {
            (0, 0) => "no result yet".to_owned(),
            (0, _) => "no result keeps the constraints yet".to_owned(),
            (size, _) => format!("{size} of {}", words::count(front.feasible, "result")),
        },
    ));
    if let Some(volume) = front.hypervolume.filter(|_| axes.len() > 1) {
        let from: Vec<String> = axes
            .iter()
            .zip(&front.reference)
            .map(|(axis, reference)| format!("{} {}", axis.label, axis.number(*reference)))
            .collect();
        let volume = table::short(volume, 4);
        pairs.push(("hypervolume", format!("{volume}, measured from {}", from.join(", "))));
    }
    table::pairs(&pairs)
}

/// The trials of the front, one a row, best value first.
fn rows(study: &Study, trials: &[Trial], axes: &[Axis]) -> String {
    let searched = study.spec.clone().unwrap_or_default().space.unwrap_or_default().parameters;
    let mut header = vec![("#".to_owned(), Side::Right)];
    header.extend(axes.iter().map(|axis| (axis.label.clone(), Side::Right)));
    header.push(("point".to_owned(), Side::Left));
    let row = |trial: &Trial| {
        let mut row = vec![trial.number.to_string()];
        row.extend(axes.iter().map(|axis| match axis.of(trial) {
            Some(number) => axis.number(number),
            None => "–".to_owned(),
        }));
        let values = searched.iter().map(|parameter| {
            let text = value::text_at(trial.point.as_ref(), &parameter.name);
            format!("{}={text}", parameter.name)
        });
        row.push(values.filter(|text| !text.ends_with("=–")).collect::<Vec<_>>().join(" "));
        row
    };
    table::table(&header, trials.iter().map(row).collect(), print::width())
}

/// A number as people read it: counts with commas, others in few digits.
pub fn readable(x: f64) -> String {
    match x.fract() == 0.0 && (1e4..1e15).contains(&x.abs()) {
        true if x < 0.0 => format!("-{}", grouped(-x as u128)),
        true => grouped(x as u128),
        false if x.fract() == 0.0 && x.abs() < 1e4 => format!("{x}"),
        false => table::short(x, 4),
    }
}
