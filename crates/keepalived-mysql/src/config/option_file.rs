//! The `[client]` section of a MySQL option file: `user` and `password`.

/// What the `[client]` section says.
#[derive(Default)]
pub(super) struct ClientSection {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// Read the `[client]` sections of an option file, as the servers' own clients do: later lines
/// win, `#` and `;` begin a comment, values may be quoted, a backslash escapes.
pub(super) fn parse_client(text: &str) -> ClientSection {
    let mut section = String::new();
    let mut client = ClientSection::default();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';', '!']) || line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            section = name.split(']').next().unwrap_or_default().trim().to_owned();
            continue;
        }
        let Some((key, value)) = without_comment(line).split_once('=') else {
            continue;
        };
        match (section.as_str(), key.trim()) {
            ("client", "user") => client.user = Some(unquote(value)),
            ("client", "password") => client.password = Some(unquote(value)),
            _ => {}
        }
    }
    client
}

/// A line without the comment at its end: `#` outside of quotes begins one.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match quote {
            None if c == '#' => return line[..at].trim_end(),
            None if matches!(c, '"' | '\'') => quote = Some(c),
            Some(open) if c == open && !escaped => quote = None,
            _ => {}
        }
        escaped = quote.is_some() && c == '\\' && !escaped;
    }
    line
}

/// A value without the quotes around the whole of it, and without its escapes.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    unescape(inner)
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('s') => out.push(' '),
            Some(c @ ('"' | '\'' | '\\')) => out.push(c),
            // An unknown escape stays as it is written.
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_client_section_only() {
        let text = "[mysqld]\nuser=mysql\n# c\n[client]\nuser = ops\npassword = \"a#b\\\"c\"\n[mysql]\npassword=x\n";
        let client = parse_client(text);
        assert_eq!(client.user.as_deref(), Some("ops"));
        assert_eq!(client.password.as_deref(), Some("a#b\"c"));
    }

    /// As `my_print_defaults` of MariaDB 10.11 gives them.
    #[test]
    fn values_as_the_clients_read_them() {
        let cases = [
            ("plain", "plain"),
            ("cut # comment", "cut"),
            ("a#b", "a"),
            ("a;b", "a;b"),
            ("'it''", "it'"),
            ("'a'#b", "a"),
            ("a'#'b", "a'#'b"),
            ("'a\\'b'", "a'b"),
            ("\"a#b\\\"c\"", "a#b\"c"),
            ("\"tail\" x", "\"tail\" x"),
            ("'mixed\"", "'mixed\""),
            ("'  in  '", "  in  "),
            ("a  b  ", "a  b"),
            ("a\\sb", "a b"),
            ("a\\\\b", "a\\b"),
            ("a\\xb", "a\\xb"),
            ("\"open", "\"open"),
            ("\\#a", "\\"),
            ("'", "'"),
            ("", ""),
        ];
        for (written, meant) in cases {
            let client = parse_client(&format!("[client]\nuser = {written}\n"));
            assert_eq!(client.user.as_deref(), Some(meant), "{written}");
        }
    }

    #[test]
    fn an_empty_file_says_nothing() {
        let client = parse_client("");
        assert!(client.user.is_none() && client.password.is_none());
    }
}
