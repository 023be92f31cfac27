//! The wire's nouns as JSON: the field names of the protocol, words for enums, RFC 3339 for
//! instants, and nothing for what is absent.

use proto::v1::constraint::Bound;
use proto::v1::objective;
use proto::v1::parameter::Domain;
use proto::v1::value::Kind;
use proto::v1::{
    Calibration, GetDependenceResponse, GetParetoFrontResponse, Importance, Parameter, Point,
    Share, Study, StudySpec, Trial, Value, Worker,
};
use serde_json::{Map, Value as Json, json};

use crate::{pareto, words, worker};

/// A study.
pub fn study(study: &Study) -> Json {
    let spec = study.spec.clone().unwrap_or_default();
    let counts = study.counts.unwrap_or_default();
    without_nulls(json!({
        "name": spec.name,
        "state": words::study_state(study),
        "counts": {
            "queued": counts.queued,
            "running": counts.running,
            "completed": counts.completed,
            "pruned": counts.pruned,
            "failed": counts.failed,
            "cancelled": counts.cancelled,
        },
        "best": study.best.as_ref().map(trial),
        "posterior_version": study.posterior_version,
        // In decimal, since it may exceed what JSON's readers hold in a number.
        "space_size": Some(&study.space_size).filter(|size| !size.is_empty()),
        "created_at": study.created_at.as_ref().map(ToString::to_string),
        "finished_at": study.finished_at.as_ref().map(ToString::to_string),
        "ended_because": words::end_reason_word(study),
        "prospect": study.prospect.as_ref().map(|prospect| json!({
            "horizon": prospect.horizon,
            "trials": prospect.trials,
            "gain": prospect.gain,
            "regret_bound": prospect.regret_bound,
        })),
        "imported": study.imported,
        "spec": self::spec(&spec),
    }))
}

/// What a study was asked to be.
pub fn spec(spec: &StudySpec) -> Json {
    let parameters = spec.space.iter().flat_map(|space| &space.parameters).map(parameter);
    let objective = spec.objective.as_ref().and_then(|objective| objective.kind.as_ref());
    without_nulls(json!({
        "name": spec.name,
        "direction": words::direction(spec.direction()),
        "algorithm": words::algorithm(spec.algorithm()),
        "max_trials": spec.max_trials,
        "max_parallel": spec.max_parallel,
        "max_failures": spec.max_failures,
        "max_trial_seconds": spec.max_trial_seconds,
        "seed": spec.seed,
        "start_points": spec.start_points,
        "start_design": words::start_design(spec.start_design()),
        "checkpoint_epochs": spec.checkpoint_epochs,
        "priority": spec.priority,
        "also": spec.also.iter().map(|further| without_nulls(json!({
            "measurement": further.measurement,
            "direction": words::direction(further.direction()),
            "reference": further.reference,
        }))).collect::<Vec<_>>(),
        "constraints": spec.constraints.iter().map(|constraint| without_nulls(json!({
            "measurement": constraint.measurement,
            "at_most": match constraint.bound { Some(Bound::AtMost(bound)) => Some(bound), _ => None },
            "at_least": match constraint.bound { Some(Bound::AtLeast(bound)) => Some(bound), _ => None },
        }))).collect::<Vec<_>>(),
        "reference": spec.reference,
        "early_stopping": spec.early_stopping.as_ref().map(|by| json!({
            "rule": words::stopping_rule(by.rule()),
            "metric": by.metric,
            "min_trials": by.min_trials,
            "min_steps": by.min_steps,
            "reduction": by.reduction,
        })),
        "stop_when_gain_below": spec.stop_when_gain_below,
        "objective": match objective {
            Some(objective::Kind::Whetstone(whetstone)) => json!({
                "kind": "whetstone",
                "dataset": whetstone.dataset,
                "train_images": whetstone.train_images,
                "test_images": whetstone.test_images,
                "validation_images": whetstone.validation_images,
                "metric": whetstone.metric,
                "fixed": named(whetstone.fixed.iter().map(|(name, v)| (name.clone(), value(v)))),
            }),
            Some(objective::Kind::External(external)) => json!({
                "kind": "external",
                "labels": external.labels,
            }),
            None => Json::Null,
        },
        "parameters": parameters.collect::<Vec<_>>(),
    }))
}

/// A worker.
pub fn worker(worker: &Worker) -> Json {
    without_nulls(json!({
        "worker_id": worker.worker_id,
        "label": worker.label,
        "device": worker.device,
        "state": worker::state(worker),
        "running": worker.running,
        "drained_because": Some(&worker.drained_because).filter(|why| !why.is_empty()),
        "is_unfit": worker.is_unfit,
        "registered_at": worker.registered_at.as_ref().map(ToString::to_string),
        "seen_at": worker.seen_at.as_ref().map(ToString::to_string),
    }))
}

