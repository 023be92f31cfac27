//! [`Request`]: which training is asked for, by a file and the command line.
//!
//! Two kinds of files will do. A training file is `[data]`, `[hyperparameters]` and a seed. A study
//! file gives its data and its fixed hyperparameters; those that it searches take the values of the
//! command line, or else their defaults.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use proto::v1::StudySpec;
use proto::v1::objective::Kind;
use recipe::Recipe;
use serde::Deserialize;
use serde_json::Value as Json;
use toml::Spanned;

use crate::exit::Failure;
use crate::json;
use crate::study_file::{self, Error, Source};

/// Values by the names of hyperparameters.
type Parameters = BTreeMap<String, Json>;

/// One training.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it is called.
    pub name: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// On what.
    pub data: Data,
    /// How.
    pub recipe: Recipe,
    /// What the study searches and nobody has set, with the defaults that stand for it.
    pub unset: Vec<(String, Json)>,
}

/// The images of a training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// The data set's name.
    pub dataset: String,
    /// The first so many training images; 0: all.
    pub train_images: u32,
    /// The first so many test images; 0: all.
    pub test_images: u32,
    /// Of the training images, so many are held out to measure on.
    pub validation_images: u32,
}

/// What the command line says instead of the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Hyperparameters, each `NAME=VALUE`.
    pub set: Vec<String>,
    /// Another seed.
    pub seed: Option<u64>,
    /// So many epochs, whatever the schedule needs.
    pub epochs: Option<u32>,
}

/// A training file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTable {
    name: Option<Spanned<String>>,
    seed: Option<u64>,
    data: Option<DataTable>,
    #[serde(default)]
    hyperparameters: BTreeMap<String, Spanned<toml::Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataTable {
    dataset: Spanned<String>,
    train_images: Option<u32>,
    test_images: Option<u32>,
    validation_images: Option<Spanned<u32>>,
}

/// What either kind of file says.
struct Read {
    name: String,
    seed: u64,
    data: Data,
    parameters: Parameters,
    /// Searched, and their defaults.
    searched: Parameters,
}

/// Reads a training or study file.
///
/// # Errors
///
/// [`Failure::StudyFile`] with the line that is not in order, [`Failure::Usage`] for an override.
pub fn read(path: &Path, overrides: &Overrides) -> Result<Request, Failure> {
    let label = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Source { text: "", label: &label }.whole(error.to_string()))?;
    let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    parse(Source { text: &text, label: &label }, &stem, overrides)
}

/// Reads the text of a training or study file; without a name in it the training is called `stem`.
pub fn parse(source: Source<'_>, stem: &str, overrides: &Overrides) -> Result<Request, Failure> {
    let whole: toml::Table = toml::from_str(source.text).map_err(|error| source.syntax(&error))?;
    let read = match whole.contains_key("objective") {
        true => study(source)?,
        false => training(source, stem)?,
    };
    let set = set(overrides)?;
    let Read { name, seed, data, mut parameters, searched } = read;
    let is_unset = |name: &String| !set.contains_key(name);
    let unset = searched.iter().filter(|(name, _)| is_unset(name));
    let unset = unset.map(|(name, value)| (name.clone(), value.clone())).collect();
    parameters.extend(searched);
    parameters.extend(set);
    let recipe =
        Recipe::from_parameters(&parameters).map_err(|error| source.whole(error.to_string()))?;
    Ok(Request { name, seed: overrides.seed.unwrap_or(seed), data, recipe, unset })
}

fn training(source: Source<'_>, stem: &str) -> Result<Read, Error> {
    let file: FileTable = toml::from_str(source.text).map_err(|error| source.syntax(&error))?;
    let name = match &file.name {
        None => stem.to_owned(),
        Some(name) => {
            let known = study_file::check_name(name.get_ref());
            known.map_err(|text| source.at(name.span(), text))?;
            name.get_ref().clone()
        }
    };
    let Some(data) = &file.data else {
        return Err(source.whole(
            "there is neither [data], as in a training file, nor [objective], as in a study file: \
             begin with [data] and dataset = \"digits\"",
        ));
    };
    let datasets = study_file::DATASETS.map(|name| (name, name));
    let dataset = study_file::one_of(source, "dataset", &data.dataset, &datasets)?;
    let train_images = data.train_images.unwrap_or(0);
    let validation_images = match &data.validation_images {
        None => 0,
        // How many images a data set has, reading it tells.
        Some(images) if train_images == 0 => *images.get_ref(),
        Some(images) => {
            study_file::within(source, "validation_images", images, 0, train_images - 1)?
        }
    };
    let mut parameters = Parameters::new();
    for (name, value) in &file.hyperparameters {
        let known = study_file::kind_of(value.get_ref()).ok_or_else(|| {
            let text = format!("`{name}` must be a number, a string, true or false");
            source.at(value.span(), text)
        })?;
        let known = json::value(&proto::v1::Value { kind: Some(known) });
        check(source, name, &known, Some(value.span()))?;
        parameters.insert(name.clone(), known);
    }
    let data = Data {
        dataset: dataset.to_owned(),
        train_images,
        test_images: data.test_images.unwrap_or(0),
        validation_images,
    };
    let (seed, searched) = (file.seed.unwrap_or(0), Parameters::new());
    Ok(Read { name, seed, data, parameters, searched })
}

