//! What the comparison ran on.

use std::fs;
use std::process::Command;

use crate::process::output;

/// Facts about the machine, a name and a text each.
pub(crate) fn facts() -> Vec<(&'static str, String)> {
    let said = |program: &str, arguments: &[&str]| {
        let said = output(Command::new(program).args(arguments));
        said.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
    };
    vec![
        ("processor", processor()),
        ("memory", memory()),
        ("kernel", said("uname", &["-sr"])),
        ("system", system()),
        ("rustc", said("rustc", &["--version"])),
        ("commit", said("git", &["describe", "--always", "--dirty"])),
        ("date", said("date", &["-u", "+%Y-%m-%d"])),
    ]
}

/// How many programs want to run, on average over the last minute.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = text.lines().filter_map(|line| line.strip_prefix("model name"));
    let models: Vec<_> = models.filter_map(|rest| rest.split_once(": ")).collect();
    match models.first() {
        Some((_, model)) => format!("{}, {} cores", model.trim(), models.len()),
        None => "unknown".to_owned(),
    }
}

fn memory() -> String {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = kib.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or_else(|| "unknown".to_owned(), |kib| format!("{} GiB", kib.div_ceil(1 << 20)))
}

fn system() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "unknown".to_owned(), |name| name.trim_matches('"').to_owned())
}
