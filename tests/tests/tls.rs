//! Encryption between the nodes: of the programs' own connections, and of replication.

#[path = "../../crates/keepalived-mysql/tests/common/tls_pki.rs"]
mod tls_pki;

use std::fs;

use anyhow::{Result, ensure};
use lab::{End, LabOptions, NodeId, PATIENCE, Scenario, Server};
use tempfile::TempDir;
use tls_pki::{Authority, Until};

/// Both servers' certificate, and the authority that the suite trusts.
fn options(server: Server, trusted: &Authority, signer: &Authority) -> LabOptions {
    let addresses = NodeId::ALL.map(|node| node.address().to_string());
    let names = addresses.each_ref().map(String::as_str);
    let signed = signer.sign("servers", &names, Until::Later);
    LabOptions {
        server,
        ..LabOptions::default()
            .my_cnf(&format!("ssl_ca = {}", signer.path().display()))
            .my_cnf(&format!("ssl_cert = {}", signed.cert.display()))
            .my_cnf(&format!("ssl_key = {}", signed.key.display()))
            .toml("tls.mode", "\"verify-ca\"")
            .toml("tls.ca", &format!("\"{}\"", trusted.path().display()))
    }
}

/// From here on nobody gets in over TCP in clear text, neither the suite nor a replica.
fn require_tls(scenario: &Scenario, server: Server) -> Result<()> {
    for node in scenario.lab.nodes() {
        let (lift, restore) = if server.is_mariadb() {
            ("DO 0", "DO 0")
        } else {
            (
                "SET GLOBAL super_read_only = 0",
                "SET GLOBAL super_read_only = 1",
            )
        };
        node.query_local(&format!(
            "SET SESSION sql_log_bin = 0; {lift}; ALTER USER 'keepalived'@'%' REQUIRE SSL; \
             ALTER USER 'repl'@'%' REQUIRE SSL; {restore}"
        ))?;
    }
    Ok(())
}

fn channel_is_encrypted(scenario: &Scenario, replica: NodeId, ca: &Authority) -> Result<()> {
    let node = match replica {
        NodeId::A => scenario.a(),
        NodeId::B => scenario.b(),
    };
    let rows = node.replica_status()?;
    let row = &rows[0];
    let either = |old: &str, new: &str| {
        let value = row.get(old);
        if value.is_empty() {
            row.get(new).to_owned()
        } else {
            value.to_owned()
        }
    };
    let allowed = either("Master_SSL_Allowed", "Source_SSL_Allowed");
    let file = either("Master_SSL_CA_File", "Source_SSL_CA_File");
    ensure!(
        allowed == "Yes" && file == ca.path().display().to_string(),
        "{rows:?}"
    );
    Ok(())
}

fn a_failover_and_a_rejoin(server: Server) -> Result<()> {
    let folder = TempDir::new()?;
    let ca = Authority::new(folder.path(), "ca");
    let Some(scenario) = Scenario::quiet(options(server, &ca, &ca))? else {
        return Ok(());
    };
    require_tls(&scenario, server)?;
    scenario.lab.start_keepalived()?;
    let scenario = scenario.with_writers()?;
    scenario.acks(100)?;
    scenario.a().drain(true)?;
    scenario.serves(NodeId::B)?;
    scenario.a().wait_following(NodeId::B, PATIENCE)?;
    channel_is_encrypted(&scenario, NodeId::A, &ca)?;
    scenario.a().drain(false)?;
    scenario.acks(100)?;
    let in_sync = scenario.a().paths().run().join("suite/VI_1/sync.json");
    scenario
        .a()
        .wait_until("was seen in sync", PATIENCE, |_| Ok(in_sync.exists()))?;
    scenario.b().kill_server()?;
    scenario.serves(NodeId::A)?;
    scenario.acks(100)?;
    scenario.b().start_server()?;
    scenario.finish(End::FollowsOrHeld).map(drop)
}

#[test]
fn mariadb_fails_over_and_rejoins_with_verified_certificates() -> Result<()> {
    a_failover_and_a_rejoin(Server::MariaDb1011)
}

#[test]
fn mysql_fails_over_and_rejoins_with_verified_certificates() -> Result<()> {
    a_failover_and_a_rejoin(Server::MySql97)
}

/// A peer whose certificate cannot be verified answers: it may be open, so this node stays closed.
#[test]
fn a_peer_with_a_foreign_certificate_counts_as_open() -> Result<()> {
    let folder = TempDir::new()?;
    let (trusted, foreign) = (
        Authority::new(folder.path(), "trusted"),
        Authority::new(folder.path(), "foreign"),
    );
    let options = options(Server::MariaDb1011, &trusted, &foreign);
    let Some(scenario) = Scenario::quiet(options)? else {
        return Ok(());
    };
    scenario.a().start_keepalived()?;
    let log = scenario.a().paths().log().join("suite.log");
    scenario.a().wait_until("says why", PATIENCE, |_| {
        let said = fs::read_to_string(&log).unwrap_or_default();
        Ok(said.contains("is not signed by the 'ca' of [tls]") && said.contains("peer-alive"))
    })?;
    ensure!(
        !scenario.a().is_open(),
        "node-a opened beside a server that it could not ask"
    );
    Ok(())
}
