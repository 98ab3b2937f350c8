//! The `exec` source: runs a program, publishes what it prints, and runs it again.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use headwater_event_stream::DecodeError;
use headwater_log::{Appended, Draft, Event, EventType, PublisherId};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::ChildStdout;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::output::{Batch, Output, Printed};
use super::pace::Pace;
use super::program::Program;
use super::{Publish, Source};

/// How long nobody may listen before a program that runs only for listeners is ended: a page that
/// reconnects must not cost a new start.
const LINGER: Duration = Duration::from_secs(10);
/// How long what a program has left behind may go on printing.
const DRAIN: Duration = Duration::from_millis(500);
/// How long it may take to publish what a program printed last.
const TAKE_MAX: Duration = Duration::from_secs(30);
/// What is read from a program at a time.
const PIECE_BYTES: usize = 16 << 10;
/// The longest line of a program's standard error that the log shows.
const ERROR_LINE_BYTES_MAX: u64 = 4 << 10;

/// Runs the source's program again and again, never two at once, until `stopping`.
pub(super) async fn run<P: Publish>(source: Source, hub: P, stopping: CancellationToken) {
    let mut listeners = source.only_while_listened.then(|| hub.listeners(source.topic.clone()));
    let mut pace = Pace::new(source.interval());
    loop {
        if stopping.run_until_cancelled(listened_to(&mut listeners)).await.is_none() {
            return;
        }
        let started = Instant::now();
        let mut run = Run { source: &source, hub: &hub, pace: &mut pace };
        let ended = run.complete(&mut listeners, &stopping).await;
        let pause = match ended {
            Ended::Stopped => return,
            Ended::Normally => pace.after_success(),
            Ended::Failed(error) => {
                let random = getrandom::u32().unwrap_or_default();
                let pause = pace.after_failure(started.elapsed(), random);
                tracing::warn!(
                    topic = %source.topic,
                    "`{}` {error}; it runs again in {:.1} s",
                    source.shown_command(),
                    pause.as_secs_f64()
                );
                pause
            }
        };
        if stopping.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// How a run ended.
enum Ended {
    Normally,
    Failed(RunError),
    /// Because the hub stops.
    Stopped,
}

/// Why a run failed. The operator has to act.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("cannot be started: {0}")]
    Start(io::Error),
    #[error("cannot be waited for: {0}")]
    Wait(io::Error),
    #[error("cannot be read from: {0}")]
    Read(#[from] io::Error),
    #[error("was ended because of what it printed: {0}")]
    Output(#[from] DecodeError),
    #[error("failed ({0})")]
    Status(ExitStatus),
}

/// Why a run is over.
enum Cause {
    Itself,
    Broken(RunError),
    NobodyListens,
    Stopping,
}

struct Run<'a, P> {
    source: &'a Source,
    hub: &'a P,
    pace: &'a mut Pace,
}

impl<P: Publish> Run<'_, P> {
    async fn complete(
        &mut self,
        listeners: &mut Option<watch::Receiver<usize>>,
        stopping: &CancellationToken,
    ) -> Ended {
        let mut program = match Program::start(&self.source.command) {
            Ok(program) => program,
            Err(error) => return Ended::Failed(RunError::Start(error)),
        };
        let Some((stdout, stderr)) = program.pipes() else { return Ended::Normally };
        let errors = async {
            log_errors(self.source, stderr).await;
            Ok(())
        };
        let published = self.publish_output(stdout);
        let mut output = pin!(async { tokio::try_join!(published, errors).map(drop) });
        let mut output_ended = false;
        let cause = loop {
            tokio::select! {
                () = program.exited() => break Cause::Itself,
                result = &mut output, if !output_ended => match result {
                    Ok(()) => output_ended = true,
                    Err(error) => {
                        output_ended = true;
                        break Cause::Broken(error);
                    }
                },
                () = nobody_listens(listeners) => break Cause::NobodyListens,
                () = stopping.cancelled() => break Cause::Stopping,
            }
        };
        if !matches!(cause, Cause::Itself) {
            // What it prints on its way out is published too.
            let mut ending = pin!(program.terminate());
            loop {
                tokio::select! {
                    () = &mut ending => break,
                    _ = &mut output, if !output_ended => output_ended = true,
                }
            }
        }
        let mut result = Ok(());
        if !output_ended && let Ok(ended) = timeout(DRAIN, &mut output).await {
            output_ended = true;
            result = ended;
        }
        let status = program.collect().await;
        // Nothing prints any more; what is left in the pipe has only to be taken.
        if !output_ended && let Some(ended) = last(&mut output, &cause, stopping).await {
            result = ended;
        }
        match (cause, result, status) {
            (Cause::Stopping, ..) => Ended::Stopped,
            (Cause::Broken(error), ..) | (Cause::Itself, Err(error), _) => Ended::Failed(error),
            (Cause::Itself, Ok(()), Ok(status)) if !status.success() => {
                Ended::Failed(RunError::Status(status))
            }
            (Cause::Itself, Ok(()), Err(error)) => Ended::Failed(RunError::Wait(error)),
            (Cause::Itself | Cause::NobodyListens, ..) => Ended::Normally,
        }
    }

    /// Publishes events as they are printed, to the end of the output. Waits for the log before it
    /// reads on, so that a program cannot print faster than events are taken.
    async fn publish_output(&mut self, mut stdout: ChildStdout) -> Result<(), RunError> {
        let mut output = Output::new(self.source.format, self.source.event_bytes_max);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = stdout.read(&mut piece).await?;
            if read == 0 {
                break;
            }
            let batch = output.feed(piece.get(..read).unwrap_or_default())?;
            self.publish(batch).await;
        }
        let (rest, begun) = output.end()?;
        self.publish(rest).await;
        if begun {
            tracing::warn!(
                topic = %self.source.topic,
                "`{}` ended inside an event, which was not published: print an empty line after it",
                self.source.shown_command()
            );
        }
        Ok(())
    }

    async fn publish(&mut self, batch: Batch) {
        if let Some(retry) = batch.retry {
            self.pace.set_interval(retry);
        }
        let drafts: Vec<Draft> =
            batch.events.into_iter().filter_map(|printed| self.draft(printed)).collect();
        if drafts.is_empty() {
            return;
        }
        for answer in self.hub.publish(drafts).await {
            match answer {
                Appended::Committed(_) | Appended::Duplicate { .. } => {}
                Appended::Rejected(why) => {
                    tracing::warn!(topic = %self.source.topic, "an event was not published: {why}");
                }
                Appended::Unknown { reason } => tracing::warn!(
                    topic = %self.source.topic,
                    "an event may or may not have been published: {reason}"
                ),
            }
        }
    }

    /// The event for the log; told and left out if its type or id is none.
    fn draft(&self, printed: Printed) -> Option<Draft> {
        let refuse = |why: &dyn std::fmt::Display| {
            tracing::warn!(topic = %self.source.topic, "an event was not published: {why}");
        };
        let event_type =
            EventType::parse(&printed.event_type).map_err(|error| refuse(&error)).ok()?;
        let id = printed.id.filter(|id| self.source.ids && !id.is_empty());
        let publisher_id = id
            .map(|id| PublisherId::parse(&id))
            .transpose()
            .map_err(|error| refuse(&error))
            .ok()?;
        let event = Event {
            time: self.hub.now(),
            topics: [self.source.topic.clone()].into(),
            event_type,
            data: printed.data.into(),
            // It tells when the program wants to run again, not when pages should reconnect.
            retry: None,
            private: false,
            publisher_id,
        };
        Some(Draft { event, idempotency: None })
    }
}