/// The trade-offs of a study.
pub fn front(study: &Study, front: &GetParetoFrontResponse) -> Json {
    let spec = study.spec.clone().unwrap_or_default();
    without_nulls(json!({
        "study": spec.name,
        "objectives": pareto::axes(&spec).iter().zip(front.reference.iter().map(Some).chain(std::iter::repeat(None)))
            .map(|(axis, reference)| without_nulls(json!({
                "measurement": axis.name,
                "direction": words::direction(axis.direction),
                "reference": reference,
            }))).collect::<Vec<_>>(),
        "size": front.size,
        "feasible": front.feasible,
        "hypervolume": front.hypervolume,
        "trials": front.trials.iter().map(trial).collect::<Vec<_>>(),
    }))
}

/// A trial.
pub fn trial(trial: &Trial) -> Json {
    without_nulls(json!({
        "trial_id": trial.trial_id,
        "study": trial.study,
        "number": trial.number,
        "state": words::trial_state(trial),
        "point": trial.point.as_ref().map(point),
        "value": trial.value,
        "feasible": trial.feasible,
        "measurements": numbers(&trial.measurements),
        "attempt": trial.attempt,
        "failures": trial.failures,
        "resumed_from_epoch": Some(trial.resumed_from_epoch).filter(|epoch| *epoch > 0),
        "suggestion": trial.suggestion.as_ref().map(|suggestion| without_nulls(json!({
            "origin": suggestion.origin,
            "posterior_version": suggestion.posterior_version,
            "horizon": suggestion.horizon,
            "mean": suggestion.mean,
            "deviation": suggestion.deviation,
            "acquisition": suggestion.acquisition,
        }))),
        "pruning": trial.pruning.as_ref().map(|pruning| json!({
            "rule": pruning.rule,
            "metric": pruning.metric,
            "step": pruning.step,
            "stage": pruning.stage,
            "value": pruning.value,
            "threshold": pruning.threshold,
            "peers": pruning.peers,
        })),
        "progress": trial.progress,
        "metrics": numbers(&trial.metrics),
        "worker": Some(&trial.worker).filter(|worker| !worker.is_empty()),
        "failure": Some(&trial.failure).filter(|failure| !failure.is_empty()),
        "created_at": trial.created_at.as_ref().map(ToString::to_string),
        "started_at": trial.started_at.as_ref().map(ToString::to_string),
        "finished_at": trial.finished_at.as_ref().map(ToString::to_string),
    }))
}

/// How much each hyperparameter matters.
pub fn importance(study: &str, importance: &Importance) -> Json {
    let share = |share: Option<Share>| {
        let share = share.unwrap_or_default();
        json!({
            "value": share.value,
            "estimator": share.estimator,
            "surrogate": share.surrogate,
        })
    };
    let effects = importance.effects.iter().map(|effect| {
        json!({
            "parameter": effect.parameter,
            "first": share(effect.first),
            "total": share(effect.total),
        })
    });
    json!({
        "study": study,
        "horizon": importance.horizon,
        "spread": importance.spread,
        "effects": effects.collect::<Vec<_>>(),
    })
}

/// How far a posterior can be believed.
pub fn calibration(study: &str, calibration: &Calibration) -> Json {
    let coverage = calibration.coverage.iter();
    let coverage = coverage.map(|one| json!({ "level": one.level, "share": one.share }));
    let left_out = calibration.left_out.iter().map(|one| {
        json!({
            "number": one.number,
            "value": one.value,
            "is_raised": one.is_raised,
            "mean": one.mean,
            "deviation": one.deviation,
            "z_score": one.z_score,
        })
    });
    without_nulls(json!({
        "study": study,
        "horizon": calibration.horizon,
        "z_mean": calibration.z_mean,
        "z_rms": calibration.z_rms,
        "coverage": coverage.collect::<Vec<_>>(),
        "log_density": calibration.log_density,
        "log_density_constant": calibration.log_density_constant,
        "cross_validation": calibration.cross_validation.map(|folds| json!({
            "folds": folds.folds,
            "predicted": folds.predicted,
            "r2": folds.r2,
            "rmse": folds.rmse,
            "rmse_constant": folds.rmse_constant,
        })),
        "left_out": left_out.collect::<Vec<_>>(),
    }))
}

