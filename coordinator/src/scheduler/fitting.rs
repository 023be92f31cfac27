//! Computing beside serving: each fit on a thread of its own, behind the threads that answer.

use tokio::sync::oneshot;

use crate::error::Error;

/// How much nicer than the rest: a fit takes what answering leaves, and yet a core that is idle at once.
const NICE: i32 = 10;

/// Computes on a thread of its own, so that one study's fit, which may take seconds, waits for no other
/// and delays no answer. Dropping the future lets the thread run to its end, for nobody.
///
/// # Errors
///
/// [`Error::Plan`] if it panics or no thread can be had.
pub async fn apart<T: Send + 'static>(
    compute: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (tell, told) = oneshot::channel();
    std::thread::Builder::new()
        .name("strop-fit".into())
        .spawn(move || {
            // On Linux this is the thread's own; where it is refused, the fit only runs at par.
            let _ = rustix::process::nice(NICE);
            // Nobody listens any more if the coordinator stops.
            let _ = tell.send(compute());
        })
        .map_err(|error| Error::Plan(format!("no thread to compute on: {error}")))?;
    told.await.map_err(|_| Error::Plan("the computation broke; the log says where".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_computation_answers_and_a_broken_one_says_so() {
        assert_eq!(apart(|| 6 * 7).await.unwrap(), 42);
        let broken: Result<(), Error> = apart(|| panic!("on purpose")).await;
        assert!(matches!(broken, Err(Error::Plan(_))));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_the_computing_thread_is_nice() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        assert_eq!(apart(nice).await.unwrap(), (before + NICE).min(19));
        assert_eq!(nice(), before);
    }
}
