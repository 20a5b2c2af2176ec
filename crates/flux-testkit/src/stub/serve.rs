//! Just enough HTTP/1.1 for a test: one connection after another, requests in sequence on each.

use super::{Answer, Asked, Manner, Route};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What the connections share.
#[derive(Clone)]
pub struct Site {
    pub route: Route,
    pub asked: Arc<Mutex<Vec<Asked>>>,
    pub acceptor: Option<TlsAcceptor>,
}

/// Serves connections until it is dropped.
pub async fn accept(listener: TcpListener, site: Site) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let site = site.clone();
        connections.spawn(async move {
            // A client that goes away, or does not trust the certificate, is the test's subject.
            let _ = match &site.acceptor {
                None => serve(socket, &site).await,
                Some(acceptor) => match acceptor.accept(socket).await {
                    Ok(stream) => serve(stream, &site).await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

async fn serve(stream: impl AsyncReadExt + AsyncWriteExt + Unpin, site: &Site) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(asked) = request(&mut stream).await? {
        let answer = (site.route)(&asked);
        let head = asked.method == "HEAD";
        site.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(asked);
        if !respond(stream.get_mut(), &answer, head).await? {
            return stream.get_mut().shutdown().await;
        }
    }
    Ok(())
}

/// The next request, or none when the client is done.
async fn request(stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<Asked>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut asked = Asked {
        method,
        path,
        query,
        headers,
        body: Vec::new(),
    };
    asked.body = body(stream, &asked).await?;
    Ok(Some(asked))
}

async fn body(stream: &mut (impl AsyncBufReadExt + Unpin), asked: &Asked) -> io::Result<Vec<u8>> {
    let chunked = asked
        .header("transfer-encoding")
        .is_some_and(|coding| coding.contains("chunked"));
    if !chunked {
        let length = asked
            .header("content-length")
            .and_then(|text| text.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await?;
        return Ok(body);
    }
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).await?;
        if length == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..length]);
    }
}

/// Sends the answer; says whether the connection goes on.
async fn respond(
    stream: &mut (impl AsyncWriteExt + Unpin),
    answer: &Answer,
    head: bool,
) -> io::Result<bool> {
    match answer.manner {
        Manner::Never => return std::future::pending().await,
        Manner::Drop => return Ok(false),
        Manner::Plain | Manner::Slow(_) | Manner::Half | Manner::Endless => {}
    }
    stream.write_all(start(answer).as_bytes()).await?;
    let body = if head { &[][..] } else { &answer.body[..] };
    match answer.manner {
        Manner::Slow(pause) => {
            for byte in body.chunks(1) {
                stream.flush().await?;
                tokio::time::sleep(pause).await;
                stream.write_all(byte).await?;
            }
        }
        Manner::Half => stream.write_all(&body[..body.len() / 2]).await?,
        Manner::Endless => loop {
            stream.write_all(body).await?;
        },
        Manner::Plain | Manner::Never | Manner::Drop => stream.write_all(body).await?,
    }
    stream.flush().await?;
    Ok(matches!(answer.manner, Manner::Plain | Manner::Slow(_)))
}

fn start(answer: &Answer) -> String {
    let mut text = format!("HTTP/1.1 {} Stubbed\r\n", answer.status);
    for (name, value) in &answer.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.manner == Manner::Endless {
        text.push_str("Connection: close\r\n");
    } else {
        text.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    }
    text + "\r\n"
}
