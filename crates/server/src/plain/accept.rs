//! Which form of answer a request asks for.

use http::HeaderMap;
use http::header::ACCEPT;

/// The forms of a subscription's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `text/event-stream`.
    EventStream,
    /// `application/x-ndjson`: a stream of JSON objects.
    Ndjson,
    /// `application/json`: a long poll.
    LongPoll,
}

impl Form {
    /// In the order of preference where the request has none.
    const ALL: [Self; 3] = [Self::EventStream, Self::Ndjson, Self::LongPoll];

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::EventStream => "text/event-stream",
            Self::Ndjson => "application/x-ndjson",
            Self::LongPoll => "application/json",
        }
    }
}

/// None of our forms will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no form of answer suits `Accept`: ask for text/event-stream (a stream of events), application/x-ndjson (a stream of JSON lines) or application/json (a long poll)"
)]
pub(crate) struct NotAcceptable;

/// How well a form suits a request: RFC 9110, 12.5.1: "If more than one media range applies to a given
/// type, the most specific reference has precedence." Ordered by weight, then by how exactly it was
/// named: `application/json, */*` is someone who wants JSON.
type Fit = (u16, Specificity);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Anything,
    AnyOfType,
    Named,
}

/// The form that suits the request best. Without `Accept` it is the event stream.
pub(crate) fn negotiate(headers: &HeaderMap) -> Result<Form, NotAcceptable> {
    best(headers).map(|(form, _)| form).ok_or(NotAcceptable)
}

/// The form that the request names and prefers, if it names one: wildcards and silence do not count.
pub(crate) fn named(headers: &HeaderMap) -> Option<Form> {
    best(headers)
        .filter(|(_, (_, specificity))| *specificity == Specificity::Named)
        .map(|(form, _)| form)
}

fn best(headers: &HeaderMap) -> Option<(Form, Fit)> {
    let accepts = || {
        let lines = headers.get_all(ACCEPT).iter();
        lines.filter_map(|line| line.to_str().ok()).filter(|line| !line.trim().is_empty())
    };
    if accepts().next().is_none() {
        return Some((Form::EventStream, (1000, Specificity::Anything)));
    }
    let mut best: Option<(Form, Fit)> = None;
    for form in Form::ALL {
        let ranges = accepts().flat_map(|line| line.split(','));
        // Of a form's ranges the most specific one decides; of two such, the first.
        let fit = ranges
            .filter_map(|range| fit(range, form))
            .reduce(|a, b| if b.1 > a.1 { b } else { a })
            .filter(|(weight, _)| *weight > 0);
        if let Some(fit) = fit
            && best.is_none_or(|(_, least)| fit > least)
        {
            best = Some((form, fit));
        }
    }
    best
}

fn fit(range: &str, form: Form) -> Option<Fit> {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next()?;
    let (own_type, _) = form.content_type().split_once('/')?;
    let specificity = if name == "*/*" {
        Specificity::Anything
    } else if name.strip_suffix("/*").is_some_and(|name| name.eq_ignore_ascii_case(own_type)) {
        Specificity::AnyOfType
    } else if name.eq_ignore_ascii_case(form.content_type()) {
        Specificity::Named
    } else {
        return None;
    };
    let weight = parts.find_map(|part| {
        part.split_once('=').filter(|(key, _)| key.trim().eq_ignore_ascii_case("q"))
    });
    Some((weight.map_or(1000, |(_, weight)| thousandths(weight.trim())), specificity))
}

/// RFC 9110, 12.4.2: `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`. What is none
/// counts as 0: the range is ignored.
fn thousandths(weight: &str) -> u16 {
    match weight.parse::<f32>() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1000.0).round() as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &[&str]) -> HeaderMap {
        accept.iter().map(|line| (ACCEPT, line.parse().unwrap())).collect()
    }

    #[test]
    fn the_best_form_is_chosen() {
        use Form::{EventStream, LongPoll, Ndjson};
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, form) in [
            (&[][..], Ok(EventStream)),
            (&[""], Ok(EventStream)),
            (&["*/*"], Ok(EventStream)),
            (&["text/event-stream"], Ok(EventStream)),
            (&["Text/Event-Stream ; charset=utf-8"], Ok(EventStream)),
            (&["text/*"], Ok(EventStream)),
            (&[browser], Ok(EventStream)),
            (&["application/x-ndjson"], Ok(Ndjson)),
            (&["application/json"], Ok(LongPoll)),
            (&["application/json, text/plain, */*"], Ok(LongPoll)),
            (&["application/json, text/event-stream"], Ok(EventStream)),
            (&["application/json", "text/event-stream;q=0.9"], Ok(LongPoll)),
            (&["text/event-stream;q=0, */*"], Ok(Ndjson)),
            (&["*/*;q=0.1, application/json;Q=0.2"], Ok(LongPoll)),
            (&["text/html"], Err(NotAcceptable)),
            (&["text/event-stream;q=0"], Err(NotAcceptable)),
            (&["text/event-stream;q=high"], Err(NotAcceptable)),
            (&["*/*;q=0"], Err(NotAcceptable)),
        ] {
            assert_eq!(negotiate(&headers(accept)), form, "{accept:?}");
        }
    }

    #[test]
    fn only_what_is_named_counts_as_named() {
        assert_eq!(named(&headers(&[])), None);
        assert_eq!(named(&headers(&["*/*"])), None);
        assert_eq!(named(&headers(&["text/*"])), None);
        assert_eq!(named(&headers(&["text/event-stream"])), Some(Form::EventStream));
        assert_eq!(named(&headers(&["application/json, */*;q=0.1"])), Some(Form::LongPoll));
    }
}
