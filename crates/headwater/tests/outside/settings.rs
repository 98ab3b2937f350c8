//! Arguments and settings from outside: what is wrong is told, with its place, and ends with 64.

use crate::support::Place;

const KEY: &str = "correct-horse-battery-staple";

#[test]
fn wrong_arguments_end_with_64_and_help_with_0() {
    let place = Place::new();
    for arguments in
        [&[][..], &["sreve"], &["serve", "--colour"], &["serve", "--listen"], &["demo", "x"]]
    {
        let (code, out, error) = place.run(arguments, &[]);
        assert_eq!((code, out.as_str()), (64, ""), "{arguments:?}");
        assert!(error.contains("help"), "{arguments:?} says {error:?}");
    }
    for command in ["serve", "demo", "pub", "sub", "decode", "token", "check-config"] {
        let (code, out, _) = place.run(&[command, "--help"], &[]);
        assert!(code == 0 && out.contains("Example"), "{command}: {out}");
    }
    assert_eq!(place.run(&["--help"], &[]).0, 0);
    let (code, version, _) = place.run(&["--version"], &[]);
    assert_eq!((code, version.trim_end()), (0, concat!("headwater ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_settings_end_with_64_and_say_what_to_do() {
    let place = Place::new()
        .with("unknown.toml", "# mine\nlisten = \"127.0.0.1:0\"\nreconect_ms = 5\n")
        .with("open.toml", "listen = \"0.0.0.0:0\"\n");
    for (arguments, says) in [
        (
            &["serve", "--config", "unknown.toml"][..],
            "unknown.toml:3: there is no setting `reconect_ms`: did you mean `reconnect_ms`?",
        ),
        (&["check-config", "unknown.toml"], "unknown.toml:3: "),
        (&["serve", "--config", "absent.toml"], "cannot read the settings in absent.toml"),
        (&["serve", "--config", "open.toml"], "set publish_key"),
        (&["serve", "--listen", "0.0.0.0:0"], "--listen: at 0.0.0.0:0 anybody"),
        (&["serve", "--listen", "here"], "--listen: `here` is no address"),
        (
            &["serve", "--listen", "192.0.2.1:0", "--insecure"],
            "192.0.2.1 is no address of this machine",
        ),
        (&["serve", "--log", "paper"], "--log: `paper` is no place for the log"),
        (
            &["serve", "--log", "memory", "--data", "d"],
            "--data: a data directory is of use only to a log on disk",
        ),
        (&["serve", "--source", "exec:time"], "--source: a source is written KIND:TOPIC=COMMAND"),
        (&["serve", "--log-level", "loud"], "--log-level: `loud` is no log level"),
        (&["demo", "--listen", "0.0.0.0:0", "--log-level", "error"], "--listen: "),
    ] {
        let (code, out, error) = place.run(arguments, &[]);
        assert_eq!((code, out.as_str()), (64, ""), "{arguments:?}: {error}");
        assert!(error.contains(says), "{arguments:?} says {error:?}");
    }
    let (code, _, error) = place.run(&["serve"], &[("HEADWATER_LISTENS", "x")]);
    assert!(code == 64 && error.contains("HEADWATER_LISTENS: "), "{error}");
    let (code, _, error) =
        place.run(&["demo", "--listen", "0.0.0.0:0"], &[("HEADWATER_PUBLISH_KEY", KEY)]);
    assert!(code == 64 && error.contains("on loopback only"), "{error}");
}

#[test]
fn check_config_shows_what_would_be_in_force_without_secrets() {
    let place = Place::new().with("my.toml", "heartbeat_ms = 9\n");
    let variables = [("HEADWATER_RECONNECT_MS", "50"), ("HEADWATER_PUBLISH_KEY", KEY)];
    let (code, shown, error) = place.run(&["check-config", "my.toml"], &variables);
    assert_eq!((code, error.as_str()), (0, ""));
    for line in [
        "heartbeat_ms = 9  # my.toml:1\n",
        "reconnect_ms = 50  # HEADWATER_RECONNECT_MS\n",
        "listen = \"127.0.0.1:8080\"\n",
        "# publish_key is set, and not shown  # HEADWATER_PUBLISH_KEY\n",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
    assert!(!shown.contains(KEY));
}

#[test]
fn the_settings_file_is_named_or_lies_where_one_looks() {
    let place = Place::new()
        .with("headwater.toml", "reconnect_ms = 1\n")
        .with("other.toml", "reconnect_ms = 2\n");
    let reconnect_ms = |arguments: &[&str], variables: &[(&str, &str)]| {
        let (_, shown, _) = place.run(arguments, variables);
        let found = shown.lines().find_map(|line| line.strip_prefix("reconnect_ms = ")?.get(..1));
        found.unwrap_or_default().to_owned()
    };
    let other = [("HEADWATER_CONFIG", "other.toml")];
    assert_eq!(reconnect_ms(&["check-config"], &[]), "1");
    assert_eq!(reconnect_ms(&["check-config"], &other), "2");
    assert_eq!(reconnect_ms(&["check-config", "headwater.toml"], &other), "1");
}
