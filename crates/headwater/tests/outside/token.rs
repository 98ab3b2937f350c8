//! `headwater token` as a process: what it makes it takes, and what it does not take it explains. It is also
//! the proof that the binary has its cryptography installed.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::Place;

const SECRET: &str = "!ChangeThisMercureHubJWTSecretKey!";
const ISSUER: &str = "https://localhost";
const AUDIENCE: &str = "https://localhost/.well-known/mercure";
const SETTINGS: &str = "[[issuer]]\nissuer = \"https://localhost\"\n\
                        audiences = [\"https://localhost/.well-known/mercure\"]\n\
                        secret_file = \"secret\"\n";

fn place() -> Place {
    Place::new().with("secret", &format!("{SECRET}\n")).with("hub.toml", SETTINGS)
}

fn mint(place: &Place, arguments: &[&str]) -> String {
    let arguments = [&["token", "mint"], arguments].concat();
    let (code, out, error) = place.run(&arguments, &[]);
    assert_eq!((code, error.as_str()), (0, ""), "{arguments:?}");
    out.trim_end().to_owned()
}

fn verify(place: &Place, token: &str, arguments: &[&str]) -> (i32, String, String) {
    place.run(&[&["token", "verify", token], arguments].concat(), &[])
}

#[test]
fn what_is_minted_is_verified() {
    let place = place();
    let token = mint(
        &place,
        &[
            "--config",
            "hub.toml",
            "--subscribe",
            "news",
            "--subscribe-pattern",
            "/users/42/*",
            "--publish",
            "*",
            "--sub",
            "ann",
            "--ttl",
            "10m",
            "--payload",
            "{\"n\":1}",
        ],
    );
    let (code, out, error) = verify(&place, &token, &["--config", "hub.toml"]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    for line in [
        "ok          signature\n",
        "ok          rules\n",
        "it may publish to exact *\n",
        "it may subscribe to exact news\n",
        "it may subscribe to urlpattern /users/42/*\n",
    ] {
        assert!(out.contains(line), "{line:?} is not in\n{out}");
    }
    assert!(!out.contains("FAILED") && !out.contains(SECRET), "{out}");
}

#[test]
fn what_is_wrong_is_named_and_the_rest_not_reached() {
    let place = place();
    let other = place.path().join("other");
    fs::write(&other, "x".repeat(32)).unwrap();
    let named = ["--iss", ISSUER, "--aud", AUDIENCE, "--secret-file"];
    for (arguments, fails) in [
        (&[&named[..], &["other"]].concat()[..], "FAILED      signature: the signature fits none"),
        (&["--iss", "x", "--aud", AUDIENCE, "--secret-file", "secret"], "FAILED      issuer: "),
        (&["--iss", ISSUER, "--aud", "x", "--secret-file", "secret"], "FAILED      audience: "),
        (&["--compat", "--secret-file", "secret"], "FAILED      type: "),
        (
            &[&named[..], &["secret", "--subscribe-pattern", "/("]].concat(),
            "FAILED      rules: authorization_details[0].topics[0]: ",
        ),
    ] {
        let token = mint(&place, arguments);
        let (code, out, error) = verify(&place, &token, &["--config", "hub.toml"]);
        assert_eq!(code, 1, "{arguments:?}: {out}");
        assert!(out.contains(fails), "{fails} is not in\n{out}");
        assert!(error.starts_with("headwater: the hub does not take this token: "), "{error}");
        assert!(fails.contains("rules") || out.contains("not reached rules\n"), "{out}");
    }
    let (code, out, _) = verify(&place, "x", &["--config", "hub.toml"]);
    assert!(code == 1 && out.contains("FAILED      form: "), "{out}");
}

#[test]
fn both_forms_and_every_kind_of_key_are_minted() {
    let place = place();
    let compat =
        mint(&place, &["--compat", "--secret-file", "secret", "--subscribe", "https://x/{id}"]);
    let (code, out, _) = verify(&place, &compat, &["--compat", "--secret-file", "secret"]);
    assert!(code == 0 && out.contains("it may subscribe to template https://x/{id}\n"), "{out}");
    let named = ["--iss", ISSUER, "--aud", AUDIENCE];
    for (kind, options) in [
        ("ed25519", &[][..]),
        ("EC", &["-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("EC", &["-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("RSA", &[]),
    ] {
        let openssl = |arguments: &[&str]| {
            let mut command = Command::new("openssl");
            command.args(arguments).current_dir(place.path());
            command.output().is_ok_and(|output| output.status.success())
        };
        let generate = [&["genpkey", "-algorithm", kind, "-out", "private.pem"], options].concat();
        // Where there is no openssl, the tests of the server's crate have keys of their own.
        if !openssl(&generate)
            || !openssl(&["pkey", "-in", "private.pem", "-pubout", "-out", "public.pem"])
        {
            return;
        }
        let token = mint(&place, &[&named[..], &["--key-file", "private.pem"]].concat());
        let key = [&named[..], &["--public-key-file", "public.pem"]].concat();
        let (code, out, error) = verify(&place, &token, &key);
        assert_eq!((code, error.as_str()), (0, ""), "{kind}: {out}");
        let (code, _, error) =
            verify(&place, &token, &["--public-key-file", "private.pem", "--compat"]);
        assert!(code == 64 && error.contains("-pubout"), "{error}");
    }
}

#[test]
fn what_is_inspected_is_not_verified() {
    let place = place();
    let token = mint(&place, &["--config", "hub.toml", "--subscribe", "a", "--jti", "7"]);
    for token in [token.clone(), format!("Bearer {token}")] {
        let (code, out, error) = place.run(&["token", "inspect", &token], &[]);
        assert_eq!(code, 0);
        assert!(error.starts_with("NOT VERIFIED: ") && error.contains("good until 20"), "{error}");
        let shown: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(shown["header"]["typ"], "at+jwt");
        assert_eq!(shown["claims"]["jti"], "7");
    }
    let (code, out, error) = place.run(&["token", "inspect", "x.y"], &[]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.contains("this is no JWT"), "{error}");
}

#[test]
fn the_secret_may_come_from_the_environment_and_is_not_shown() {
    let place = place();
    let named = ["token", "mint", "--iss", ISSUER, "--aud", AUDIENCE];
    let (code, token, _) = place.run(&named, &[("HEADWATER_TOKEN_SECRET", SECRET)]);
    assert_eq!(code, 0);
    let (code, out, _) = verify(&place, token.trim_end(), &["--config", "hub.toml"]);
    assert!(code == 0 && out.contains("it grants nothing"), "{out}");
    let (code, help, _) =
        place.run(&["token", "mint", "--help"], &[("HEADWATER_TOKEN_SECRET", SECRET)]);
    assert!(code == 0 && !help.contains(SECRET), "{help}");
    let (code, shown, _) = place.run(&["check-config", "hub.toml"], &[]);
    assert!(code == 0 && shown.contains("secret_file") && !shown.contains(SECRET), "{shown}");
}

#[test]
fn wrong_arguments_end_with_64_and_say_what_to_do() {
    let place = place().with("none.toml", "");
    for (arguments, says) in [
        (&["mint", "--subscribe", "a"][..], "there is no key"),
        (&["mint", "--secret-file", "secret"], "--iss and --aud"),
        (&["mint", "--secret-file", "absent"], "the secret in absent"),
        (&["mint", "--key-file", "secret", "--compat"], "no private key"),
        (&["mint", "--config", "none.toml"], "no [[issuer]] of these settings"),
        (&["mint", "--secret-file", "secret", "--algorithm", "RS256", "--compat"], "does not sign"),
        (&["mint", "--ttl", "soon"], "no duration"),
        (&["mint", "--payload", "[]"], "a JSON object"),
        (&["mint", "--algorithm", "none"], "none"),
        (&["verify", "x", "--config", "none.toml"], "there is no issuer"),
        (&["verify", "x", "--secret-file", "secret"], "--iss and --aud"),
        (&["verify"], "TOKEN"),
    ] {
        let (code, out, error) = place.run(&[&["token"], arguments].concat(), &[]);
        assert_eq!((code, out.as_str()), (64, ""), "{arguments:?}: {error}");
        assert!(error.contains(says), "{arguments:?} says {error:?}");
    }
}

#[test]
fn a_running_hub_explains_what_it_makes_of_a_token() {
    let place = place();
    let token = mint(&place, &["--config", "hub.toml", "--subscribe", "news", "--jti", "one"]);
    let hub = place.start(&["serve", "--config", "hub.toml", "--log", "memory"], &[]);
    let admin = format!("http://{}", crate::admin::admin(&hub));
    let explain = |rest: &[&str]| place.run(&[&["explain", "--admin", &admin], rest].concat(), &[]);
    let (code, out, error) = explain(&["subscribe", &token, "news"]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert!(out.contains("ok          signature\n"), "{out}");
    assert!(out.contains("rule 1 exact news matches news\n"), "{out}");
    for (action, topics, says) in [
        ("publish", &["news"][..], "rule 1 is not about publish\n"),
        ("subscribe", &["weather"], "rule 1 exact news matches none of them\n"),
    ] {
        let (code, out, error) = explain(&[&[action, &token], topics].concat());
        assert_eq!((code, error.as_str()), (1, "headwater: the hub would refuse this\n"));
        assert!(out.contains(says) && out.contains("no rule grants"), "{out}");
    }
    let (code, out, _) = explain(&["subscribe", "a.b.c", "news"]);
    assert!(code == 1 && out.contains("FAILED "), "{out}");
    hub.stop();
    let (code, _, error) = explain(&["subscribe", &token, "news"]);
    assert!(code == 1 && error.contains("is the hub running there?"), "{error}");
}
