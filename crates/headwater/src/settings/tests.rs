//! The settings as an operator meets them.

use std::fs;

use super::*;

/// The settings of a file with this text, these variables and these flags.
fn load(
    text: &str,
    variables: &[(&str, &str)],
    flags: &[(&'static str, &'static str, &str)],
) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headwater.toml");
    fs::write(&file, text).unwrap();
    let given = Given {
        file: Some(file),
        variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        flags: flags.iter().map(|&(flag, name, value)| (flag, name, value.to_owned())).collect(),
    };
    let folder = format!("{}/", folder.path().display());
    Settings::load(&given).map_err(|error| error.to_string().replace(&folder, ""))
}

const KEY: &str = "correct-horse-battery-staple";

#[test]
fn without_any_the_defaults_hold() {
    let settings = Settings::load(&Given::default()).unwrap();
    assert_eq!(settings.general, General::default());
    assert_eq!(settings.hub, HubConfig::default());
    assert_eq!(settings.http.limits, Limits::default());
    assert!(settings.general.listen.is_loopback());
}

#[test]
fn the_file_yields_to_the_environment_and_that_to_flags() {
    let file = "listen = \"127.0.0.1:1\"\nreconnect_ms = 1\nheartbeat_ms = 1\n[limits]\nmatchers_max = 1\n\
                patterns_max = 1";
    let variables = [
        ("HEADWATER_LISTEN", "127.0.0.1:2"),
        ("HEADWATER_RECONNECT_MS", "2"),
        ("HEADWATER_LIMITS__MATCHERS_MAX", "2"),
    ];
    let flags = [("--listen", "listen", "127.0.0.1:3")];
    let settings = load(file, &variables, &flags).unwrap();
    assert_eq!(settings.general.listen.to_string(), "127.0.0.1:3");
    assert_eq!((settings.hub.reconnect_ms, settings.hub.heartbeat_ms), (2, 1));
    let limits = settings.http.limits;
    assert_eq!((limits.matchers_max, limits.patterns_max), (2, 1));
    assert_eq!(limits.body_bytes_max, Limits::default().body_bytes_max);
}

#[test]
fn a_variable_is_a_text_a_number_or_a_list() {
    let variables = [
        ("HEADWATER_PUBLIC_URL", "https://a.example/"),
        ("HEADWATER_INSECURE", "true"),
        ("HEADWATER_CORS_ORIGINS", "https://a.example, https://b.example"),
        ("HEADWATER_TRUSTED_PROXIES", "[\"10.0.0.1\"]"),
        ("HEADWATER_DATA_OF_ANOTHER_PROGRAM", "x"),
        ("HEADWATER_URL", "x"),
        ("HEADWATER_TOKEN", "x"),
        ("HEADWATER_CONFIG", "x"),
        ("HEADWATER_TOKEN_SECRET", "x"),
        ("PATH", "x"),
    ];
    let settings = load("", &[&variables[..4], &variables[5..]].concat(), &[]).unwrap();
    assert!(settings.general.insecure);
    assert_eq!(settings.http.cors_origins.len(), 2);
    assert_eq!(settings.http.trusted_proxies.len(), 1);
    let error = load("", &variables[4..5], &[]).unwrap_err();
    assert!(error.starts_with("HEADWATER_DATA_OF_ANOTHER_PROGRAM: there is no setting"), "{error}");
}

