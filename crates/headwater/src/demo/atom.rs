//! As much of Atom as a page of posts needs.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// An entry of a feed. What it does not say is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) author: String,
    /// RFC 3339.
    pub(super) updated: String,
    /// The content, or else the summary.
    pub(super) text: String,
    /// Whether that text is HTML.
    pub(super) is_html: bool,
}

/// Why a text is no feed. Its writer has to mend it; half of a file that is being written is one too.
#[derive(Debug, thiserror::Error)]
pub(super) enum AtomError {
    #[error("it is no XML: {0}")]
    Xml(#[from] quick_xml::Error),
    #[error(
        "it ends inside an element, or has none: an Atom file is a <feed> with <entry> elements"
    )]
    Incomplete,
    #[error("an <entry> has no <id>: give each one that never changes")]
    NoId,
}

/// Reads the first `entries_max` entries of an Atom file.
///
/// RFC 4287, 4.2.6: "The "atom:id" element conveys a permanent, universally unique identifier for an entry or
/// feed", so an entry without it is an error.
pub(super) fn parse(text: &str, entries_max: usize) -> Result<Vec<Entry>, AtomError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut found = Found::default();
    loop {
        match reader.read_event()? {
            Event::Start(start) => found.begin(&start),
            Event::End(_) => found.end()?,
            Event::Text(text) => found.add(&text.xml10_content()),
            Event::CData(text) => found.add(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref()? {
                Some(character) => found.add(character.encode_utf8(&mut [0; 4])),
                // Without a DTD there are no others.
                None => found.add(resolve_predefined_entity(&reference).unwrap_or_default()),
            },
            Event::Eof => break,
            _ => {}
        }
    }
    if !found.path.is_empty() || !found.is_feed {
        return Err(AtomError::Incomplete);
    }
    found.entries.truncate(entries_max);
    Ok(found.entries)
}

/// What was read so far.
#[derive(Default)]
struct Found {
    /// The elements that are open, outermost first.
    path: Vec<String>,
    is_feed: bool,
    entries: Vec<Entry>,
    entry: Entry,
    summary: String,
}

impl Found {
    fn begin(&mut self, start: &BytesStart<'_>) {
        self.path.push(start.local_name().into_inner().to_owned());
        match *self.inside() {
            ["feed"] => self.is_feed = true,
            ["feed", "entry"] => {
                self.entry = Entry::default();
                self.summary.clear();
            }
            ["feed", "entry", "content"] => {
                let kind = start.try_get_attribute("type").ok().flatten();
                self.entry.is_html = kind.is_some_and(|kind| kind.value == "html");
            }
            _ => {}
        }
    }

    fn add(&mut self, text: &str) {
        // Path by path, as what is nested in XHTML belongs to the content.
        let to = match *self.inside() {
            ["feed", "entry", "id"] => &mut self.entry.id,
            ["feed", "entry", "title", ..] => &mut self.entry.title,
            ["feed", "entry", "updated"] => &mut self.entry.updated,
            ["feed", "entry", "author", "name"] => &mut self.entry.author,
            ["feed", "entry", "summary", ..] => &mut self.summary,
            ["feed", "entry", "content", ..] => &mut self.entry.text,
            _ => return,
        };
        to.push_str(text);
    }

    fn end(&mut self) -> Result<(), AtomError> {
        if *self.inside() == ["feed", "entry"] {
            let mut entry = std::mem::take(&mut self.entry);
            if entry.text.is_empty() {
                entry.text = std::mem::take(&mut self.summary);
            }
            for text in [&mut entry.id, &mut entry.title, &mut entry.updated, &mut entry.author] {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            entry.text = entry.text.trim().to_owned();
            if entry.id.is_empty() {
                return Err(AtomError::NoId);
            }
            self.entries.push(entry);
        }
        self.path.pop();
        Ok(())
    }

    fn inside(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(entries: &str) -> String {
        format!(
            "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>f</title><id>f</id>{entries}</feed>"
        )
    }

    #[test]
    fn an_entry_is_read_whatever_its_content_is_written_as() {
        let text = feed(
            "<entry><id> urn:1 </id><title>A &amp; B&#33;</title><updated>2026-11-22T08:00:00Z</updated>\
             <author><name>Ada</name></author><content type=\"html\"><![CDATA[<b>x</b>]]></content></entry>\
             <entry><id>urn:2</id><title/><summary>short</summary></entry>\
             <entry><id>urn:3</id><content type=\"xhtml\"><div>a <i>b</i></div></content></entry>",
        );
        let entries = parse(&text, 9).unwrap();
        assert_eq!(entries[0].id, "urn:1");
        assert_eq!(entries[0].title, "A & B!");
        assert_eq!(entries[0].author, "Ada");
        assert_eq!((entries[0].text.as_str(), entries[0].is_html), ("<b>x</b>", true));
        assert_eq!((entries[1].text.as_str(), entries[1].is_html), ("short", false));
        assert_eq!(entries[2].text, "a b");
        assert_eq!(parse(&text, 1).unwrap().len(), 1);
    }

    #[test]
    fn every_beginning_of_a_feed_is_an_error() {
        let text = feed("<entry><id>urn:1</id><title>whole</title></entry>");
        assert_eq!(parse(&text, 9).unwrap().len(), 1);
        for end in 0..text.len() {
            assert!(parse(&text[..end], 9).is_err(), "{}", &text[..end]);
        }
        assert!(matches!(parse(&feed("<entry/>"), 9), Err(AtomError::NoId)));
        assert!(matches!(parse("<html></html>", 9), Err(AtomError::Incomplete)));
    }
}
