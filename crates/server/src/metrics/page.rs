//! The metrics as Prometheus reads them.

use std::fmt;

use headwater_hub::{Close, Counters};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::latency::Counted;
use super::{Latency, OUTCOMES};
use crate::Hub;

/// All metrics of a hub, to be written out whenever somebody asks.
pub(crate) struct Page(Registry);

impl Page {
    /// What the page is written in.
    pub(crate) const CONTENT_TYPE: &str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    pub(crate) fn new(hub: Hub) -> Self {
        let mut registry = Registry::with_prefix("headwater");
        registry.register_collector(Box::new(OfHub(hub)));
        Self(registry)
    }

    /// The page as it is now. Costs writing it, and a few steps for each segment of a log on disk.
    pub(crate) fn text(&self) -> String {
        let mut page = String::with_capacity(16 << 10);
        // A string takes everything.
        let _ = text::encode(&mut page, &self.0);
        page
    }
}

struct OfHub(Hub);

impl fmt::Debug for OfHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfHub(..)")
    }
}

/// Writes metrics one after the other.
struct Writer<'a>(DescriptorEncoder<'a>);

/// A value for each value of a label.
type Each<'a, L> = &'a [(L, u64)];

impl Writer<'_> {
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)
    }

    fn counters<L: fmt::Display>(
        &mut self,
        (name, label): (&str, &str),
        help: &str,
        each: Each<'_, L>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, number) in each {
            let labels = [(label, value.to_string())];
            ConstCounter::new(*number).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn gauges<L: fmt::Display>(
        &mut self,
        (name, label): (&str, &str),
        help: &str,
        each: Each<'_, L>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value, number) in each {
            let labels = [(label, value.to_string())];
            ConstGauge::new(*number).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, counted: &Counted) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        let Counted { sum, count, buckets } = counted;
        metric.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
    }
}

impl Collector for OfHub {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        self.program(&mut writer)?;
        self.front(&mut writer)?;
        self.shards(&mut writer)?;
        self.log(&mut writer)
    }
}

impl OfHub {
    fn program(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let help = "The version that runs.";
        let mut info = writer.0.encode_descriptor("build", help, None, MetricType::Info)?;
        info.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        let ready = u64::from(self.0.trouble().is_none());
        writer.gauge("ready", "1 if the hub can do its work, as /healthz says.", ready)
    }

    fn front(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let metrics = self.0.metrics();
        let open = u64::try_from(metrics.connections.get()).unwrap_or_default();
        writer.gauge("connections", "Connections that are served.", open)?;
        let help = "Connections that were let in.";
        writer.counter("connections_accepted", help, metrics.accepted.get())?;
        let help = "Connections and requests that were refused, by the setting whose limit it was.";
        let refused = writer.0.encode_descriptor("refused", help, None, MetricType::Counter)?;
        metrics.refused.encode(refused)?;
        let help = "How high limits are, by setting.";
        let limits = writer.0.encode_descriptor("limit", help, None, MetricType::Gauge)?;
        metrics.limits.encode(limits)?;
        let published = metrics.published_each();
        let help = "Events that publishers sent, by what the log answered.";
        writer.counters(("published", "result"), help, &published)?;
        let help =
            "From a request to publish until the log has its events, as durably as configured.";
        writer.histogram("append_seconds", help, &Latency::sum_of([&metrics.append].into_iter()))
    }

    fn shards(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let shards: Vec<Counters> = self.0.shards().map(|shard| shard.counters()).collect();
        let each = |of: fn(&Counters) -> u64| -> Vec<(usize, u64)> {
            shards.iter().map(of).enumerate().collect()
        };
        let sum = |of: fn(&Counters) -> u64| shards.iter().map(of).sum();
        let help = "Subscribers.";
        writer.gauges(("subscribers", "shard"), help, &each(|shard| shard.subscribers))?;
        let help =
            "Subscribers that are behind the others: they catch up, or their socket is full.";
        writer.gauges(("subscribers_lagging", "shard"), help, &each(|shard| shard.lagging))?;
        let help = "Events handed to subscribers, counted for each subscriber.";
        writer.counters(("deliveries", "shard"), help, &each(|shard| shard.deliveries))?;
        let help = "Bytes handed to subscribers: events, and the hub's own blocks.";
        writer.counters(("sent_bytes", "shard"), help, &each(|shard| shard.bytes))?;
        let help = "Gaps that subscribers were told.";
        writer.counter("gaps", help, sum(|shard| shard.gaps))?;
        let help = "Subscriptions that ended, by reason.";
        let count = |nth: usize| shards.iter().filter_map(|shard| shard.closes.get(nth)).sum();
        let closes = Close::ALL.iter().enumerate().map(|(nth, &reason)| (name(reason), count(nth)));
        writer.counters(("closes", "reason"), help, &closes.collect::<Vec<_>>())?;
        let help = "How often one topic's subscribers let others go first (turn_bytes_max).";
        writer.counter("turns_yielded", help, sum(|shard| shard.turns_yielded))?;
        let help = "Pages of the log read for those who are further back than the window.";
        writer.counter("log_pages", help, sum(|shard| shard.pages))?;
        let help = "Of each turn of a shard: from the log's tail showing its first event until all its \
                    subscribers' sockets had been handed all of its events.";
        let sends = self.0.shards().map(|shard| &shard.send);
        writer.histogram("send_seconds", help, &Latency::sum_of(sends))
    }

    fn log(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let window = self.0.window_bytes() as u64;
        let help = "What the window of events that are ready to send takes.";
        writer.gauge("window_bytes", help, window)?;
        let (bounds, size) = (self.0.log().bounds(), self.0.log().size());
        let help = "Nothing at or before this offset is kept.";
        writer.gauge("log_floor", help, bounds.floor.get())?;
        let help = "The newest visible offset; offsets have holes.";
        writer.gauge("log_tail", help, bounds.tail.offset.get())?;
        let Some(size) = size else { return Ok(()) };
        writer.gauge("log_events", "Events that the log keeps.", size.events)?;
        let help = "What the log takes, in memory or on disk.";
        writer.gauge("log_bytes", help, size.bytes)
    }
}

impl super::Metrics {
    fn published_each(&self) -> [(&'static str, u64); OUTCOMES.len()] {
        let mut each = OUTCOMES.map(|outcome| (outcome, 0));
        for ((_, number), total) in each.iter_mut().zip(&self.published) {
            *number = total.load(std::sync::atomic::Ordering::Relaxed);
        }
        each
    }
}

fn name(reason: Close) -> &'static str {
    match reason {
        Close::Complete => "complete",
        Close::Gone => "gone",
        Close::Stalled => "stalled",
        Close::EventGone => "event_gone",
        Close::LogUnreadable => "log_unreadable",
        Close::Expired => "expired",
        Close::Removed => "removed",
        Close::Stopping => "stopping",
    }
}