fn study(source: Source<'_>) -> Result<Read, Error> {
    let spec = study_file::parse(source.text, source.label, &study_file::Overrides::default())?;
    let StudySpec { name, seed, objective, space, .. } = spec;
    let Some(Kind::Whetstone(objective)) = objective.and_then(|objective| objective.kind) else {
        return Err(source.whole(
            "an objective of kind \"external\" is for a worker of your own: there is no network to \
             train here",
        ));
    };
    let read = |name: &String, value: Json| {
        check(source, name, &value, study_file::place_of(source.text, name))?;
        Ok((name.clone(), value))
    };
    let fixed = objective.fixed.iter().map(|(name, value)| read(name, json::value(value)));
    let searched = space.iter().flat_map(|space| &space.parameters).map(|parameter| {
        let name = &parameter.name;
        let known = Recipe::parameters().iter().find(|known| known.name == name);
        let default = match (&parameter.default_value, known) {
            (Some(default), _) => json::value(default),
            (None, Some(known)) => known.default_value(),
            // Refused by name, whatever the value.
            (None, None) => Json::Null,
        };
        read(name, default)
    });
    Ok(Read {
        name,
        seed,
        data: Data {
            dataset: objective.dataset.clone(),
            train_images: objective.train_images,
            test_images: objective.test_images,
            validation_images: objective.validation_images,
        },
        parameters: fixed.collect::<Result<_, Error>>()?,
        searched: searched.collect::<Result<_, Error>>()?,
    })
}

/// Whether a hyperparameter is known and may have this value.
fn check(
    source: Source<'_>,
    name: &str,
    value: &Json,
    place: Option<Range<usize>>,
) -> Result<(), Error> {
    let alone = Parameters::from([(name.to_owned(), value.clone())]);
    match (Recipe::from_parameters(&alone), place) {
        (Ok(_), _) => Ok(()),
        (Err(error), Some(span)) => Err(source.at(span, error.to_string())),
        (Err(error), None) => Err(source.whole(error.to_string())),
    }
}

