//! A client for the few requests of the tests. It keeps its one connection, so that asking opens no further ones.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// One connection to a server.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

/// What a server answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_nodelay(true)?;
        Ok(Self { address, stream: BufReader::new(stream) })
    }

    pub fn get(&mut self, path: &str) -> std::io::Result<Answer> {
        self.get_as(path, "*/*")
    }

    /// GET with an `Accept` header.
    pub fn get_as(&mut self, path: &str, accept: &str) -> std::io::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: {accept}\r\n\r\n", self.address);
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> std::io::Result<Answer> {
        let status = self.line()?;
        let status =
            status.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(|| bad(&status))?;
        let mut answer = Answer { status, ..Answer::default() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| bad(&line))?;
            answer.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if answer.header("transfer-encoding") == "chunked" {
            while let Some(chunk) = self.chunk()? {
                answer.body.extend_from_slice(&chunk);
            }
        } else {
            let length = answer.header("content-length").to_owned();
            answer.body = vec![0; length.parse().map_err(|_| bad(&length))?];
            self.stream.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }

    fn chunk(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let length = line.split(';').next().and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let mut chunk = vec![0; length.ok_or_else(|| bad(&line))?];
        self.stream.read_exact(&mut chunk)?;
        self.line()?;
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

fn bad(what: &str) -> std::io::Error {
    std::io::Error::other(format!("not HTTP: {what:?}"))
}
