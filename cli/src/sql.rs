//! `strop sql`: psql on the database of the studies.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;
use embedded_postgres::Server;

use crate::exit::Failure;
use crate::options::Options;
use crate::signals::Signals;

/// `strop sql`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// A query, such as `select * from trials`; without one, psql asks for them. The views of
    /// schema v1 may be relied upon: studies, trials, metrics, best_so_far and more.
    query: Option<String>,

    /// Print the rows as CSV.
    #[arg(long, requires = "query", conflicts_with = "json")]
    csv: bool,

    /// The database, if it is not the embedded one of the data directory.
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

/// Runs psql and ends with its status.
pub async fn run(options: &Options, arguments: Arguments) -> Result<(), Failure> {
    if options.json && arguments.query.is_none() {
        return Err(Failure::Usage("--json needs a query".to_owned()));
    }
    // From here on a Ctrl-C is psql's, and ours no more than to see it through.
    let _signals = Signals::new()?;
    let server = match &arguments.database_url {
        Some(_) => None,
        None => Some(embedded(options).await?),
    };
    let url = match (&arguments.database_url, &server) {
        (Some(url), _) => url.clone(),
        (None, Some(server)) => server.url(),
        (None, None) => unreachable!("the server is opened where there is no URL"),
    };
    let program = server.as_ref().and_then(Server::psql).unwrap_or_else(|| PathBuf::from("psql"));
    let mut psql = Command::new(&program);
    psql.arg(url).args(["-v", "ON_ERROR_STOP=1"]);
    // The contract first, so that `trials` is the view and not the table behind it.
    psql.env("PGOPTIONS", "-c search_path=v1,public");
    if let Some(query) = &arguments.query {
        psql.args(["-X", "-q"]);
        match (options.json, arguments.csv) {
            (true, _) => {
                let query = query.trim().trim_end_matches(';');
                psql.args(["-At", "-c"]);
                // A line's end before the bracket, in case the query ends in a comment.
                psql.arg(format!("select coalesce(json_agg(row), '[]') from ({query}\n) as row"));
            }
            (false, true) => {
                psql.args(["--csv", "-c", query]);
            }
            (false, false) => {
                psql.args(["-c", query]);
            }
        }
    }
    let status = tokio::task::spawn_blocking(move || psql.status())
        .await
        .context("waiting for psql failed")?
        .with_context(|| format!("could not run `{}`: is it installed?", program.display()))?;
    if let Some(server) = server {
        tokio::task::spawn_blocking(move || server.close())
            .await
            .context("closing the database failed")??;
    }
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(Failure::Psql(u8::try_from(code).unwrap_or(1))),
        // As a shell would say it.
        (None, signal) => Err(Failure::Psql(u8::try_from(128 + signal.unwrap_or(0)).unwrap_or(1))),
    }
}

/// The server of the data directory, which must have one already: looking creates nothing.
async fn embedded(options: &Options) -> Result<Server, Failure> {
    let data = options.data_dir.clone();
    // A cluster may lie elsewhere behind a link, so the link itself counts.
    if std::fs::symlink_metadata(data.join("postgres")).is_err() {
        return Err(Failure::NotFound(format!(
            "there is no database in `{}` yet: `strop up` makes one, --data-dir looks elsewhere, \
             DATABASE_URL names another server",
            data.display()
        )));
    }
    let opening = tokio::task::spawn_blocking(move || Server::open(&data));
    Ok(opening.await.context("opening the database failed")??)
}