/// How the objective changes along hyperparameters.
pub fn dependence(study: &str, answer: &GetDependenceResponse) -> Json {
    let dependences = answer.dependences.iter().map(|dependence| {
        let places = dependence.places.iter().map(|place| {
            json!({
                "value": place.value.as_ref().map(value),
                "mean": place.mean,
                "deviation": place.deviation,
                "results": place.results,
            })
        });
        json!({ "parameter": dependence.parameter, "places": places.collect::<Vec<_>>() })
    });
    json!({
        "study": study,
        "horizon": answer.horizon,
        "dependences": dependences.collect::<Vec<_>>(),
    })
}

/// A point: its values by name.
pub fn point(point: &Point) -> Json {
    named(point.values.iter().map(|(name, v)| (name.clone(), value(v))))
}

fn parameter(parameter: &Parameter) -> Json {
    let scale = |scale: i32| match scale == proto::v1::Scale::Log as i32 {
        true => "log",
        false => "linear",
    };
    let mut map = Map::new();
    map.insert("name".to_owned(), json!(parameter.name));
    let (kind, domain) = match &parameter.domain {
        Some(Domain::Float(d)) => ("float", json!([d.low, d.high])),
        Some(Domain::Int(d)) => ("int", json!([d.low, d.high])),
        Some(Domain::Ordinal(d)) => ("ordinal", json!(d.values)),
        Some(Domain::Categorical(d)) => ("categorical", json!(d.choices)),
        Some(Domain::Bool(_)) => ("bool", json!(true)),
        None => ("unknown", Json::Null),
    };
    map.insert(kind.to_owned(), domain);
    match &parameter.domain {
        Some(Domain::Float(d)) => map.insert("scale".to_owned(), json!(scale(d.scale))),
        Some(Domain::Int(d)) => map.insert("scale".to_owned(), json!(scale(d.scale))),
        _ => None,
    };
    if let Some(default) = &parameter.default_value {
        map.insert("default".to_owned(), value(default));
    }
    if let Some(condition) = &parameter.condition {
        let values: Vec<Json> = condition.values.iter().map(value).collect();
        let when = json!({ "parameter": condition.parameter, "in": values });
        map.insert("when".to_owned(), when);
    }
    Json::Object(map)
}

/// One value of a hyperparameter.
pub fn value(value: &Value) -> Json {
    match &value.kind {
        Some(Kind::Boolean(b)) => json!(b),
        Some(Kind::Integer(n)) => json!(n),
        Some(Kind::Number(x)) => json!(x),
        Some(Kind::Text(name)) => json!(name),
        None => Json::Null,
    }
}

fn numbers(numbers: &std::collections::BTreeMap<String, f64>) -> Json {
    named(numbers.iter().map(|(name, x)| (name.clone(), json!(x))))
}

fn named(pairs: impl Iterator<Item = (String, Json)>) -> Json {
    Json::Object(pairs.collect())
}

fn without_nulls(json: Json) -> Json {
    match json {
        Json::Object(map) => {
            Json::Object(map.into_iter().filter(|(_, value)| !value.is_null()).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_without_a_value_has_no_such_key_and_words_for_its_state() {
        let trial = Trial {
            number: 3,
            state: proto::v1::TrialState::Running.into(),
            metrics: [("b".to_owned(), 0.5), ("a".to_owned(), 1.0)].into(),
            started_at: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            ..Trial::default()
        };
        let json = self::trial(&trial);
        assert_eq!(json["state"], "running");
        assert_eq!(json["started_at"], "1970-01-01T00:00:00Z");
        assert!(json.get("value").is_none() && json.get("worker").is_none());
        assert!(serde_json::to_string(&json["metrics"]).unwrap() == r#"{"a":1.0,"b":0.5}"#);
    }

    #[test]
    fn a_parameter_reads_as_in_a_study_file() {
        let text = r#"
            name = "s"
            max_trials = 1
            [objective]
            kind = "external"
            labels = { program = "p" }
            [[parameter]]
            name = "a"
            int = [1, 9]
            scale = "log"
            default = 3
            [[parameter]]
            name = "b"
            bool = true
            when = { parameter = "a", in = [1, 2] }
        "#;
        let spec = crate::study_file::parse(text, "s.toml", &Default::default()).unwrap();
        let json = self::spec(&spec);
        assert_eq!(json["objective"], json!({ "kind": "external", "labels": { "program": "p" } }));
        assert_eq!(
            json["parameters"],
            json!([
                { "name": "a", "int": [1, 9], "scale": "log", "default": 3 },
                { "name": "b", "bool": true, "when": { "parameter": "a", "in": [1, 2] } },
            ])
        );
    }
}
