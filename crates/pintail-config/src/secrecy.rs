//! Which texts could be secrets, and how a text is shown without them.
//!
//! Everything that echoes a part of a configuration asks here first. The rules err on the careful side: a value
//! that is hidden without need costs a look into the file, a password in a log costs more.

/// Parts of key names whose values are never shown. Compared in lower case.
const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "secret",
    "token",
    "credential",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "client_key",
    "server_key",
    "dsn",
    "conninfo",
    "connection_string",
];

/// Whether the value of `key` is a secret by the name of the key.
#[must_use]
pub fn secret_key(key: &str) -> bool {
    let key = key.to_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

/// Whether `text` looks as if it carried a password inside: a URL with credentials, a connection string.
#[must_use]
pub fn secret_text(text: &str) -> bool {
    redact(text) != text || {
        let compact: String = text.to_lowercase().split_whitespace().collect();
        SECRET_WORDS
            .iter()
            .any(|word| compact.contains(&format!("{word}=")) || compact.contains(&format!("{word}:")))
    }
}

/// `text` with every password of a URL in it replaced by `***`, whether or not the URL is well formed.
///
/// ```
/// use pintail_config::secrecy::redact;
///
/// assert_eq!(redact("postgres://sync:p@ss@db:5432/shop"), "postgres://sync:***@db:5432/shop");
/// assert_eq!(redact("postgres://db/shop?password=x&sslmode=require"), "postgres://db/shop?password=***&sslmode=require");
/// ```
#[must_use]
pub fn redact(text: &str) -> String {
    // The whole text once more: the address of a bucket may stand inside of a query, behind other parameters or
    // before them.
    redact_query(&redact_authority(text))
}

fn redact_authority(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    // Up to the last `@` of the whole text: an unescaped `@`, `/` or `?` inside a password must not uncover the
    // rest of it.
    let shown = match rest.rsplit_once('@') {
        Some((userinfo, address)) => match userinfo.split_once(':') {
            Some((user, _)) => format!("{user}:***@{}", redact_address(address)),
            None => format!("{userinfo}@{}", redact_address(address)),
        },
        None => redact_address(rest),
    };
    format!("{scheme}://{shown}")
}

/// Hides what stands where a port should: `user:password` without a host looks like `host:port`.
fn redact_address(text: &str) -> String {
    let authority_end = text.find(['/', '?']).unwrap_or(text.len());
    let (authority, rest) = text.split_at(authority_end);
    match authority.split_once(':') {
        Some((host, port)) if !authority.starts_with('[') && !ports(port) => {
            format!("{host}:***{}", redact_query(rest))
        }
        _ => format!("{authority}{}", redact_query(rest)),
    }
}

/// The part after the first colon of `host:1` or of `host:1,other:2`.
fn ports(text: &str) -> bool {
    text.split(',').all(|part| {
        let port = part.rsplit(':').next().unwrap_or(part);
        port.chars().all(|letter| letter.is_ascii_digit())
    })
}

fn redact_query(text: &str) -> String {
    let Some((path, query)) = text.split_once('?') else {
        return text.to_owned();
    };
    let parameters: Vec<String> = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((key, _)) if secret_key(key) => format!("{key}=***"),
            _ => parameter.to_owned(),
        })
        .collect();
    format!("{path}?{}", parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::{redact, secret_key, secret_text};

    #[test]
    fn no_malformed_url_uncovers_its_password() {
        for url in [
            "postgres://sync:hunter2@db/shop",
            "postgres://sync:hun@hunter2@db/shop",
            "postgres://sync:x/hunter2@db/shop",
            "postgres://sync:x?hunter2@db/shop",
            "postgres://sync:x#hunter2@db/shop",
            "postgres://sync:hunter2",
            "postgres://sync:hunter2/shop",
            "postgres://db/shop?user=a&password=hunter2",
            "postgres://db/shop?PASSWORD=hunter2&sslpassword=hunter2",
            "ducklake:postgres://sync:hunter2@db/lake?data_path=files/",
            "s3://bucket/prefix?secret_access_key=hunter2",
            "s3://bucket/prefix?secret_access_key=a@hunter2&region=x",
            "ducklake:sqlite:lake?data_path=s3://bucket/prefix&s3_secret_access_key=hunter2",
            "ducklake:sqlite:lake?s3_secret_access_key=hunter2&data_path=s3://bucket/prefix",
        ] {
            assert!(!redact(url).contains("hunter2"), "{url} became {}", redact(url));
            assert!(secret_text(url), "{url}");
        }
    }

    #[test]
    fn addresses_without_a_password_are_shown_whole() {
        for url in [
            "postgres://db:5432/shop",
            "postgres://sync@db/shop?sslmode=require",
            "postgres://[::1]:5432/shop",
            "postgres://a:5432,b:5433/shop",
            "sqlite:shop.db?table=orders",
            "s3://bucket/prefix/*.parquet?endpoint=http://minio:9000&region=eu-north-1",
            "orders",
            "",
        ] {
            assert_eq!(redact(url), url);
            assert!(!secret_text(url), "{url}");
        }
    }

    #[test]
    fn secret_keys_are_known_by_name() {
        for key in [
            "password",
            "sslpassword",
            "aws_secret_access_key",
            "API_KEY",
            "session_token",
        ] {
            assert!(secret_key(key), "{key}");
        }
        for key in ["user", "host", "passfile", "sslkey", "primary_key"] {
            assert!(!secret_key(key), "{key}");
        }
        assert!(secret_text("host=db password=x") && secret_text("password: x"));
    }
}
