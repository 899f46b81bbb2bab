//! Statements without the passwords in them.

/// A statement without the passwords in it, for plans, logs and messages.
pub fn masked(sql: &str) -> String {
    let without = masked_after(sql, "PASSWORD", true);
    masked_after(&without, "IDENTIFIED BY", false)
}

fn masked_after(sql: &str, keyword: &str, equals: bool) -> String {
    let upper = sql.to_ascii_uppercase();
    let mut out = String::with_capacity(sql.len());
    let mut at = 0;
    let mut from = 0;
    while let Some(found) = upper[from..].find(keyword) {
        let after = from + found + keyword.len();
        from = after;
        if let Some((open, close)) = literal_after(&sql[after..], equals) {
            out.push_str(&sql[at..after + open]);
            out.push_str("'***'");
            at = after + close;
            from = at;
        }
    }
    out.push_str(&sql[at..]);
    out
}

/// Start and end of the string literal that follows, after `=` where one is due.
fn literal_after(text: &str, equals: bool) -> Option<(usize, usize)> {
    let mut rest = text.trim_start();
    if equals {
        rest = rest.strip_prefix('=')?.trim_start();
    }
    let open = text.len() - rest.len();
    let mut chars = rest.char_indices();
    if chars.next()?.1 != '\'' {
        return None;
    }
    let mut chars = chars.peekable();
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
            }
            '\'' => return Some((open, open + index + 1)),
            _ => {}
        }
    }
    Some((open, text.len()))
}
