//! What a subscription sees of private events.

use headwater_log::Filter;

use super::grant::Grant;

/// Which of the events that match a subscription it may see. Part of what makes two subscribers alike:
/// comparing, hashing and cloning cost next to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Public events: nothing is granted.
    Public,
    /// All that match, because all that can match is granted.
    Everything,
    /// Public events, and those private ones of which a topic is granted.
    Granted(Grant),
}

impl Visibility {
    /// What a grant shows through a filter. Costs a look at each topic of the filter.
    ///
    /// An event that the filter lets through has a topic that one of its matchers means; if every matcher
    /// means only topics that are granted, every such event is.
    #[must_use]
    pub fn new(grant: &Grant, filter: &Filter) -> Self {
        if grant.is_none() {
            return Self::Public;
        }
        let covered = || {
            !filter.is_all()
                && filter.topics().iter().all(|topic| grant.covers(topic))
                && filter.patterns().iter().all(|pattern| grant.has(pattern))
        };
        if grant.is_all() || covered() { Self::Everything } else { Self::Granted(grant.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use headwater_log::{Pattern, Topic};
    use url::Url;

    use super::super::matcher::TopicMatcher;
    use super::*;

    #[test]
    fn is_everything_where_all_that_can_match_is_granted() {
        let base = Url::parse("http://hub.example/").unwrap();
        let elsewhere = Url::parse("http://other.example/").unwrap();
        let pattern = |text: &str| Pattern::parse(text, &base).unwrap();
        let topic = |text: &str| Topic::parse(text).unwrap();
        let grant = Grant::new(vec![
            TopicMatcher::exact("a").unwrap(),
            TopicMatcher::pattern("/b/:id", &base).unwrap(),
            TopicMatcher::pattern("/c/([0-9]+)", &base).unwrap(),
        ]);
        let granted = Visibility::Granted(grant.clone());
        let seen = |grant: &Grant, filter: &Filter| Visibility::new(grant, filter);

        for covered in [
            Filter::topic(topic("a")),
            Filter::new(vec![topic("a"), topic("b/1")], vec![]),
            Filter::new(vec![topic("a")], vec![pattern("/b/:id"), pattern("/c/([0-9]+)")]),
        ] {
            assert_eq!(seen(&grant, &covered), Visibility::Everything);
        }
        for partly in [
            Filter::all(),
            Filter::topic(topic("c")),
            Filter::new(vec![topic("a"), topic("c")], vec![]),
            Filter::new(vec![], vec![pattern("/b/*")]),
            Filter::new(vec![], vec![Pattern::parse("/b/:id", &elsewhere).unwrap()]),
        ] {
            assert_eq!(seen(&grant, &partly), granted);
            assert_eq!(seen(&Grant::all(), &partly), Visibility::Everything);
            assert_eq!(seen(&Grant::none(), &partly), Visibility::Public);
        }
    }
}