#[test]
fn an_error_names_the_place_and_the_remedy() {
    for (text, says) in [
        (
            "\n\nlisten_at = 1",
            "headwater.toml:3: there is no setting `listen_at`: did you mean `listen`?",
        ),
        (
            "[limits]\nheader_byte_max = 1",
            "headwater.toml:2: limits.header_byte_max: there is no setting `header_byte_max`: did you \
             mean `header_bytes_max`?",
        ),
        ("# x\nreconnect_ms = \"1\"", "headwater.toml:2: reconnect_ms: invalid type: string"),
        ("reconnect_ms = -1", "expected a whole number"),
        ("reconnect_ms = 0", "headwater.toml:1: reconnect_ms has to be more than 0"),
        ("heartbeat_ms = 86400001", "headwater.toml:1: heartbeat_ms is at most a day"),
        ("listen = \"here\"", "headwater.toml:1: listen: `here` is no address"),
        ("log = \"paper\"", "headwater.toml:1: log: `paper` is no place for the log"),
        (
            "log = \"memory\"\ndata = \"d\"",
            "headwater.toml:2: a data directory is of use only to a log on disk",
        ),
        ("disk.segment_bytes = 1", "headwater.toml:1: disk.segment_bytes is from 1048576 (1 MiB)"),
        (
            "disk.durability = \"never\"",
            "headwater.toml:1: disk.durability: unknown variant `never`",
        ),
        ("log_level = \"loud\"", "choose error, warn, info, debug or trace"),
        ("cors_origins = [\"x\"]", "headwater.toml:1: cors_origins: `x` is not an origin"),
        (
            "limits.header_bytes_max = 1",
            "headwater.toml:1: limits.header_bytes_max is at least 8192",
        ),
        ("limits = 1", "headwater.toml:1: limits: invalid type"),
        ("[hub]", "headwater.toml:1: there is no setting `hub`"),
        ("[listen]\nx = 1", "headwater.toml:2: listen.x: invalid type"),
        ("listen = 1\nlisten = 2", "headwater.toml:2: duplicate key"),
        ("x", "headwater.toml:1: "),
        (
            "[[source]]\nkind = \"exec\"\ntopics = \"t\"",
            "headwater.toml:3: source: there is no setting `topics`: did you mean `topic`?",
        ),
        (
            "[[source]]\nkind = \"exec\"\ntopic = \"*\"\ncommand = \"x\"",
            "headwater.toml:3: source: `*` is not a topic",
        ),
        (
            "[[source]]\nkind = \"exec\"\ntopic = \"t\"\ncommand = 1",
            "headwater.toml:4: source: the command is a text",
        ),
        ("source = [\"exec:t\"]", "KIND:TOPIC=COMMAND"),
        (
            "publish_key_file = \"/nowhere/key\"",
            "headwater.toml:1: the key in /nowhere/key: No such file",
        ),
    ] {
        let error = load(text, &[], &[]).unwrap_err();
        assert!(error.contains(says), "{text:?} gives {error:?}");
    }
    for (name, value, says) in [
        ("HEADWATER_LISTEN", "here", "HEADWATER_LISTEN: `here` is no address"),
        ("HEADWATER_LISTENS", "x", "did you mean `listen`?"),
        ("HEADWATER_RECONNECT_MS", "soon", "HEADWATER_RECONNECT_MS: invalid type: string \"soon\""),
        ("HEADWATER_INSECURE", "1", "HEADWATER_INSECURE: invalid type"),
        ("HEADWATER_CORS_ORIGINS", "x", "HEADWATER_CORS_ORIGINS: `x` is not an origin"),
        ("HEADWATER_LIMITS__BODY_BYTES", "1", "did you mean `body_bytes_max`?"),
    ] {
        let error = load("", &[(name, value)], &[]).unwrap_err();
        assert!(error.contains(says), "{name}={value} gives {error:?}");
    }
    let error = load("", &[], &[("--source", "source", "exec:t=")]).unwrap_err();
    assert!(error.starts_with("--source: the command is empty"), "{error}");
}

#[test]
fn all_errors_are_told_at_once() {
    let error = load("a = 1\nb = 2", &[("HEADWATER_C", "3")], &[("--log", "log", "tape")]);
    assert_eq!(error.unwrap_err().lines().count(), 4);
}

#[test]
fn beyond_loopback_it_wants_to_know_who_publishes() {
    let open = "listen = \"0.0.0.0:8080\"";
    let error = load(open, &[], &[]).unwrap_err();
    for remedy in ["headwater.toml:1: ", "publish_key", "127.0.0.1:8080", "--insecure"] {
        assert!(error.contains(remedy), "{error}");
    }
    assert!(load(&format!("{open}\ninsecure = true"), &[], &[]).is_ok());
    assert!(load(open, &[("HEADWATER_PUBLISH_KEY", KEY)], &[]).is_ok());
}

#[test]
fn the_operators_listener_is_on_loopback_or_wants_a_key() {
    let admin = |text: &str| {
        let (listen, asked_for) = load(text, &[], &[]).unwrap().admin_listen();
        (listen.map(|listen| listen.to_string()), asked_for)
    };
    assert_eq!(admin(""), (Some("127.0.0.1:8081".to_owned()), false));
    assert_eq!(admin("listen = \"127.0.0.1:0\""), (Some("127.0.0.1:0".to_owned()), false));
    assert_eq!(admin("admin_listen = \"off\""), (None, true));
    let both = "listen = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:8081\"";
    assert_eq!(admin(both), (Some("127.0.0.1:8081".to_owned()), true));

    let open = "admin_listen = \"0.0.0.0:8081\"";
    for text in [open.to_owned(), format!("{open}\ninsecure = true")] {
        let error = load(&text, &[], &[]).unwrap_err();
        for remedy in ["headwater.toml:1: ", "admin_key", "127.0.0.1:8081"] {
            assert!(error.contains(remedy), "{error}");
        }
    }
    let settings = load(open, &[("HEADWATER_ADMIN_KEY", KEY)], &[]).unwrap();
    assert!(settings.general.admin_key.as_ref().unwrap().is(KEY.as_bytes()));
    let error = load("listen = \"127.0.0.1:8081\"\nadmin_listen = \"8081\"", &[], &[]);
    assert!(
        error.unwrap_err().starts_with("headwater.toml:2: admin_listen and listen are the same")
    );
    // The other way round it is no mistake of theirs: the default yields.
    assert!(load("listen = \"127.0.0.1:8081\"", &[], &[]).is_ok());
}

