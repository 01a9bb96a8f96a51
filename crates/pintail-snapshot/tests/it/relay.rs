//! A server between us and an object store, which makes the weather: it is busy, breaks connections, loses answers, and forgets
//! what it was asked to look at.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use pintail_storage::BucketSettings;

/// What is asked of the store.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The path, without what stands behind the question mark.
    pub(crate) path: String,
    /// How often the same was asked before.
    pub(crate) times: usize,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It is answered.
    Fine,
    /// The store does not see it; this is the answer.
    Says(u16, &'static str),
    /// It is answered, and the connection breaks in the middle of the answer.
    Cut,
    /// It is done, and no answer comes.
    Lost,
    /// It is done without looking at conditions.
    Careless,
}

/// The server. It ends with the test process.
pub(crate) struct Relay {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Weathers = dyn Fn(&Asked) -> Weather + Send + Sync;

impl Relay {
    pub(crate) fn start(
        settings: &BucketSettings,
        weather: impl Fn(&Asked) -> Weather + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let store = settings.endpoint.clone().expect("a server of the tests");
        let weather: Arc<Weathers> = Arc::new(weather);
        let known = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (store, weather, known) = (store.clone(), Arc::clone(&weather), Arc::clone(&known));
                // A connection that ends is what clients make of it.
                std::thread::spawn(move || serve(client, &store, &*weather, &known));
            }
        });
        Self { address, asked }
    }

    /// The bucket behind it.
    pub(crate) fn settings(&self, settings: &BucketSettings) -> BucketSettings {
        BucketSettings {
            endpoint: Some(self.address.clone()),
            ..settings.clone()
        }
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no holder panics").clone()
    }
}

fn serve(mut client: TcpStream, store: &str, weather: &Weathers, known: &Mutex<Vec<Asked>>) -> Option<()> {
    let (head, body) = request(&mut client)?;
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let path = target.split('?').next()?.to_owned();
    let asked = {
        let mut known = known.lock().expect("no holder panics");
        let same = |asked: &&Asked| (&asked.method, &asked.path) == (&method, &path);
        let asked = Asked {
            times: known.iter().filter(same).count(),
            method,
            path,
        };
        known.push(asked.clone());
        asked
    };
    let weather = weather(&asked);
    if let Weather::Says(status, code) = weather {
        let body = format!("<Error><Code>{code}</Code></Error>");
        let body = if asked.method == "HEAD" { "" } else { &body };
        let head = format!(
            "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        return client.write_all(format!("{head}{body}").as_bytes()).ok();
    }
    let passed = |line: &&str| {
        let line = line.to_ascii_lowercase();
        let forgotten = line.starts_with("if-") && weather == Weather::Careless;
        !(line.starts_with("connection:") || forgotten)
    };
    let lines: Vec<&str> = head.trim_end().lines().filter(passed).collect();
    let mut server = TcpStream::connect(store).ok()?;
    let head = format!("{}\r\nconnection: close\r\n\r\n", lines.join("\r\n"));
    server.write_all(head.as_bytes()).ok()?;
    server.write_all(&body).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    let sent = match weather {
        Weather::Lost => 0,
        Weather::Cut => {
            let head = answer.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
            head + (answer.len() - head) / 2
        }
        _ => answer.len(),
    };
    client.write_all(&answer[..sent]).ok()?;
    client.shutdown(Shutdown::Both).ok()
}

/// The head and the body of a request.
fn request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body).ok()?;
    Some((head, body))
}
