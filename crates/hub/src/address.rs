//! Addresses on the network, which may hold passwords and are never shown with them.

use std::fmt;

use memscope_text::{excerpt, shortened};
use ureq::http::Uri;

/// Characters of a URL that are shown at most.
const MOST_SHOWN: usize = 1_000;

/// A URL. Shown, it has neither user, password nor query: storage servers sign in the query.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

/// Scheme, host and port: what a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Address {
    /// An address; what is no URL fails when it is asked.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The URL with all its secrets: for the request alone.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// An address below this one; odd characters of `path` are escaped, slashes are not.
    pub(crate) fn below(&self, path: &str) -> Self {
        Self(format!("{}/{}", self.0.trim_end_matches('/'), escape(path)))
    }

    /// An address below this one; `segment` is escaped already.
    pub(crate) fn with_segment(&self, segment: &str) -> Self {
        Self(format!("{}/{segment}", self.0))
    }

    /// The same address with a query.
    pub(crate) fn with_query(&self, query: &str) -> Self {
        Self(format!("{}?{query}", self.0))
    }

    /// `None` where the text is no http or https URL.
    pub(crate) fn origin(&self) -> Option<Origin> {
        let uri: Uri = self.0.parse().ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let default = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let host = uri.host()?.to_ascii_lowercase();
        Some(Origin { scheme, host, port: uri.port_u16().unwrap_or(default) })
    }

    /// Where a `Location` leads from here; the reason where it cannot be followed.
    pub(crate) fn redirected(&self, location: &str) -> Result<Self, String> {
        let location = location.split('#').next().unwrap_or_default();
        let (scheme, rest) = self.0.split_once("://").ok_or("is no URL")?;
        let path_at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        let to = if location.contains("://") {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else if location.starts_with('/') {
            format!("{scheme}://{authority}{location}")
        } else {
            let path = path.split(['?', '#']).next().unwrap_or_default();
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{authority}{folder}/{location}")
        };
        let to = Self(to);
        let origin = to
            .origin()
            .ok_or_else(|| format!("redirects to '{}', which is no web address", excerpt(&to.to_string())))?;
        if scheme.eq_ignore_ascii_case("https") && origin.scheme == "http" {
            return Err(format!("redirects from https to '{}', which is not encrypted", excerpt(&to.to_string())));
        }
        Ok(to)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let shown = self.0.split(['?', '#']).next().unwrap_or_default();
        f.write_str(&shortened(&without_user(shown), MOST_SHOWN))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A token of the Hub. It is never shown.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn new(token: String) -> Self {
        Self(token)
    }

    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a token")
    }
}

/// `user:password@` of one URL replaced.
fn without_user(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}***@{}", &url[..start], &url[start + at + 1..]),
        None => url.to_owned(),
    }
}

/// A reason that another library gives: one line of bounded length, without passwords in URLs.
pub(crate) fn reason(text: &str) -> String {
    let words =
        text.split_whitespace().map(|word| if word.contains("://") { without_user(word) } else { word.to_owned() });
    shortened(&words.collect::<Vec<_>>().join(" "), 300)
}

/// Percent-encodes what a path may not hold; `/` stays.
fn escape(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    path.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// A revision as one segment of a path: `refs/pr/1` has slashes.
pub(crate) fn segment(revision: &str) -> String {
    escape(revision).replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_signatures_are_not_shown() {
        let address = Address::new("https://me:pass@word@hub.example:8443/a/b?X-Signature=secret#x");
        assert_eq!(address.to_string(), "https://***@hub.example:8443/a/b");
        assert_eq!(format!("{address:?}"), address.to_string());
        assert_eq!(Address::new("me:pass@host/a").to_string(), "***@host/a");
        assert_eq!(Address::new("https://host/a@b").to_string(), "https://host/a@b");
        assert_eq!(reason("proxy http://u:p@host:1/ \u{1b}[31mfailed"), "proxy http://***@host:1/ \\u{1b}[31mfailed");
        assert_eq!(reason(&"x".repeat(9000)).chars().count(), 301);
        assert_eq!(format!("{:?}", Token::new("hf_secret".into())), "a token");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |url: &str| Address::new(url).origin();
        assert_eq!(origin("https://Hub.example/a"), origin("https://hub.example:443/b"));
        for other in
            ["http://hub.example/a", "https://hub.example:444/a", "https://hub.example.org/", "https://x.hub.example/"]
        {
            assert_ne!(origin("https://hub.example/a"), origin(other), "{other}");
        }
        assert_eq!(origin("ftp://hub.example/a"), None);
        assert_eq!(origin("hub.example"), None);
    }

    #[test]
    fn redirects_are_resolved_and_stay_encrypted() {
        let from = Address::new("https://hub.example/a/b?q=1");
        let to = |location: &str| from.redirected(location).map(|to| to.secret().to_owned());
        assert_eq!(to("/c?x=1#y").unwrap(), "https://hub.example/c?x=1");
        assert_eq!(to("c").unwrap(), "https://hub.example/a/c");
        assert_eq!(to("//other.example/c").unwrap(), "https://other.example/c");
        assert_eq!(to("https://other.example/c").unwrap(), "https://other.example/c");
        assert!(to("http://hub.example/c").unwrap_err().contains("not encrypted"));
        assert!(to("file:///etc/passwd").unwrap_err().contains("no web address"));
    }

    #[test]
    fn names_become_parts_of_addresses() {
        let address = Address::new("https://hub.example/").below("a b/c?d#e%");
        assert_eq!(address.secret(), "https://hub.example/a%20b/c%3Fd%23e%25");
        assert_eq!(segment("refs/pr/1"), "refs%2Fpr%2F1");
    }
}