#[test]
fn the_admin_key_may_come_from_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    let setting = format!("admin_key_file = {:?}", file.display().to_string());
    let settings = load(&setting, &[], &[]).unwrap();
    assert!(settings.general.admin_key.unwrap().is(KEY.as_bytes()));
    let error = load(&setting, &[("HEADWATER_ADMIN_KEY", KEY)], &[]).unwrap_err();
    assert!(error.contains("admin_key is set too: set one of the two"), "{error}");
    fs::write(&file, "short").unwrap();
    let error = load(&setting, &[], &[]).unwrap_err();
    assert!(
        error.contains("admin_key has to be at least 16") && !error.contains("short"),
        "{error}"
    );
}

#[test]
fn the_publish_key_may_come_from_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    let setting = format!("publish_key_file = {:?}", file.display().to_string());
    let settings = load(&setting, &[], &[]).unwrap();
    assert!(settings.http.publish_key.unwrap().is(KEY.as_bytes()));
    let error = load(&setting, &[("HEADWATER_PUBLISH_KEY", KEY)], &[]).unwrap_err();
    assert!(error.contains("set one of the two"), "{error}");
    fs::write(&file, "short").unwrap();
    let error = load(&setting, &[], &[]).unwrap_err();
    assert!(error.contains("at least 16") && !error.contains("short"), "{error}");
}

#[test]
fn no_message_shows_a_secret() {
    for text in [
        "publish_key = 31415926535897932384",
        "admin_key = 31415926535897932384",
        "admin_key = \"3141592653589793 3141592653589793\"",
        "publish_key = 3141592653589793",
        "publish_key = \"3141592653589793 3141592653589793\"",
        "publish_key = [\"3141592653589793\"]",
        "publish_key = { a = \"3141592653589793\" }",
        "publish_key = x3141592653589793",
        "publish_key = '3141592653589793",
        "publish_key = \"\\3141592653589793\"",
    ] {
        let error = load(text, &[], &[]).unwrap_err();
        assert!(error.starts_with("headwater.toml:1: ") && !error.contains("3141"), "{error}");
    }
    let error = load("", &[("HEADWATER_PUBLISH_KEY", "3141 59")], &[]).unwrap_err();
    assert!(error.contains("at least 16") && !error.contains("3141"), "{error}");
    let keys = [("HEADWATER_PUBLISH_KEY", KEY), ("HEADWATER_ADMIN_KEY", KEY)];
    let settings = load("", &keys, &[]).unwrap();
    assert!(!format!("{settings:?}").contains(KEY));
    assert!(!settings.shown().contains(KEY));
}

#[test]
fn issuers_are_read_and_their_secrets_not_shown() {
    let secret = "31415926535897932384626433832795";
    let table = |secret: &str| {
        format!("\n[[issuer]]\nissuer = \"x\"\naudiences = [\"hub\"]\nsecret = {secret}\n")
    };
    let settings = load(&table(&format!("\"{secret}\"")), &[], &[]).unwrap();
    assert_eq!(settings.issuers.len(), 1);
    let shown = settings.shown();
    assert!(shown.contains("\n# secret is set, and not shown\n"), "{shown}");
    assert!(!format!("{settings:?}{shown}").contains("3141"));
    let error = load(&table("\"3141\""), &[], &[]).unwrap_err();
    assert!(error.contains("headwater.toml:2: issuer x: the secret has 4 bytes"), "{error}");
    for wrong in ["3141592653589793", "[\"3141592653589793\"]", "31415926535897932384626433"] {
        let error = load(&table(wrong), &[], &[]).unwrap_err();
        assert!(!error.contains("3141"), "{error}");
    }
    let inline = format!("[{{issuer = \"x\", audiences = [\"hub\"], secret = \"{secret}\"}}]");
    assert_eq!(load("", &[("HEADWATER_ISSUER", &inline)], &[]).unwrap().issuers.len(), 1);
    for wrong in [secret, &inline[1..], &inline.replace("audiences", "audience")] {
        let error = load("", &[("HEADWATER_ISSUER", wrong)], &[]).unwrap_err();
        assert!(error.starts_with("HEADWATER_ISSUER: ") && !error.contains("3141"), "{error}");
    }
}

