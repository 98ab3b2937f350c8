//! The arguments of `cargo xtask bench`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

pub(crate) const HELP: &str = "\
Compares Headwater with other servers on this machine.

Usage: cargo xtask bench [OPTIONS]

  --rows A,B          only these rows (--list names them)
  --peers A,B         only these servers; `bare` is the one that the ratios are to
  --rounds N          how often each is measured, interleaved [default: 5]
  --subscribers N,M   the sizes [default: 1000,10000]
  --seconds S         how long each measurement publishes [default: 5]
  --server-core N     the processor that servers run on [default: 0]
  --generator-core N  the processor that the generator runs on [default: 1]
  --headwater FILE    a headwater binary that is built already
  --mercure FILE      a Mercure binary, to compare it too
  --centrifugo FILE   a Centrifugo binary, to compare it too
  --out FOLDER        where the results go [default: bench/results]
  --list              name the rows and the servers, and measure nothing

What is missing is installed: Debian packages, crates and npm packages.
";

/// What to measure, and how.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// Empty for all.
    pub(crate) rows: Vec<String>,
    /// Empty for all.
    pub(crate) peers: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) subscribers: Vec<usize>,
    pub(crate) seconds: u32,
    pub(crate) server_core: usize,
    pub(crate) generator_core: usize,
    pub(crate) headwater: Option<PathBuf>,
    pub(crate) mercure: Option<PathBuf>,
    pub(crate) centrifugo: Option<PathBuf>,
    pub(crate) out: PathBuf,
    pub(crate) list: bool,
}

impl Arguments {
    /// `None` if help is wanted.
    pub(crate) fn parse(words: &[&str]) -> Result<Option<Self>> {
        let mut arguments = Self {
            rows: Vec::new(),
            peers: Vec::new(),
            rounds: 5,
            subscribers: vec![1000, 10_000],
            seconds: 5,
            server_core: 0,
            generator_core: 1,
            headwater: None,
            mercure: None,
            centrifugo: None,
            out: PathBuf::from("bench/results"),
            list: false,
        };
        let mut words = words.iter();
        while let Some(&name) = words.next() {
            match name {
                "--help" | "-h" | "help" => return Ok(None),
                "--list" => arguments.list = true,
                _ => {
                    let value = words.next().with_context(|| format!("{name} needs a value"))?;
                    arguments.set(name, value)?;
                }
            }
        }
        ensure!(
            arguments.rounds > 0 && arguments.seconds > 0,
            "--rounds and --seconds: at least 1"
        );
        ensure!(!arguments.subscribers.contains(&0), "--subscribers: at least 1");
        Ok(Some(arguments))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let number = || value.parse().with_context(|| format!("{name} needs a number"));
        let names = || value.split(',').map(str::to_owned).collect();
        let file = || std::path::absolute(value).map(Some);
        match name {
            "--rows" => self.rows = names(),
            "--peers" => self.peers = names(),
            "--rounds" => self.rounds = number()?,
            "--seconds" => self.seconds = u32::try_from(number()?)?,
            "--server-core" => self.server_core = number()?,
            "--generator-core" => self.generator_core = number()?,
            "--headwater" => self.headwater = file()?,
            "--mercure" => self.mercure = file()?,
            "--centrifugo" => self.centrifugo = file()?,
            "--out" => self.out = PathBuf::from(value),
            "--subscribers" => {
                let sizes: Result<_, _> = value.split(',').map(str::parse).collect();
                self.subscribers =
                    sizes.context("--subscribers needs numbers, as in 1000,10000")?;
            }
            _ => bail!("unknown option {name}; `cargo xtask bench --help` lists them"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_others_explained() {
        let read = Arguments::parse(&["--rows", "a,b", "--subscribers", "10,20", "--rounds", "2"]);
        let read = read.unwrap().unwrap();
        assert_eq!((read.rows.len(), read.subscribers, read.rounds), (2, vec![10, 20], 2));
        assert!(Arguments::parse(&["--help"]).unwrap().is_none());
        for words in [&["--rounds"][..], &["--rounds", "x"], &["--what", "1"], &["--rounds", "0"]] {
            assert!(Arguments::parse(words).is_err(), "{words:?}");
        }
    }
}
