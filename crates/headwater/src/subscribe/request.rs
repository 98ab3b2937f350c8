//! What is asked of the hub.

use headwater_client::{Builder, EventSource};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use url::form_urlencoded::Serializer;

use super::{Args, Format};

impl Args {
    /// One topic is named by the path, more by the query, and very many by a form.
    pub(super) fn request(&self) -> Builder {
        let mut options = Serializer::new(String::new());
        options.extend_pairs(self.since.as_deref().map(|since| ("since", since)));
        options.extend_pairs((self.format == Format::Json).then_some(("envelope", "json")));
        if let ([topic], []) = (self.matchers.topics.as_slice(), self.matchers.patterns.as_slice())
            && let Some(url) = self.endpoint.events_of(topic)
        {
            return EventSource::builder(with_query(url, &options.finish()));
        }
        let topics = self.matchers.topics.iter().map(|topic| ("topic", topic.as_str()));
        options.extend_pairs(topics);
        options.extend_pairs(self.matchers.patterns.iter().map(|pattern| ("pattern", pattern)));
        let query = options.finish();
        if query.len() <= QUERY_BYTES_MAX {
            return EventSource::builder(with_query(self.endpoint.events(), &query));
        }
        EventSource::builder(self.endpoint.events())
            .body(query)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
    }
}

/// Servers and proxies take at least 8 KiB of a request line, as a rule.
const QUERY_BYTES_MAX: usize = 4 * 1024;

fn with_query(mut url: Url, query: &str) -> Url {
    url.set_query(Some(query).filter(|query| !query.is_empty()));
    url
}
