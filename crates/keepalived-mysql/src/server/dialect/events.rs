//! The statements about scheduled events.
//!
//! Tried on MariaDB 10.5, 10.11 and 11.8 and on MySQL 5.6 and 9.7. An ALTER EVENT makes whoever sends it
//! the definer, unless the statement names the definer, and gives the event the character set of the
//! session; its SQL mode and its time zone stay. `DISABLE ON SLAVE` is understood by all of them,
//! `DISABLE ON REPLICA` by MySQL since 8.3.

use crate::replication::events::{Event, EventName, EventStatus};
use crate::server::connection::Row;
use crate::server::dialect::{Dialect, Product, quoted};

/// What shall become of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It runs when it is due.
    On,
    /// It does not, as if it had come through replication.
    Off,
}

impl Dialect {
    /// The events of every schema on which the account has the privilege EVENT.
    pub fn events(&self) -> &'static str {
        "SELECT EVENT_SCHEMA AS event_schema, EVENT_NAME AS event_name, DEFINER AS definer, STATUS AS status, \
         CHARACTER_SET_CLIENT AS charset, COLLATION_CONNECTION AS collation FROM information_schema.EVENTS"
    }

    /// The statements that turn an event on or off and leave everything else of it as it is. Err for
    /// one that cannot be left so: its name would have to be sent in another character set.
    pub fn turn_event(&self, event: &Event, turn: Turn) -> Result<Vec<String>, String> {
        let words = [&event.name.schema, &event.name.name, &event.definer];
        let plain = words.iter().all(|word| word.is_ascii());
        if !plain && !event.charset.starts_with("utf8") {
            return Err(format!(
                "{} was created in {}, and its name or its definer is not ASCII: turn it by hand",
                event.name, event.charset
            ));
        }
        Ok(vec![
            format!(
                "SET SESSION character_set_client = {}, SESSION collation_connection = {}",
                quoted(&event.charset),
                quoted(&event.collation)
            ),
            format!(
                "ALTER DEFINER = {} EVENT {}.{} {}",
                account(&event.definer),
                identifier(&event.name.schema),
                identifier(&event.name.name),
                match turn {
                    Turn::On => "ENABLE",
                    Turn::Off if self.product == Product::MySql && self.version >= (8, 4, 0) => {
                        "DISABLE ON REPLICA"
                    }
                    Turn::Off => "DISABLE ON SLAVE",
                }
            ),
        ])
    }
}

/// Reads one row of [`Dialect::events`]. None for a row that makes no sense.
pub fn event(row: &Row) -> Option<Event> {
    let text = |name: &str| row.get(name).map(str::to_owned);
    Some(Event {
        name: EventName {
            schema: text("event_schema")?,
            name: text("event_name")?,
        },
        definer: text("definer")?,
        status: EventStatus::parse(row.get("status")?)?,
        charset: text("charset")?,
        collation: text("collation")?,
    })
}

/// A name between backticks.
fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `user@host` as an account; the host has no `@`. MariaDB's roles have none at all.
fn account(definer: &str) -> String {
    match definer.rsplit_once('@') {
        Some((user, host)) => format!("{}@{}", identifier(user), identifier(host)),
        None => identifier(definer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::dialect::Known;

    fn dialect(product: Product, version: (u16, u16, u16)) -> Dialect {
        Dialect {
            product,
            version,
            known: Known::default(),
        }
    }

    fn odd() -> Event {
        Event {
            name: EventName {
                schema: "we`ird-db".into(),
                name: "it's \"a\"`b\\x ü".into(),
            },
            definer: "a@b@10.0.0.%".into(),
            status: EventStatus::Enabled,
            charset: "utf8mb4".into(),
            collation: "utf8mb4_general_ci".into(),
        }
    }

    #[test]
    fn names_are_quoted_and_the_definer_stays() {
        let sql = dialect(Product::MariaDb, (10, 11, 19))
            .turn_event(&odd(), Turn::On)
            .expect("statements");
        assert_eq!(
            sql,
            [
                "SET SESSION character_set_client = 'utf8mb4', SESSION collation_connection = 'utf8mb4_general_ci'",
                "ALTER DEFINER = `a@b`@`10.0.0.%` EVENT `we``ird-db`.`it's \"a\"``b\\x ü` ENABLE",
            ]
        );
    }

    #[test]
    fn each_product_has_its_word_for_a_replica() {
        for (dialect, word) in [
            (dialect(Product::MariaDb, (11, 8, 6)), "DISABLE ON SLAVE"),
            (dialect(Product::MySql, (5, 6, 24)), "DISABLE ON SLAVE"),
            (dialect(Product::MySql, (8, 0, 36)), "DISABLE ON SLAVE"),
            (dialect(Product::MySql, (9, 7, 4)), "DISABLE ON REPLICA"),
        ] {
            let sql = dialect.turn_event(&odd(), Turn::Off).expect("statements");
            assert!(sql[1].ends_with(word), "{dialect}: {sql:?}");
        }
    }

    #[test]
    fn a_text_in_another_character_set_is_not_spoilt() {
        let mut event = odd();
        event.charset = "latin1".into();
        let dialect = dialect(Product::MariaDb, (10, 11, 19));
        assert!(dialect.turn_event(&event, Turn::On).is_err());
        event.name.name = "plain".into();
        let sql = dialect.turn_event(&event, Turn::On).expect("statements");
        assert!(
            sql[0].contains("character_set_client = 'latin1'"),
            "{sql:?}"
        );
    }
}
