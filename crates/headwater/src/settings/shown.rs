//! The effective settings as a file that could have been written by hand.

use std::fmt::Write;

use headwater_server::token::Secret;
use headwater_server::{Config, HubConfig};
use serde::Serialize;

use super::general::General;
use super::{SECRETS, Settings, schema};

impl Settings {
    /// The three parts, as they stand in a file.
    pub(super) fn tables(&self) -> [toml::Table; 3] {
        [table(&self.general), table(&self.hub), table(&self.http)]
    }

    /// All settings as TOML, secrets left out; what is no default says who set it.
    pub(crate) fn shown(&self) -> String {
        let fields = [
            schema::fields::<General>(),
            schema::fields::<HubConfig>(),
            schema::fields::<Config>(),
        ];
        let mut top = String::new();
        let mut below = String::new();
        for (table, fields) in self.tables().iter().zip(fields) {
            for &name in fields {
                match table.get(name) {
                    None => writeln!(top, "# {name} is not set"),
                    Some(_) if SECRETS.iter().any(|(secret, _)| *secret == name) => {
                        writeln!(top, "# {name} is set, and not shown{}", self.origin(name))
                    }
                    Some(toml::Value::Table(inner)) => self.show_table(&mut below, name, inner),
                    Some(toml::Value::Array(list)) if list.iter().any(toml::Value::is_table) => {
                        list.iter().try_for_each(|item| show_item(&mut below, name, item))
                    }
                    Some(value) => self.show(&mut top, name, name, value),
                }
                .unwrap_or_default();
            }
        }
        top + &below
    }

    fn show_table(&self, text: &mut String, name: &str, table: &toml::Table) -> std::fmt::Result {
        writeln!(text, "\n[{name}]")?;
        for (inner, value) in table {
            self.show(text, &format!("{name}.{inner}"), inner, value)?;
        }
        Ok(())
    }

    fn show(
        &self,
        text: &mut String,
        path: &str,
        name: &str,
        value: &toml::Value,
    ) -> std::fmt::Result {
        writeln!(text, "{name} = {value}{}", self.origin(path))
    }

    /// A comment that says who set it, for what is no default.
    fn origin(&self, path: &str) -> String {
        self.origins.get(path).map(|origin| format!("  # {origin}")).unwrap_or_default()
    }
}

fn table(part: &impl Serialize) -> toml::Table {
    // What was read from a file can be written to one.
    toml::Table::try_from(part).unwrap_or_default()
}

fn show_item(text: &mut String, name: &str, item: &toml::Value) -> std::fmt::Result {
    writeln!(text, "\n[[{name}]]")?;
    for (name, value) in item.as_table().into_iter().flatten() {
        if value.as_str() == Some(Secret::HIDDEN) {
            writeln!(text, "# {name} is set, and not shown")?;
        } else {
            writeln!(text, "{name} = {value}")?;
        }
    }
    Ok(())
}
