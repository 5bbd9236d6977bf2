//! As much of an HTTP/1.1 server as the function's two servers need: blocking, a thread for each connection, bodies with a
//! length. Its cost isn't measured. The lower it is, the steadier the measurements are.

use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// Serves connections, with TLS or without, until the process ends, and counts them.
pub fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    connections: Arc<AtomicU64>,
    handler: impl Fn(Request) -> Option<Response> + Send + Sync + 'static,
) {
    let handler = Arc::new(handler);
    thread::spawn(move || {
        for connection in listener.incoming().filter_map(Result::ok) {
            connections.fetch_add(1, Ordering::Relaxed);
            let (tls, handler) = (tls.clone(), Arc::clone(&handler));
            // A function that is killed leaves broken connections behind: their errors mean nothing.
            thread::spawn(move || -> io::Result<()> {
                connection.set_nodelay(true)?;
                match tls {
                    Some(tls) => {
                        let session = ServerConnection::new(tls).map_err(io::Error::other)?;
                        respond(StreamOwned::new(session, connection), &*handler)
                    }
                    None => respond::<TcpStream>(connection, &*handler),
                }
            });
        }
    });
}

fn respond<S: Read + Write>(stream: S, handler: &dyn Fn(Request) -> Option<Response>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream)? {
        let Some(response) = handler(request) else {
            break;
        };
        let mut message = format!(
            "HTTP/1.1 {} -\r\ncontent-length: {}\r\n",
            response.status,
            response.body.len()
        );
        for (name, value) in response.headers {
            message.extend([name, ": ", &value, "\r\n"]);
        }
        message.extend(["\r\n", &response.body]);
        stream.get_mut().write_all(message.as_bytes())?;
        stream.get_mut().flush()?;
    }
    Ok(())
}

fn read(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => break,
        };
    }
    let length = headers.get("content-length").map_or(Ok(0), |length| length.parse());
    let mut body = vec![0; length.map_err(io::Error::other)?];
    stream.read_exact(&mut body)?;
    Ok(Some(Request {
        method,
        path,
        headers,
        body,
    }))
}
