//! The gate: whoever opens or fences a server holds the named lock `keepalived_mysql.gate` in it.
//!
//! Without it a fencer could find a server closed, while the opening that it wanted to prevent is
//! already under way. A named lock ends with its session, so a program that dies leaves no gate shut.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::node::Contact;
use crate::server::connection::ServerError;
use crate::switches::{Safety, off};

/// Takes the gate of the server. False if another session still holds it at the deadline.
pub fn take(contact: &mut Contact, deadline: Deadline) -> Result<bool, ServerError> {
    if off(Safety::Gate) {
        return Ok(true);
    }
    let seconds = deadline.remaining().as_secs_f64();
    let sql = format!("SELECT GET_LOCK('keepalived_mysql.gate', {seconds:.3})");
    // The server gives up first: a gate that is held must not look like a server that is silent.
    let patience = Deadline::after(Duration::from_secs_f64(seconds + 0.5));
    let rows = contact.session.rows(&sql, patience)?;
    Ok(rows.first().and_then(|row| row.at(0)) == Some("1"))
}

/// Gives the gate back before the session ends.
pub fn release(contact: &mut Contact, deadline: Deadline) -> Result<(), ServerError> {
    if off(Safety::Gate) {
        return Ok(());
    }
    contact
        .session
        .run("SELECT RELEASE_LOCK('keepalived_mysql.gate')", deadline)
        .map(drop)
}
