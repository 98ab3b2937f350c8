//! What the characters of a name may be.

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

/// The first character of `text` that is a control (Cc) or format (Cf) character.
///
/// Such characters are invisible: two names that differ by one look the same to whoever reads them.
#[must_use]
pub fn first_invisible(text: &str) -> Option<char> {
    let categories = CodePointMapData::<GeneralCategory>::new();
    text.chars().find(|&character| match character {
        ' '..='~' => false,
        _ => {
            matches!(categories.get(character), GeneralCategory::Control | GeneralCategory::Format)
        }
    })
}
