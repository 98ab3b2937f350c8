//! A server that costs as little as one can: a thread that writes ready bytes to each socket.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Serves this body to whoever connects, one after the other, as long as the program runs. Returns its URL.
pub fn serve(body: Vec<u8>) -> io::Result<String> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let url = format!("http://{}/events", listener.local_addr()?);
    let body = Arc::new(body);
    thread::spawn(move || {
        for socket in listener.incoming() {
            // A client that has had its events leaves without reading on.
            let _ = socket.and_then(|socket| answer(socket, &body));
        }
    });
    Ok(url)
}

fn answer(mut socket: TcpStream, body: &[u8]) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut head = BufReader::new(socket.try_clone()?).lines();
    while head.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    socket.write_all(HEAD)?;
    socket.write_all(body)?;
    // The stream does not end: the client leaves.
    io::copy(&mut socket, &mut io::sink()).map(drop)
}