/// The hyperparameters that the command line sets.
fn set(overrides: &Overrides) -> Result<Parameters, Failure> {
    let mut set = Parameters::new();
    for pair in &overrides.set {
        let wrong = |text: String| Failure::Usage(format!("--set {pair}: {text}"));
        let (name, written) = pair
            .split_once('=')
            .ok_or_else(|| wrong("write NAME=VALUE, such as learning_rate=0.001".to_owned()))?;
        // What is no JSON is a bare word, such as an optimiser's name.
        let value = serde_json::from_str(written).unwrap_or_else(|_| written.into());
        let alone = Parameters::from([(name.to_owned(), value)]);
        Recipe::from_parameters(&alone).map_err(|error| wrong(error.to_string()))?;
        if set.contains_key(name) {
            return Err(wrong(format!("`{name}` is set twice")));
        }
        set.extend(alone);
    }
    if let Some(epochs) = overrides.epochs {
        if set.contains_key("epochs") || set.contains_key("epoch_policy") {
            let text = "--epochs says it all: leave out --set epochs and --set epoch_policy";
            return Err(Failure::Usage(text.to_owned()));
        }
        set.insert("epochs".to_owned(), epochs.into());
        set.insert("epoch_policy".to_owned(), "fixed".into());
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use recipe::{EpochPolicy, NoiseLocation, Optimizer};

    use super::*;

    const GOOD: &str = r#"seed = 3
[data]
dataset = "digits"
train_images = 500
validation_images = 100
[hyperparameters]
optimizer = "adam"
learning_rate = 1e-3
"#;

    const STUDY: &str = r#"name = "s"
max_trials = 3
seed = 8
[objective]
kind = "whetstone"
dataset = "digits"
[objective.fixed]
epochs = 4
[[parameter]]
name = "learning_rate"
ordinal = [0.1, 0.2]
[[parameter]]
name = "noise_std"
ordinal = [0.1, 0.5]
default = 0.5
"#;

    fn request(text: &str, overrides: &Overrides) -> Result<Request, String> {
        let source = Source { text, label: "x.toml" };
        parse(source, "x", overrides).map_err(|failure| failure.to_string())
    }

    fn setting(set: &[&str]) -> Overrides {
        let set = set.iter().map(|pair| (*pair).to_owned()).collect();
        Overrides { set, ..Overrides::default() }
    }

    #[test]
    fn a_training_file_is_read_and_the_command_line_wins() {
        let read = request(GOOD, &Overrides::default()).unwrap();
        assert_eq!((read.name.as_str(), read.seed), ("x", 3));
        assert_eq!((read.data.train_images, read.data.validation_images), (500, 100));
        assert_eq!((read.recipe.optimizer, read.recipe.learning_rate), (Optimizer::Adam, 1e-3));
        let set = ["learning_rate=2", "noise_location=after_dense", "norm_scale=false"];
        let overrides = Overrides { seed: Some(9), epochs: Some(2), ..setting(&set) };
        let read = request(GOOD, &overrides).unwrap();
        assert_eq!((read.seed, read.recipe.epochs_planned()), (9, 2));
        assert_eq!(read.recipe.epoch_policy, EpochPolicy::Fixed);
        assert_eq!((read.recipe.learning_rate, read.recipe.norm_scale), (2.0, false));
        assert_eq!(read.recipe.noise_location, NoiseLocation::AfterDense);
    }

    #[test]
    fn of_a_study_what_is_searched_is_set_or_takes_its_default() {
        let read = request(STUDY, &setting(&["learning_rate=0.3"])).unwrap();
        assert_eq!((read.name.as_str(), read.seed, read.recipe.epochs), ("s", 8, 4));
        assert_eq!(read.recipe.learning_rate, 0.3, "outside of what the study tries, too");
        assert_eq!(read.unset, [("noise_std".to_owned(), 0.5.into())], "the study's own default");
        let read = request(STUDY, &Overrides::default()).unwrap();
        assert_eq!(read.recipe.learning_rate, Recipe::default().learning_rate);
        assert_eq!(read.unset.len(), 2);
    }

    #[test]
    fn a_bad_file_is_refused_with_its_line_and_the_way_out() {
        let cases = [
            (GOOD, "optimizer", "optimiser", "x.toml:7: there is no hyperparameter `optimiser`"),
            (GOOD, "1e-3", "-1", "x.toml:8: `learning_rate` cannot be -1: it must be a number"),
            (GOOD, "1e-3", "[1]", "x.toml:8: `learning_rate` must be a number, a string"),
            (GOOD, "digits", "digit", "x.toml:3: `dataset` = \"digit\" is unknown"),
            (GOOD, "= 100", "= 500", "x.toml:5: `validation_images` = 500 must be from 0 to 499"),
            (GOOD, "[data]", "[date]", "x.toml:2: unknown field `date`"),
            (GOOD, "seed = 3", "seed = ", "x.toml:1: "),
            (STUDY, "epochs = 4", "epoch = 4", "x.toml:8: there is no hyperparameter `epoch`"),
            (STUDY, "learning_rate", "rate", "x.toml:10: there is no hyperparameter `rate`"),
            (STUDY, "max_trials", "max_trails", "x.toml:2: unknown field `max_trails`"),
        ];
        for (text, old, new, expected) in cases {
            assert!(text.contains(old), "{old}");
            let said = request(&text.replacen(old, new, 1), &Overrides::default()).unwrap_err();
            assert!(said.starts_with(expected), "{said}");
        }
        let empty = request("seed = 1", &Overrides::default()).unwrap_err();
        assert!(empty.contains("neither [data]"), "{empty}");
        let external = "name = \"e\"\nmax_trials = 1\n[objective]\nkind = \"external\"\n\
                        [[parameter]]\nname = \"a\"\nbool = true\n";
        let said = request(external, &Overrides::default()).unwrap_err();
        assert!(said.contains("worker of your own"), "{said}");
    }

    #[test]
    fn a_bad_override_is_refused_by_its_words() {
        let cases: [(&[&str], &str); 4] = [
            (&["lerning_rate=1"], "--set lerning_rate=1: there is no hyperparameter"),
            (&["rho=3"], "--set rho=3: `rho` cannot be 3: it must be"),
            (&["rho"], "--set rho: write NAME=VALUE"),
            (&["rho=0.5", "rho=0.6"], "`rho` is set twice"),
        ];
        for (set, expected) in cases {
            let said = request(GOOD, &setting(set)).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
        let twice = Overrides { epochs: Some(3), ..setting(&["epochs=4"]) };
        assert!(request(GOOD, &twice).unwrap_err().contains("--epochs says it all"));
    }
}
