//! Studies ordered before anything breaks.

use anyhow::Context as _;
use proto::v1::{CreateStudyRequest, StudySpec};

use super::{
    caller::{Caller, DEADLINE, within},
    city::City,
    wanted::Wanted,
};

/// Creates a study of which nothing is to be given up.
pub async fn order(city: &City, wanted: &Wanted, mut spec: StudySpec) -> anyhow::Result<()> {
    // More than lapse in any run.
    spec.max_failures = 100;
    wanted.study(&spec.name, |study| {
        study.budgets.insert(spec.max_trials);
    });
    let request_id = uuid::Uuid::new_v4().to_string();
    let request = CreateStudyRequest { spec: Some(spec), request_id };
    let call = |caller: &Caller| {
        let (mut client, request) = (caller.studies(), within(DEADLINE, request.clone()));
        async move { client.create_study(request).await }
    };
    let answer = Caller::new(&city.urls(), 0)?.until_answered(call).await;
    answer.context("a study cannot be created in peace").map(drop)
}
