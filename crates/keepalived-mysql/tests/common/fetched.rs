//! Where `tests/servers/fetch` puts servers.

use std::path::PathBuf;

/// `$LAB_SERVERS`, else `keepalived-mysql/servers` below `$XDG_CACHE_HOME` or `~/.cache`.
pub fn folder() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from);
    from("LAB_SERVERS").unwrap_or_else(|| {
        from("XDG_CACHE_HOME")
            .or_else(|| from("HOME").map(|home| home.join(".cache")))
            .unwrap_or_default()
            .join("keepalived-mysql/servers")
    })
}
