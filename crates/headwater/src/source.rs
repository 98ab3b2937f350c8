//! Sources: what makes a publisher of something that is none.
//!
//! They come from the settings and from flags only, never over HTTP.

mod clock;
mod exec;
mod output;
mod pace;
mod program;
mod spec;
#[cfg(test)]
mod tests;

use std::future::Future;

use headwater_log::{Appended, Draft, Millis, Topic};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use spec::Source;

/// What a source needs of the hub.
pub(crate) trait Publish: Clone + Send + Sync + 'static {
    /// The time that an event of this moment gets.
    fn now(&self) -> Millis;

    /// Appends drafts in order, one answer each.
    fn publish(&self, drafts: Vec<Draft>) -> impl Future<Output = Vec<Appended>> + Send;

    /// How many subscribers would receive an event of this topic at this moment.
    fn listeners(&self, topic: Topic) -> watch::Receiver<usize>;
}

/// The sources that run. Dropping it ends them at once; [`stop`](Self::stop) lets programs clean up.
pub(crate) struct Sources {
    stopping: CancellationToken,
    tasks: JoinSet<()>,
}

impl Sources {
    pub(crate) fn new() -> Self {
        Self { stopping: CancellationToken::new(), tasks: JoinSet::new() }
    }

    /// Starts a source of the settings.
    pub(crate) fn start(&mut self, source: Source, hub: impl Publish) {
        self.tasks.spawn(exec::run(source, hub, self.stopping.clone()));
    }

    /// Starts the clock, which publishes the time to `topic` once a second while somebody listens.
    pub(crate) fn start_clock(&mut self, topic: Topic, hub: impl Publish) {
        self.start_own(clock::run(topic, hub));
    }

    /// Starts a source that publishes by itself; stopping drops it wherever it waits.
    pub(crate) fn start_own(&mut self, source: impl Future<Output = ()> + Send + 'static) {
        let stopping = self.stopping.clone();
        self.tasks.spawn(async move {
            stopping.run_until_cancelled(source).await;
        });
    }

    /// Ends every source and every program that one started, within three seconds.
    pub(crate) async fn stop(mut self) {
        self.stopping.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
