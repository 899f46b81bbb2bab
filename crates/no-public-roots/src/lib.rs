//! No public certificate authority.
//!
//! The `mysql` crate trusts every authority of the crate `webpki-roots` besides the one that it is
//! given, and offers no way to leave them out. With `verify-ca`, which ignores names, anybody with a
//! certificate for a domain of their own could then pose as a node. `[patch.crates-io]` puts this
//! crate in the place of the other.

use rustls_pki_types::{Der, TrustAnchor};

/// Shows at compile time that this crate is the one in use.
pub const NOBODY_IS_TRUSTED: bool = true;

/// One authority that exists nowhere and can sign nothing: its name is empty and its key is no key.
/// There must be one, because the library refuses to set a connection up without any.
pub const TLS_SERVER_ROOTS: &[TrustAnchor<'static>] = &[TrustAnchor {
    subject: Der::from_slice(b""),
    subject_public_key_info: Der::from_slice(b""),
    name_constraints: None,
}];
