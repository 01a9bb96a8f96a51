//! The part of a server's URL behind the scheme, `//user:password@host:port/dbname` with options in the query, and
//! the way back.
//!
//! Postgres is read as libpq reads it, with several hosts if need be.
//! <https://www.postgresql.org/docs/17/libpq-connect.html#LIBPQ-CONNSTRING-URIS>
//! Read by hand: general URL parsers refuse what libpq allows (several hosts, a user without a host) and quote
//! what they cannot read.

use crate::location::query::{Query, unknown_parameter};
use crate::location::{Reason, decode};
use crate::options::Options;
use crate::systems::ServerForm;

pub(super) fn parse_server(body: &str, query: Query, form: &ServerForm) -> Result<Options, Reason> {
    let scheme = form.scheme;
    let Some(body) = body.strip_prefix("//") else {
        return Err(Reason::new(format!("`//` is missing behind `{scheme}:`"))
            .hint(format!("the form is `{scheme}://user:password@host:port/dbname`")));
    };
    let (authority, dbname) = body.split_once('/').unwrap_or((body, ""));
    // A `/` in a password would cut it in two, and the second half would become the name of the database.
    if dbname.contains('@') {
        return Err(Reason::new("an `@` stands behind the first `/`").hint(
            "in a password `/` is written as `%2F` and `?` as `%3F`, in a database name `@` as `%40`",
        ));
    }
    let mut options = Options::default();
    let hosts = match authority.rsplit_once('@') {
        Some((userinfo, hosts)) => {
            let (user, password) = match userinfo.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (userinfo, None),
            };
            set(&mut options, "user", decode(user)?);
            set(&mut options, "password", decode(password.unwrap_or_default())?);
            hosts
        }
        None => authority,
    };
    parse_hosts(hosts, &mut options, form)?;
    set(&mut options, form.database, decode(dbname)?);
    for (key, value) in query.rest() {
        if !form.options.contains(&key.as_str()) {
            return Err(unknown_parameter(&key, form.options));
        }
        set(&mut options, &key, value);
    }
    Ok(options)
}

fn parse_hosts(text: &str, options: &mut Options, form: &ServerForm) -> Result<(), Reason> {
    if !form.many_hosts && text.contains(',') {
        return Err(Reason::new("an address of this system names one host"));
    }
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for part in text.split(',') {
        let (host, port) = match part.strip_prefix('[') {
            Some(ipv6) => {
                let (host, port) = ipv6
                    .split_once(']')
                    .ok_or_else(|| Reason::new("a `[` of an IPv6 address is not closed"))?;
                let port = if port.is_empty() {
                    Some("")
                } else {
                    port.strip_prefix(':')
                };
                (
                    host,
                    port.ok_or_else(|| {
                        Reason::new("an IPv6 address is followed by something else than a port")
                    })?,
                )
            }
            None => part.split_once(':').unwrap_or((part, "")),
        };
        // The port may be half a password, so it is not quoted.
        if !port.is_empty() && !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(Reason::new("the port is not a number from 1 to 65535").hint(
                "an IPv6 address stands in brackets; in a password `/` is written as `%2F` and `@` as `%40`",
            ));
        }
        hosts.push(decode(host)?);
        ports.push(port);
    }
    if ports.iter().any(|port| !port.is_empty()) {
        set(options, "port", ports.join(","));
    }
    set(options, "host", hosts.join(","));
    Ok(())
}

/// An empty part is one that was left out.
fn set(options: &mut Options, name: &str, value: String) {
    if !value.is_empty() {
        options.insert(name, value);
    }
}
