//! The sources with real programs, and with a stand-in for the hub.

use std::sync::Arc;
use std::time::Duration;

use headwater_log::{Append, Appended, Draft, Epoch, Millis, Offset, Position, Topic};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::{Publish, Source, Sources};

/// Hands on what is published, and tells how many listen.
#[derive(Clone)]
struct StandIn {
    published: mpsc::UnboundedSender<Draft>,
    listeners: Arc<watch::Sender<usize>>,
    /// How long it takes to publish.
    delay: Duration,
}

impl Publish for StandIn {
    fn now(&self) -> Millis {
        Millis(1_000)
    }

    async fn publish(&self, drafts: Vec<Draft>) -> Append {
        tokio::time::sleep(self.delay).await;
        let committed = Position { epoch: Epoch::new(1), offset: Offset::new(1) };
        let answers = drafts.iter().map(|_| Appended::Committed(committed)).collect();
        // A test that has seen enough no longer listens.
        drafts.into_iter().for_each(|draft| drop(self.published.send(draft)));
        answers
    }

    fn listeners(&self, _: Topic) -> watch::Receiver<usize> {
        self.listeners.subscribe()
    }
}

struct Bench {
    sources: Sources,
    published: mpsc::UnboundedReceiver<Draft>,
    listeners: Arc<watch::Sender<usize>>,
    hub: StandIn,
}

impl Bench {
    fn new() -> Self {
        let (sender, published) = mpsc::unbounded_channel();
        let listeners = Arc::new(watch::Sender::new(0));
        let delay = Duration::ZERO;
        let hub = StandIn { published: sender, listeners: Arc::clone(&listeners), delay };
        Self { sources: Sources::new(), published, listeners, hub }
    }

    fn start(spec: &str) -> Self {
        let mut bench = Self::new();
        bench.sources.start(Source::parse(spec).unwrap(), bench.hub.clone());
        bench
    }

    /// A shell script as a source of the topic `t`; its options go in front.
    fn script(options: &str, script: &str) -> Self {
        let quoted = shlex::try_quote(script).unwrap();
        Self::start(&format!("exec{options}:t=sh -c {quoted}"))
    }

    async fn next(&mut self) -> Draft {
        timeout(PATIENCE, self.published.recv()).await.expect("an event in time").unwrap()
    }

    async fn next_data(&mut self) -> String {
        self.next().await.event.data.into()
    }
}

/// Longer than anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_php_script_of_the_classic_kind_runs_unchanged() {
    let script = "header('Content-Type: text/event-stream'); header('Cache-Control: no-cache'); \
                  $time = date('r'); echo \"data: The server time is: {$time}\\n\\n\"; flush();";
    let quoted = shlex::try_quote(script).unwrap();
    let mut bench = Bench::start(&format!("exec:t=php -r {quoted}"));
    let event = bench.next().await.event;
    assert!(event.data.starts_with("The server time is: "), "{:?}", event.data);
    assert_eq!(event.topics[0].as_str(), "t");
    assert_eq!((event.event_type.as_str(), event.publisher_id), ("message", None));
    bench.sources.stop().await;
}

#[tokio::test]
async fn types_are_kept_and_ids_only_if_asked_for() {
    let script = "printf 'event: tick\\nid: 7\\ndata: a\\ndata: b\\n\\nevent: hub.x\\ndata: refused\\n\\ndata: c\\n\\n'";
    for (options, id) in [("", None), (",ids", Some("7"))] {
        let mut bench = Bench::script(options, script);
        let event = bench.next().await.event;
        assert_eq!((event.event_type.as_str(), &*event.data), ("tick", "a\nb"));
        assert_eq!(event.publisher_id.as_ref().map(|id| id.as_str()), id);
        let event = bench.next().await.event;
        assert_eq!((&*event.data, event.publisher_id), ("c", None), "an id is one event's only");
        bench.sources.stop().await;
    }
}