#[test]
fn an_application_is_asked_in_place_of_tokens() {
    let url = "authorize_url = \"https://app.example/may\"\n";
    let settings = load(&format!("listen = \"0.0.0.0:8080\"\n{url}"), &[], &[]).unwrap();
    assert!(settings.knows_publishers());
    assert_eq!(settings.application.unwrap().url.as_str(), "https://app.example/may");
    let issuer = "[[issuer]]\nissuer = \"x\"\naudiences = [\"hub\"]\n\
                  secret = \"31415926535897932384626433832795\"";
    for (text, says) in [
        (format!("{url}{issuer}"), "headwater.toml:1: with authorize_url the application decides"),
        ("authorize_url = \"http://app.example/\"".to_owned(), "begin with https://"),
        ("authorize_url = \"https://u:p@app.example/\"".to_owned(), "has no password"),
        (format!("{url}[authorize]\nheaders = [\"a b\"]"), "`a b` in authorize.headers"),
        (format!("{url}[authorize]\nquestions_max = 0"), "authorize.questions_max has to be"),
        ("[tokens]\ncookie = \"a=b\"".to_owned(), "tokens.cookie is the name of a cookie"),
    ] {
        let error = load(&text, &[], &[]).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn sources_of_flags_come_after_those_of_the_file() {
    let file = "[[source]]\nkind = \"exec\"\ntopic = \"a\"\ncommand = \"x\"";
    let flags =
        [("--source", "source", "exec:b=date +%s,%N"), ("--source", "source", "exec:c=true")];
    let settings = load(file, &[], &flags).unwrap();
    let shown = settings.shown();
    let topics: Vec<_> = shown.lines().filter(|line| line.starts_with("topic = ")).collect();
    assert_eq!(topics, ["topic = \"a\"", "topic = \"b\"", "topic = \"c\""]);
}

#[test]
fn what_is_shown_reads_back_and_says_who_set_it() {
    let file = "log_level = \"debug\"\ncors_origins = [\"*\"]\n[limits]\nmatchers_max = 7";
    let variables = [("HEADWATER_RECONNECT_MS", "50"), ("HEADWATER_PUBLISH_KEY", KEY)];
    let flags = [("--source", "source", "exec,ids:b=date '+%s %N'")];
    let settings = load(file, &variables, &flags).unwrap();
    let shown = settings.shown();
    for line in [
        "\nreconnect_ms = 50  # HEADWATER_RECONNECT_MS\n",
        "\nheartbeat_ms = 15000\n",
        "\nmatchers_max = 7  # ",
        "\n# publish_key is set, and not shown  # HEADWATER_PUBLISH_KEY\n",
        "\n# public_url is not set\n",
        "command = [\"date\", \"+%s %N\"]",
    ] {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
    let again = load(&shown, &[], &[]).unwrap();
    assert_eq!(again.general, settings.general);
    assert_eq!(again.hub, settings.hub);
    assert_eq!(again.http.limits, settings.http.limits);
    assert_eq!(again.http.cors_origins, settings.http.cors_origins);
}

/// The example file with its settings switched on: a line that begins with `#` and no space is one.
fn example() -> String {
    let text = include_str!("../../headwater.example.toml");
    let on = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(on).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_file_changes_nothing_as_it_is() {
    let settings = load(include_str!("../../headwater.example.toml"), &[], &[]).unwrap();
    assert_eq!(settings.shown(), Settings::load(&Given::default()).unwrap().shown());
}

#[test]
fn the_example_file_shows_every_setting_with_its_default() {
    let text = example();
    let (defaults, tables) = text.split_at(text.find("\n[[retention]]\n").unwrap());
    let shown: toml::Table = defaults.parse().unwrap();
    let settings = Settings::load(&Given::default()).unwrap();
    let tables_of = ["retention", "source", "issuer"];
    let known = PARTS.iter().flat_map(|part| (part.fields)());
    let known = known.filter(|name| !tables_of.contains(name));
    for &name in known {
        let value = shown.get(name).unwrap_or_else(|| panic!("{name} is not in the example"));
        let default = settings.tables().into_iter().find_map(|mut table| table.remove(name));
        // What has no default has an example there.
        assert!(default.is_none_or(|default| default == *value), "{name} = {value} is no default");
    }
    let values = [
        "public_url = \"https://events.example.com/\"",
        "data = \"/var/lib/headwater\"",
        "publish_key_file = \"/etc/headwater/publish.key\"",
        "admin_key_file = \"/etc/headwater/admin.key\"",
        "authorize_url = \"https://www.example.com/may\"",
    ];
    let possible = values.iter().fold(defaults.to_owned(), |text, value| {
        assert!(text.contains(value), "{value} is not in the example");
        text.replace(value, "")
    });
    load(&possible, &[], &[]).unwrap();
    let general = load(tables, &[], &[]).unwrap().general;
    let tables = (general.retention.len(), general.source.len(), general.issuer.len());
    assert_eq!(tables, (1, 1, 1));
}
