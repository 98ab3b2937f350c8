//! A decoder that is slow and plain: the standard's text, sentence by sentence, over the whole stream at
//! once. What the crate's decoder gives is compared with it.

use super::{Owned, OwnedEvent};

/// What the whole stream says, comments too, and the last event ID string at its end.
pub(crate) fn decode(stream: &[u8], last_event_id: &str) -> (Vec<Owned>, String) {
    // "Streams must be decoded using the UTF-8 decode algorithm."
    let text = String::from_utf8_lossy(stream);
    // "The UTF-8 decode algorithm strips one leading UTF-8 Byte Order Mark (BOM), if any."
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    let mut parser = Parser {
        items: Vec::new(),
        data: String::new(),
        event_type: String::new(),
        // The standard's parser starts with an empty buffer on every connection; browsers start with the
        // last event ID string, and so do we.
        last_event_id_buffer: last_event_id.to_owned(),
        last_event_id: last_event_id.to_owned(),
        block_has_id: false,
        block_retry: None,
    };
    for line in lines(text) {
        parser.line(&line);
    }
    // "Once the end of the file is reached, any pending data must be discarded."
    (parser.items, parser.last_event_id)
}

/// The lines that have ended, without their ends.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                characters.next_if_eq(&'\n');
                lines.push(std::mem::take(&mut line));
            }
            '\n' => lines.push(std::mem::take(&mut line)),
            _ => line.push(character),
        }
    }
    lines
}

struct Parser {
    items: Vec<Owned>,
    data: String,
    event_type: String,
    last_event_id_buffer: String,
    last_event_id: String,
    block_has_id: bool,
    block_retry: Option<u64>,
}

impl Parser {
    fn line(&mut self, line: &str) {
        // "If the line is empty (a blank line): Dispatch the event, as defined below."
        if line.is_empty() {
            self.dispatch();
            return;
        }
        match line.split_once(':') {
            // "If the line starts with a U+003A COLON character (:): Ignore the line."
            Some(("", text)) => {
                self.items.push(Owned::Comment(text.strip_prefix(' ').unwrap_or(text).to_owned()));
            }
            // "Collect the characters on the line before the first U+003A COLON character (:), and let
            // field be that string. Collect the characters on the line after the first U+003A COLON
            // character (:), and let value be that string. If value starts with a U+0020 SPACE character,
            // remove it from value."
            Some((field, value)) => self.field(field, value.strip_prefix(' ').unwrap_or(value)),
            // "using the whole line as the field name, and the empty string as the field value."
            None => self.field(line, ""),
        }
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            // "Set the event type buffer to the field value."
            "event" => self.event_type = value.to_owned(),
            // "Append the field value to the data buffer, then append a single U+000A LINE FEED (LF)
            // character to the data buffer."
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            // "If the field value does not contain U+0000 NULL, then set the last event ID buffer to the
            // field value. Otherwise, ignore the field."
            "id" if !value.contains('\0') => {
                self.last_event_id_buffer = value.to_owned();
                self.block_has_id = true;
            }
            // "If the field value consists of only ASCII digits, then interpret the field value as an
            // integer in base ten, and set the event stream's reconnection time to that integer."
            "retry" if !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()) => {
                if let Ok(retry) = value.parse() {
                    self.block_retry = Some(retry);
                    self.items.push(Owned::Retry(retry));
                }
            }
            // "The field is ignored."
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        // "Set the last event ID string of the event source to the value of the last event ID buffer."
        self.last_event_id = self.last_event_id_buffer.clone();
        let block_has_id = std::mem::take(&mut self.block_has_id);
        let block_retry = self.block_retry.take();
        let mut data = std::mem::take(&mut self.data);
        let event_type = std::mem::take(&mut self.event_type);
        // "If the data buffer is an empty string, set the data buffer and the event type buffer to the
        // empty string and return."
        if data.is_empty() {
            return;
        }
        // "If the data buffer's last character is a U+000A LINE FEED (LF) character, then remove the last
        // character from the data buffer."
        if data.ends_with('\n') {
            data.pop();
        }
        self.items.push(Owned::Event(OwnedEvent {
            // "If the event type buffer has a value other than the empty string, change the type of the
            // newly created event to equal the value of the event type buffer."
            event_type: if event_type.is_empty() { "message".to_owned() } else { event_type },
            data,
            id: self.last_event_id.clone(),
            block_id: block_has_id.then(|| self.last_event_id.clone()),
            block_retry,
        }));
    }
}