#[tokio::test]
async fn events_are_published_while_the_program_runs() {
    // It goes on only when the first event has been seen.
    let dir = tempfile::tempdir().unwrap();
    let seen = dir.path().join("seen");
    let script =
        format!("echo one; until [ -e {0} ]; do sleep 0.02; done; echo two", seen.display());
    let mut bench = Bench::script("", &script);
    assert_eq!(bench.next_data().await, "one");
    std::fs::write(&seen, "").unwrap();
    assert_eq!(bench.next_data().await, "two");
    bench.sources.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_printed_is_lost_however_slowly_it_is_published() {
    let mut bench = Bench::new();
    bench.hub.delay = Duration::from_secs(3);
    let source = Source::parse("exec,interval_ms=3600000:t=seq 10000").unwrap();
    bench.sources.start(source, bench.hub.clone());
    for number in 1..=10_000 {
        assert_eq!(bench.published.recv().await.unwrap().event.data.as_ref(), number.to_string());
    }
    bench.sources.stop().await;
}

#[tokio::test]
async fn it_runs_again_after_its_retry_and_never_two_at_once() {
    // A folder can be made only once: a second run at the same time would print `twice`.
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("lock");
    let script = format!(
        "mkdir {0} || printf 'data: twice\\n\\n'; printf 'retry: 10\\n\\ndata: run\\n\\n'; sleep 0.05; rmdir {0}",
        lock.display()
    );
    // Without its retry it would wait an hour.
    let mut bench = Bench::script(",interval_ms=3600000", &script);
    for _ in 0..5 {
        let event = bench.next().await.event;
        assert_eq!((&*event.data, event.retry), ("run", None));
    }
    bench.sources.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_without_retry_waits_for_the_interval() {
    let mut bench = Bench::script(",interval_ms=3600000", "echo run");
    bench.published.recv().await.unwrap();
    let first = Instant::now();
    bench.published.recv().await.unwrap();
    assert!(first.elapsed() >= Duration::from_secs(3600));
    bench.sources.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_program_that_fails_is_tried_again_later_and_later() {
    let too_large = "echo run; echo 0123456789a; while :; do sleep 1; done";
    for script in ["echo run; exit 3", "echo run; kill -9 $$", too_large] {
        let mut bench = Bench::script(",interval_ms=10,format=lines,event_bytes_max=10", script);
        bench.published.recv().await.unwrap();
        let first = Instant::now();
        for _ in 0..4 {
            bench.published.recv().await.unwrap();
        }
        // At least half of 1, 2, 4 and 8 s.
        assert!(first.elapsed() >= Duration::from_millis(7500), "{script}");
        bench.sources.stop().await;
    }
}

#[tokio::test]
async fn a_program_that_does_not_exist_hinders_nothing() {
    let mut bench = Bench::start("exec:t=headwater-has-no-such-program");
    bench.sources.start(Source::parse("exec:t=echo other").unwrap(), bench.hub.clone());
    assert_eq!(bench.next_data().await, "other");
    timeout(PATIENCE, bench.sources.stop()).await.expect("stops");
}

/// Prints its own process number and that of a program it has left behind; neither heeds a request.
const STUBBORN: &str = "trap '' TERM; sh -c \"trap '' TERM; echo child $$; while :; do sleep 1; done\" & \
                        echo leader $$; while :; do sleep 1; done";

/// Whether there is such a process, one that waits to be collected not counted.
fn lives(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

async fn gone(pid: &str) {
    let gone = async {
        while lives(pid) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap_or_else(|_| panic!("process {pid} has survived"));
}

#[tokio::test]
async fn stopping_ends_the_program_and_all_that_it_has_forked() {
    let mut bench = Bench::script("", STUBBORN);
    let pids = [bench.next_pid().await, bench.next_pid().await];
    assert!(pids.iter().all(|pid| lives(pid)));
    bench.sources.stop().await;
    for pid in &pids {
        gone(pid).await;
    }
}

#[tokio::test]
async fn dropping_ends_them_too() {
    let mut bench = Bench::script("", STUBBORN);
    let pids = [bench.next_pid().await, bench.next_pid().await];
    drop(bench.sources);
    for pid in &pids {
        gone(pid).await;
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_ends_with_its_run() {
    let mut bench = Bench::script(",interval_ms=10", "sleep 1000 & echo left $!");
    let (first, _second) = (bench.next_pid().await, bench.next_pid().await);
    gone(&first).await;
    bench.sources.stop().await;
}

#[tokio::test]
async fn a_program_may_finish_when_it_is_asked_to_end() {
    let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let mut bench = Bench::script("", script);
    assert_eq!(bench.next_data().await, "ready");
    bench.sources.stop().await;
    assert_eq!(bench.published.recv().await.unwrap().event.data.as_ref(), "bye");
}

#[tokio::test(start_paused = true)]
async fn it_runs_only_while_somebody_listens() {
    let script = "echo $$; while :; do sleep 1; done";
    let mut bench = Bench::script(",only_while_listened", script);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(bench.published.try_recv().is_err(), "nobody listens");
    bench.listeners.send_replace(2);
    let first = bench.published.recv().await.unwrap().event.data;
    // One who comes back at once finds the same program.
    bench.listeners.send_replace(0);
    tokio::time::sleep(Duration::from_secs(5)).await;
    bench.listeners.send_replace(1);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(lives(&first));
    bench.listeners.send_replace(0);
    gone(&first).await;
    bench.listeners.send_replace(1);
    assert_ne!(bench.published.recv().await.unwrap().event.data, first);
    bench.sources.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_clock_ticks_only_while_somebody_listens() {
    let mut bench = Bench::new();
    bench.sources.start_clock(Topic::parse("time").unwrap(), bench.hub.clone());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(bench.published.try_recv().is_err(), "nobody listens");
    bench.listeners.send_replace(1);
    for _ in 0..2 {
        assert_eq!(bench.next_data().await, "1970-01-01 00:00:01Z");
    }
    bench.sources.stop().await;
}

impl Bench {
    /// The number that the next event's data end with.
    async fn next_pid(&mut self) -> String {
        let data = self.next_data().await;
        data.rsplit(' ').next().unwrap_or_default().to_owned()
    }
}
