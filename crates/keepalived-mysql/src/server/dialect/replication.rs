//! Statements that stop, start, forget and repoint replication.

use super::words::Purpose;
use super::{Dialect, quoted};
use crate::replication::position::BinlogPosition;
use crate::server::source_tls::SourceTls;

/// Where a replica shall read from, and how it finds its place there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// By global transaction identifiers, in the form that notices transactions of one's own.
    Gtid,
    /// By file and offset in the source's binary log.
    Position(BinlogPosition),
}

/// The settings of a replication channel. No Debug: it holds a password.
#[derive(Clone, PartialEq)]
pub struct Source<'a> {
    /// The source's address.
    pub host: &'a str,
    /// Its TCP port.
    pub port: u16,
    /// The replication account.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// Seconds between two attempts to connect.
    pub connect_retry: u64,
    /// How many attempts the receiver makes before it ends (MySQL only; MariaDB has a server option).
    pub retry_count: u64,
    /// Seconds between heartbeats of an idle source.
    pub heartbeat: f64,
    /// How the channel is encrypted.
    pub tls: SourceTls<'a>,
    /// Where to begin.
    pub start: Start,
}

impl Dialect {
    /// Stops the receiver, so that no more can arrive.
    pub fn stop_receiver(&self, channel: &str) -> String {
        self.about(Purpose::StopReceiver, channel)
    }

    /// Starts the receiver alone.
    pub fn start_receiver(&self, channel: &str) -> String {
        self.about(Purpose::StartReceiver, channel)
    }

    /// Stops the applier alone.
    pub fn stop_applier(&self, channel: &str) -> String {
        self.about(Purpose::StopApplier, channel)
    }

    /// Starts the applier alone. Unlike a start of both it keeps MariaDB's relay logs.
    pub fn start_applier(&self, channel: &str) -> String {
        self.about(Purpose::StartApplier, channel)
    }

    /// Stops both threads.
    pub fn stop_replication(&self, channel: &str) -> String {
        self.about(Purpose::StopReplication, channel)
    }

    /// Starts both threads. On MariaDB with GTID this throws undrained relay logs away.
    pub fn start_replication(&self, channel: &str) -> String {
        self.about(Purpose::StartReplication, channel)
    }

    /// Forgets the channel and its relay logs, applied or not.
    pub fn reset_replication(&self, channel: &str) -> String {
        self.about(Purpose::ResetReplication, channel)
    }

    /// Whether the server can have more than the default channel.
    pub fn has_channels(&self) -> bool {
        !self.words(Purpose::Channels).is_empty()
    }

    /// How long a replica waits for a silent source before it connects again.
    pub fn set_net_timeout(&self, seconds: u64) -> String {
        if self.known.replica_net_timeout {
            format!("SET GLOBAL replica_net_timeout = {seconds}")
        } else {
            format!("SET GLOBAL slave_net_timeout = {seconds}")
        }
    }

    /// Points a stopped channel at a source.
    ///
    /// With GTID this is the form under which a server that holds transactions of its own is
    /// refused by the source (error 1236) instead of diverging in silence; on MySQL there is none,
    /// and the vetting before it is all.
    pub fn change_source(&self, channel: &str, source: &Source<'_>) -> Vec<String> {
        let options = self.source_options(source).join(", ");
        let change = self.filled(Purpose::ChangeSource, channel, &options);
        let before = match source.start {
            Start::Gtid => self.words(Purpose::BeforeGtid),
            Start::Position(_) => "",
        };
        [before.to_owned(), change]
            .into_iter()
            .filter(|statement| !statement.is_empty())
            .collect()
    }

    fn source_options(&self, source: &Source<'_>) -> Vec<String> {
        let word = self.words(Purpose::SourceWord);
        let mut options = vec![
            format!("{word}_HOST = {}", quoted(source.host)),
            format!("{word}_PORT = {}", source.port),
            format!("{word}_USER = {}", quoted(source.user)),
            format!("{word}_PASSWORD = {}", quoted(source.password)),
            format!("{word}_CONNECT_RETRY = {}", source.connect_retry),
            format!("{word}_HEARTBEAT_PERIOD = {}", source.heartbeat),
        ];
        let retry = self.words(Purpose::RetryCount);
        if !retry.is_empty() {
            options.push(format!("{retry} = {}", source.retry_count));
        }
        options.push(self.words(Purpose::PublicKey).to_owned());
        options.extend(source.tls.options(word, self.product));
        match &source.start {
            Start::Position(position) => {
                options.push(format!("{word}_LOG_FILE = {}", quoted(&position.file)));
                options.push(format!("{word}_LOG_POS = {}", position.offset));
                options.push(self.words(Purpose::ByPosition).to_owned());
            }
            Start::Gtid => {
                options.push(self.words(Purpose::ByGtid).to_owned());
                options.push(self.words(Purpose::Demote).to_owned());
            }
        }
        options.retain(|option| !option.is_empty());
        options
    }
}
