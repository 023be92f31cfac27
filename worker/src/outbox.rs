//! [`Outbox`]: reports on their way out, results by way of the disk.

use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::client::{CallError, Client};
use crate::drain::Drain;
use crate::evaluation::Failure;
use crate::one_line::one_line;
use crate::report::{Answer, Report};
use crate::spool::{Spool, SpoolError, Spooled};

/// Sends reports until they are answered, however long the coordinator is away.
#[derive(Clone, Debug)]
pub struct Outbox {
    /// The connection.
    pub client: Client,
    /// Where results lie until they are answered.
    pub spool: Spool,
    /// What ends its patience.
    pub drain: Drain,
    /// Seed of the jitter in its waits.
    pub jitter_seed: u64,
}

impl Outbox {
    /// Sends a report, and says what was answered; `None` if a drain ended the waiting. A result
    /// then lies in the spool, other reports are dropped: their trial lapses.
    pub async fn send(&self, report: &Report) -> Option<Result<Answer, CallError>> {
        match report {
            Report::Complete(result) => match self.spool.keep(result.clone()) {
                Ok(spooled) => self.send_spooled(&spooled).await,
                Err(error) => {
                    warn!(error = one_line(&error), "a result could not be written down first");
                    self.deliver(report).await
                }
            },
            Report::Fail(_) | Report::Release(_) => self.deliver(report).await,
        }
    }

    /// Sends what an earlier worker left in the spool, one after another.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Folder`] if the spool cannot be listed.
    pub async fn send_left_over(&self) -> Result<(), SpoolError> {
        for spooled in self.spool.left_over()? {
            let trial_id = spooled.request.r#ref.as_ref().map(|lease| lease.trial_id);
            match self.send_spooled(&spooled).await {
                Some(Ok(_)) => info!(trial_id, "a result of an earlier worker is delivered"),
                Some(Err(error)) => {
                    warn!(trial_id, %error, "a result of an earlier worker was not accepted");
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Sends a result, and clears it away once it is answered.
    async fn send_spooled(&self, spooled: &Spooled) -> Option<Result<Answer, CallError>> {
        let answer = self.deliver(&Report::Complete(spooled.request.clone())).await?;
        let cleared = match &answer {
            Ok(_) | Err(CallError::LeaseLost { .. }) => self.spool.remove(spooled),
            Err(_) => self.spool.set_aside(&spooled.file, "refused"),
        };
        if let Err(error) = cleared {
            warn!(error = one_line(&error), "an answered result stays in the spool");
        }
        if let Err(refused @ CallError::Refused { .. }) = &answer {
            // Unless the attempt ends, its slot is given the same trial again, for ever.
            let lease = spooled.request.r#ref.clone().unwrap_or_default();
            let fail = Report::fail(lease, &Failure::Broken(refused.to_string()));
            if let Some(Err(error)) = self.deliver(&fail).await {
                warn!(%error, "nor was the failure accepted");
            }
        }
        Some(answer)
    }

    async fn deliver(&self, report: &Report) -> Option<Result<Answer, CallError>> {
        let mut backoff = Backoff::new(self.jitter_seed);
        tokio::select! {
            answer = self.client.deliver(report, &mut backoff) => Some(answer),
            () = self.drain.spent() => None,
        }
    }
}