/// What becomes of the last output of a program that is gone, if that is known in time.
async fn last<T>(
    output: impl Future<Output = T>,
    cause: &Cause,
    stopping: &CancellationToken,
) -> Option<T> {
    if matches!(cause, Cause::Stopping) {
        return timeout(DRAIN, output).await.ok();
    }
    timeout(TAKE_MAX, stopping.run_until_cancelled(output)).await.ok().flatten()
}

/// Waits until somebody listens, if that matters.
async fn listened_to(listeners: &mut Option<watch::Receiver<usize>>) {
    if let Some(listeners) = listeners
        && listeners.wait_for(|&count| count > 0).await.is_err()
    {
        // The hub has stopped; so will the source.
        std::future::pending().await
    }
}

/// Waits until nobody has listened for [`LINGER`], if that matters.
async fn nobody_listens(listeners: &mut Option<watch::Receiver<usize>>) {
    let Some(listeners) = listeners else { return std::future::pending().await };
    loop {
        if listeners.wait_for(|&count| count == 0).await.is_err() {
            return std::future::pending().await;
        }
        if timeout(LINGER, listeners.wait_for(|&count| count > 0)).await.is_err() {
            return;
        }
    }
}

/// Shows what a program prints on standard error, line by line.
async fn log_errors(source: &Source, stderr: impl AsyncRead + Unpin) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut stderr).take(ERROR_LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(line.trim_ascii_end());
                // A program must not move about in the terminal.
                let text = text.replace(char::is_control, "\u{fffd}");
                tracing::info!(topic = %source.topic, "`{}`: {text}", source.shown_command());
            }
        }
    }
}
