//! `headwater decode` as a process.

mod script;

use script::Headwater;

#[tokio::test]
async fn prints_an_event_while_more_is_awaited() {
    let mut decode = Headwater::run("", &["decode"]);
    decode.write("retry: 10\n\nevent: a\nid: 1\ndata: x\r\r").await;
    assert_eq!(decode.line().await, r#"{"retry":10}"#);
    assert_eq!(decode.line().await, r#"{"id":"1","type":"a","data":"x"}"#);
    decode.write("data: y\n\ndata: lost").await;
    assert_eq!(decode.line().await, r#"{"id":"1","type":"message","data":"y"}"#);
    let ended = decode.end().await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
}

#[tokio::test]
async fn a_line_beyond_the_limit_is_an_error() {
    let mut decode = Headwater::run("", &["decode"]);
    decode.write("data: 1\n\n").await;
    let mut stdin = decode.stdin.take().unwrap();
    // It stops reading at the limit, so that the rest cannot be written.
    let endless = tokio::spawn(async move {
        let piece = [b'x'; 1 << 16];
        while tokio::io::AsyncWriteExt::write_all(&mut stdin, &piece).await.is_ok() {}
    });
    let ended = decode.end().await;
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stdout, "{\"id\":\"\",\"type\":\"message\",\"data\":\"1\"}\n");
    assert!(ended.stderr.contains("longer than 16777216 bytes"), "{ended:?}");
    script::within(endless).await.unwrap();
}

#[tokio::test]
async fn takes_no_arguments() {
    assert_eq!(Headwater::run("", &["decode", "file"]).end().await.code, Some(64));
}
